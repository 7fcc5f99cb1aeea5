/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Leased slots of a file: taking, giving back and asking. One writer's code for the observer (kprobes) and for the daemon (syscall programs).
 *
 * Functions without "static" are verified once by themselves, and not anew on each way that leads to them.
 *
 * Lock-free, because kprobe programs may not take bpf_spin_lock and the gate may not wait. A slot goes FREE → FILLING → counted by one compare-and-swap
 * each; the gate ignores a FILLING one. Entries of hf_files are only ever deleted by the sweep below, which keeps adders out while it looks.
 */
#ifndef HF_SLOTS_BPF_H
#define HF_SLOTS_BPF_H

_Static_assert(HF_SLOTS < HF_NO_SLOT, "hf_part::slot can't tell all slots");

#define SWEEP_WAIT_LOOPS 8192 /* a sweep holds adders up for about a microsecond; past this many looks the part is left to user space */

static __always_inline struct hf_slot *slot_at(const struct hf_file_key *key, __u32 index)
{
	if (index < HF_INLINE_SLOTS) {
		struct hf_file *file = bpf_map_lookup_elem(&hf_files, key);

		if (!file)
			return NULL;
		/* Keeps clang from adding to the pointer before it is checked, which the verifier forbids. */
		barrier_var(file);
		return &file->slots[index & (HF_INLINE_SLOTS - 1)];
	}
	struct hf_chunk_key chunk_key = {.file = *key, .index = (index - HF_INLINE_SLOTS) / HF_CHUNK_SLOTS};
	struct hf_chunk *chunk = bpf_map_lookup_elem(&hf_chunks, &chunk_key);
	__u32 at = (index - HF_INLINE_SLOTS) % HF_CHUNK_SLOTS;

	if (!chunk)
		return NULL;
	barrier_var(chunk);
	/* ... and from using another register's copy of the index than the one that is checked. */
	barrier_var(at);
	if (at >= HF_CHUNK_SLOTS)
		return NULL;
	return &chunk->slots[at];
}

static __always_inline bool slot_claim(struct hf_slot *slot, __u64 first, __u64 end, __u32 holder, __u32 flags)
{
	if (slot->state)
		return false;
	if (__sync_val_compare_and_swap(&slot->state, 0, HF_SLOT_FILLING))
		return false;
	slot->first = first;
	slot->end = end;
	slot->holder = holder;
	slot->flags = flags;
	barrier();
	/* An atomic exchange is a full barrier: whoever sees the count sees the range. */
	__sync_lock_test_and_set(&slot->state, 1);
	return true;
}

static __always_inline int claim_inline(struct hf_file *file, __u64 first, __u64 end, __u32 holder, __u32 flags)
{
	if (!file)
		return -1;
	for (int i = 0; i < HF_INLINE_SLOTS; i++)
		if (slot_claim(&file->slots[i], first, end, holder, flags))
			return i;
	return -1;
}

static __always_inline int claim_chunk(struct hf_chunk *chunk, __u64 first, __u64 end, __u32 holder, __u32 flags)
{
	if (!chunk)
		return -1;
	for (int i = 0; i < HF_CHUNK_SLOTS; i++)
		if (slot_claim(&chunk->slots[i], first, end, holder, flags))
			return i;
	return -1;
}

struct merge {
	struct hf_file_key key;
	__u64 first;
	__u64 end;
	__u64 best_distance;
	__u32 best;
	__u32 pad;
};

static long merge_look(__u32 index, struct merge *merge)
{
	struct hf_slot *slot = slot_at(&merge->key, index);
	__u64 distance;

	if (!slot || !slot->state || (slot->state & HF_SLOT_FILLING))
		return 0;
	if (slot->first >= merge->end)
		distance = slot->first - merge->end;
	else if (merge->first >= slot->end)
		distance = merge->first - slot->end;
	else
		distance = 0;
	if (distance < merge->best_distance) {
		merge->best_distance = distance;
		merge->best = index;
	}
	return 0;
}

static __always_inline bool slot_join(struct hf_slot *slot, __u64 first, __u64 end, __u32 holder, __u32 flags)
{
	bool counted = false;

	/* Count first: a counted slot can't become free under the widening. */
	for (int i = 0; i < 16; i++) {
		__u64 state = slot->state;

		if (!state || (state & HF_SLOT_FILLING))
			return false;
		if (__sync_val_compare_and_swap(&slot->state, state, state + 1) == state) {
			counted = true;
			break;
		}
	}
	if (!counted)
		return false;
	/* It now stands for a lease as well, which no window's command may break. What holds the whole file goes on doing so until the slot is free. */
	__sync_fetch_and_and(&slot->flags, HF_SLOT_WHOLE);
	__sync_fetch_and_or(&slot->flags, flags & HF_SLOT_WHOLE);
	for (int i = 0; i < 16; i++) {
		__u64 old = slot->first;

		if (old <= first || __sync_val_compare_and_swap(&slot->first, old, first) == old)
			break;
	}
	for (int i = 0; i < 16; i++) {
		__u64 old = slot->end;

		if (old >= end || __sync_val_compare_and_swap(&slot->end, old, end) == old)
			break;
	}
	if (slot->holder != holder)
		slot->holder = 0;
	/* Lost a race of widenings sixteen times: say no, the caller reports the part as unprotected. */
	return slot->first <= first && slot->end >= end;
}

static long sweep_wait(__u32 index, struct hf_control **held)
{
	struct hf_control *c = *held;

	return !c || !*(volatile __u32 *)&c->sweeping;
}

/* @return true: no sweep can delete entries until adder_leave() */
static __always_inline bool adder_enter(struct hf_control *c)
{
	if (!c)
		return false;
	__sync_fetch_and_add(&c->adders, 1);
	if (!*(volatile __u32 *)&c->sweeping)
		return true;
	/* The sweep runs on another processor (kprobes don't let themselves be preempted) and is about to see us and stop, or to finish. */
	bpf_loop(SWEEP_WAIT_LOOPS, sweep_wait, &c, 0);
	if (!*(volatile __u32 *)&c->sweeping)
		return true;
	__sync_fetch_and_add(&c->adders, -1);
	return false;
}

static __always_inline void adder_leave(struct hf_control *c)
{
	__sync_fetch_and_add(&c->adders, -1);
}

static __always_inline void account_slot(const struct hf_file_key *key, int n)
{
	__u32 device = key->device;
	struct hf_mount *mount = bpf_map_lookup_elem(&hf_mounts, &device);
	struct hf_fast *f = fast();

	if (f)
		__sync_fetch_and_add(&f->filter[filter_index(key->inode, device)], n);
	if (!mount && n > 0) {
		struct hf_control *c = control();
		struct hf_mount fresh = {.flags = c ? c->default_flags : 0};

		bpf_map_update_elem(&hf_mounts, &device, &fresh, BPF_NOEXIST);
		mount = bpf_map_lookup_elem(&hf_mounts, &device);
	}
	if (mount)
		__sync_fetch_and_add(&mount->leases, n);
}

/* Only when all HF_SLOTS are taken: the nearest one grows to cover the range too. @return 0, or -EAGAIN where widenings raced too often */
__noinline int slot_merge(struct hf_part *part, __u64 first, __u64 end, __u32 holder, __u32 flags)
{
	struct hf_slot *slot;

	if (!part)
		return -EINVAL;
	struct merge merge = {.key = part->file, .first = first, .end = end, .best_distance = ~0ull, .best = HF_NO_SLOT};

	bpf_loop(HF_SLOTS, merge_look, &merge, 0);
	if (merge.best >= HF_SLOTS)
		return -EAGAIN;
	slot = slot_at(&merge.key, merge.best);
	if (!slot || !slot_join(slot, first, end, holder, flags))
		return -EAGAIN;
	part->slot = merge.best;
	part->flags |= HF_PART_MERGED;
	return 0;
}

/* The high-water mark of chunks only ever grows: a plain store could take a racing adder's chunk out of the gate's sight. */
static __always_inline void raise_chunks(struct hf_file *file, __u32 chunks)
{
	for (int i = 0; i < HF_CHUNKS; i++) {
		__u32 old = file->chunks;

		if (old >= chunks || __sync_val_compare_and_swap(&file->chunks, old, chunks) == old)
			return;
	}
}

/*
 * Takes a slot for part->file [part->first, part->end), rounded out to pages. Sets part->slot, part->flags, part->reasons.
 * The caller is between adder_enter() and adder_leave().
 */
__noinline int slot_take(struct hf_part *part, __u32 holder, __u32 page_shift)
{
	if (!part)
		return -EINVAL;
	struct hf_file_key key = part->file;
	__u64 first = part->first, end = part->end;
	__u32 flags = part->flags & HF_PART_WINDOW ? HF_SLOT_WINDOW : 0;
	struct hf_file *file;
	int at;

	if (part->flags & HF_PART_WHOLE) {
		flags |= HF_SLOT_WHOLE;
		first = 0;
		end = HF_RANGE_END;
	} else {
		hf_round_out(&first, &end, page_shift < 12 ? 12 : page_shift);
	}
	file = bpf_map_lookup_elem(&hf_files, &key);
	if (!file) {
		static const struct hf_file none;

		bpf_map_update_elem(&hf_files, &key, &none, BPF_NOEXIST);
		file = bpf_map_lookup_elem(&hf_files, &key);
	}
	if (!file)
		goto no_room;
	/* The filter before the slot: the gate must not see the slot's file as surely free once the slot counts. */
	account_slot(&key, 1);
	at = claim_inline(file, first, end, holder, flags);
	if (at >= 0) {
		part->slot = at;
		return 0;
	}
	for (__u32 c = 0; c < HF_CHUNKS; c++) {
		struct hf_chunk_key chunk_key = {.file = key, .index = c};
		struct hf_chunk *chunk = bpf_map_lookup_elem(&hf_chunks, &chunk_key);

		if (!chunk) {
			static const struct hf_chunk none; /* in .rodata: a program's stack has 512 bytes for all its calls */

			bpf_map_update_elem(&hf_chunks, &chunk_key, &none, BPF_NOEXIST);
			chunk = bpf_map_lookup_elem(&hf_chunks, &chunk_key);
		}
		if (!chunk)
			break;
		/* Before the slot, for the same reason as the filter. */
		raise_chunks(file, c + 1);
		at = claim_chunk(chunk, first, end, holder, flags);
		if (at >= 0) {
			part->slot = HF_INLINE_SLOTS + c * HF_CHUNK_SLOTS + at;
			return 0;
		}
	}
	if (!slot_merge(part, first, end, holder, flags)) {
		__sync_fetch_and_add(&file->merged, 1);
		return 0;
	}
	account_slot(&key, -1);
no_room:
	part->slot = HF_NO_SLOT;
	part->reasons |= HF_REASON_NO_ROOM;
	return -EAGAIN;
}

static __always_inline void slot_give_back(const struct hf_part *part)
{
	struct hf_file_key key = part->file;
	struct hf_slot *slot;

	if (part->slot == HF_NO_SLOT)
		return;
	slot = slot_at(&key, part->slot);
	if (!slot)
		return;
	__sync_fetch_and_add(&slot->state, -1);
	if (part->flags & HF_PART_MERGED) {
		struct hf_file *file = bpf_map_lookup_elem(&hf_files, &key);

		if (file)
			__sync_fetch_and_add(&file->merged, -1);
	}
	/* The filter after the slot: see slot_take(). */
	account_slot(&key, -1);
}

struct ask {
	struct hf_file_key key;
	struct hf_question question;
	struct hf_answer answer;
};

/* @param held points to a pointer on the stack: on 6.1, callbacks and map keys take nothing but stack and map memory */
static long ask_chunk(__u32 index, struct ask **held)
{
	struct ask *ask = *held;
	struct hf_chunk_key chunk_key = {.index = index};
	struct hf_chunk *chunk;

	if (!ask)
		return 1;
	chunk_key.file = ask->key;
	chunk = bpf_map_lookup_elem(&hf_chunks, &chunk_key);
	if (chunk)
		hf_decide_slots(&ask->question, chunk->slots, HF_CHUNK_SLOTS, &ask->answer);
	return 0;
}

/* The decision over all slots of the file. @return the errno for the breaker, 0 = allowed */
__noinline int decide(struct ask *ask)
{
	struct ask *held = ask;
	struct hf_file_key key;
	struct hf_file *file;

	if (!ask)
		return 0;
	key = ask->key;
	file = bpf_map_lookup_elem(&hf_files, &key);
	if (!file)
		return 0;
	hf_decide_slots(&ask->question, file->slots, HF_INLINE_SLOTS, &ask->answer);
	if (file->chunks) {
		__u32 chunks = file->chunks;

		bpf_loop(chunks > HF_CHUNKS ? HF_CHUNKS : chunks, ask_chunk, &held, 0);
	}
	return ask->answer.error;
}

#endif
