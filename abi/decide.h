/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * The one decision: may this operation go on? Compiled as BPF by the gate and as ordinary C++ by the daemon, the tests and the fuzzer.
 *
 * Pure: no maps, no helpers, no allocation, bounded loops. Half-open byte ranges [first, end) throughout.
 */
#ifndef HF_ABI_DECIDE_H
#define HF_ABI_DECIDE_H

#include "kern.h"

#define HF_ALLOW 0
#define HF_EDEADLK 35
#define HF_ETXTBSY 26

#ifdef __cplusplus
#define HF_INLINE static inline
#else
#define HF_INLINE static __attribute__((always_inline)) inline
#endif

/** What a breaker asks: the operation, the bytes whose layout it would change, and who it is. */
struct hf_question {
	__u32 op;   /* enum hf_op */
	__u32 task; /* the breaker's thread group */
	__u64 first;
	__u64 end;
	__u32 window; /* thread group of the maintenance window that the breaker runs in; 0 = none */
	__u32 flags;  /* HF_MOUNT_OWN_*: what a holder gets that would break its own lease; HF_QUESTION_* */
};
#define HF_QUESTION_LEASES_ONLY (1u << 31) /* not the hold of a maintenance window, under which nobody's memory is */
#define HF_QUESTION_WHOLE (1u << 30) /* moves no byte; refused only where a file is leased as a whole: see hf_range_whole() */

/** The answer so far; starts as all zeroes. */
struct hf_answer {
	__u32 error; /* 0 = allowed, else the positive errno for the breaker */
	__u32 holder;
	__u64 lease_first; /* the extent that refused it; both 0 where a seal did */
	__u64 lease_end;
};

/** @return non-zero where [a, a_end) and [b, b_end) share a byte; empty ranges share none. */
HF_INLINE int hf_overlap(__u64 a, __u64 a_end, __u64 b, __u64 b_end)
{
	return a < b_end && b < a_end && a < a_end && b < b_end;
}

/**
 * Takes one leased extent into the answer. The holder's own lease wins over others' (EDEADLK over ETXTBSY): it says the more to the one who asked.
 */
HF_INLINE void hf_decide_slot(const struct hf_question *question, const struct hf_slot *slot, struct hf_answer *answer)
{
	__u64 state = slot->state;

	if (!state || (state & HF_SLOT_FILLING))
		return;
	if (!hf_overlap(question->first, question->end, slot->first, slot->end))
		return;
	if ((question->flags & HF_QUESTION_WHOLE) && !(slot->flags & HF_SLOT_WHOLE))
		return;
	/* What has happened beside the bytes themselves, which have a slot of their own, has broken nothing. */
	if ((question->flags & HF_QUESTION_LEASES_ONLY) && (slot->flags & HF_SLOT_WHOLE))
		return;
	if (answer->error == HF_EDEADLK)
		return;
	if (slot->flags & HF_SLOT_WINDOW) {
		/* The window's own hold: its command may break what nobody else may. Other slots refuse that command, too. */
		if (answer->error || (question->flags & HF_QUESTION_LEASES_ONLY) || (question->window && question->window == slot->holder))
			return;
		answer->error = HF_ETXTBSY;
	} else if (slot->holder && slot->holder == question->task) {
		/* Its own pins, too, are waited for: it would wait for itself. */
		if ((question->flags & HF_MOUNT_OWN_ALLOWED) && !(slot->flags & HF_SLOT_WHOLE))
			return;
		if (question->flags & HF_MOUNT_OWN_BUSY) {
			if (answer->error)
				return;
			answer->error = HF_ETXTBSY;
		} else {
			answer->error = HF_EDEADLK;
		}
	} else {
		if (answer->error)
			return;
		answer->error = HF_ETXTBSY;
	}
	answer->holder = slot->holder;
	answer->lease_first = slot->first;
	answer->lease_end = slot->end;
}

/** Takes a run of slots into the answer. @param count at most HF_CHUNK_SLOTS. */
HF_INLINE void hf_decide_slots(const struct hf_question *question, const struct hf_slot *slots, __u32 count, struct hf_answer *answer)
{
	for (__u32 i = 0; i < HF_CHUNK_SLOTS; i++) {
		if (i >= count)
			break;
		hf_decide_slot(question, &slots[i], answer);
	}
}

/** Takes the seals of the mount into the answer. @param seals hf_mount::seals, all of them where the mount is another command's maintenance window */
HF_INLINE void hf_decide_seals(const struct hf_question *question, __u32 seals, struct hf_answer *answer)
{
	if (!answer->error && !(question->flags & HF_QUESTION_WHOLE) && question->first < question->end && question->op < 32 && (seals & (1u << question->op)))
		answer->error = HF_ETXTBSY;
}

/**
 * The range whose layout an operation changes, from what was asked of the kernel.
 * @param size_bytes the file's size now. A truncate that does not shrink changes nothing (notify_change() holds the inode's lock, so the size is stable);
 *        it comes back as an empty range, which decides as allowed.
 */
HF_INLINE void hf_range_truncate(__u64 new_size, __u64 size_bytes, struct hf_question *question)
{
	question->first = new_size;
	question->end = new_size >= size_bytes ? new_size : HF_RANGE_END;
}

/**
 * The question of an operation that changes no layout, but in which the filesystem waits for all pins of the file: a truncate that does not shrink, and on
 * XFS an allocation. It touches one byte that no file has, and that only a lease of the whole file covers.
 */
HF_INLINE void hf_range_whole(struct hf_question *question)
{
	question->first = HF_RANGE_END - 1;
	question->end = HF_RANGE_END;
	question->flags |= HF_QUESTION_WHOLE;
}

/* FALLOC_FL_* of <linux/falloc.h>, which the BPF object cannot include. */
#define HF_FALLOC_KEEP_SIZE 0x01
#define HF_FALLOC_PUNCH_HOLE 0x02
#define HF_FALLOC_NO_HIDE_STALE 0x04
#define HF_FALLOC_COLLAPSE_RANGE 0x08
#define HF_FALLOC_ZERO_RANGE 0x10
#define HF_FALLOC_INSERT_RANGE 0x20
#define HF_FALLOC_UNSHARE_RANGE 0x40
#define HF_FALLOC_WRITE_ZEROES 0x80

/**
 * What a shift of all that follows touches: from the block before the offset on, since XFS flushes that one too and takes it from the page cache
 * (xfs_prepare_shift()). Leases end on blocks and offsets are multiples of one, so a page tells as much as a block.
 */
HF_INLINE void hf_range_shift(__u64 offset, struct hf_question *question)
{
	question->first = offset > 4096 ? offset - 4096 : 0;
	question->end = HF_RANGE_END;
}

/**
 * Reads a fallocate() call into the question.
 * @return enum hf_op; HF_OP_NONE for a plain allocation, which moves nothing. A mode that is not known here is HF_OP_FALLOCATE_NEW and touches
 *         everything from the offset on: a future mode is refused on leased bytes until someone has looked at it.
 */
HF_INLINE __u32 hf_question_fallocate(__u32 mode, __u64 offset, __u64 length, struct hf_question *question)
{
	__u32 op;

	question->first = offset;
	question->end = offset + length;
	if (question->end < offset)
		question->end = HF_RANGE_END;
	switch (mode & ~(__u32)(HF_FALLOC_KEEP_SIZE | HF_FALLOC_NO_HIDE_STALE)) {
	case 0:
		op = HF_OP_NONE;
		question->end = question->first;
		break;
	case HF_FALLOC_PUNCH_HOLE:
		op = HF_OP_PUNCH;
		break;
	case HF_FALLOC_ZERO_RANGE:
		op = HF_OP_ZERO;
		break;
	case HF_FALLOC_UNSHARE_RANGE:
		op = HF_OP_UNSHARE;
		break;
	case HF_FALLOC_WRITE_ZEROES:
		op = HF_OP_WRITE_ZEROES;
		break;
	case HF_FALLOC_COLLAPSE_RANGE:
		op = HF_OP_COLLAPSE;
		hf_range_shift(offset, question);
		break;
	case HF_FALLOC_INSERT_RANGE:
		op = HF_OP_INSERT;
		hf_range_shift(offset, question);
		break;
	default:
		op = HF_OP_FALLOCATE_NEW;
		question->end = HF_RANGE_END;
		break;
	}
	question->op = op;
	return op;
}

/**
 * The bytes of a leased range, rounded out to the pages that back it: a punch of half a page takes nothing away from the other half, but it zeroes it.
 * @param page_shift 12, or the huge page's on hugetlbfs (21 for 2 MiB), or the block's where blocks are larger than pages
 */
HF_INLINE void hf_round_out(__u64 *first, __u64 *end, __u32 page_shift)
{
	__u64 mask = (1ull << (page_shift & 63)) - 1;

	*first &= ~mask;
	if (*end > HF_RANGE_END - mask)
		*end = HF_RANGE_END;
	else
		*end = (*end + mask) & ~mask;
}

#endif
