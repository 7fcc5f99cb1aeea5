/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The tripwire: sees a layout break happen, whatever caused it, at the functions through which all of them pass (enum hf_choke).
 *
 * All are kprobe events, as the observer's: those of a filesystem's module can then come later and go again, and none is ever skipped, as an fentry program is when
 * the task that runs it is preempted and another one comes by on the same processor (__bpf_prog_enter_recur). Ranges are exact at these functions, so that an
 * operation beside the lease, or a larger size, trips nothing.
 *
 * Not a break, and not told:
 *   an inode that nobody has open or mapped any more (i_count 0) loses its pages by eviction, which moves no block that anyone reaches;
 *   reclaim, migration and khugepaged don't come by here: they leave pinned pages alone.
 *
 * Which way it fails: a probe that the kernel had to skip all the same is counted by it, and `holdfast status` says so.
 */
#ifndef HF_TRIPWIRE_BPF_H
#define HF_TRIPWIRE_BPF_H

#define TELL_AGAIN_NS 100000000ull

/* A last byte or page index, inclusive, as the kernel's functions have it, to an end; both -1 and LLONG_MAX mean the end of the file. */
static __always_inline __u64 end_of(__u64 last, __u32 shift)
{
	__u64 end = (last + 1) << shift;

	return last >= ~0ull >> (shift + 1) || end < last ? HF_RANGE_END : end;
}

/* @return the operation that the gate has taken this thread's work for */
static __always_inline __u32 op_of_thread(void)
{
	struct hf_hint *hint = bpf_task_storage_get(&hf_hints, bpf_get_current_task_btf(), 0, 0);

	return hint && hint->op < HF_OP_COUNT ? hint->op : HF_OP_NONE;
}

/* @return when the operation of this thread that touches these bytes began, as the gate saw it; 0 = it saw none */
static __always_inline __u64 passed_at(const struct hf_file_key *file, __u64 first, __u64 end)
{
	struct hf_flight_key key = {.thread = thread_key()};
	__u64 at = 0;

	for (__u32 side = 0; side < HF_SIDES; side++) {
		struct hf_flight *flight;

		key.side = side;
		flight = bpf_map_lookup_elem(&hf_flights, &key);
		if (flight && flight->file.inode == file->inode && flight->file.device == file->device && flight->file.generation == file->generation &&
		    hf_overlap(flight->first, flight->end, first, end))
			at = flight->start_ns;
	}
	return at;
}

enum hf_news { HF_NEWS_NONE, HF_NEWS_CHOKE, HF_NEWS_BREAK };

/* Is this a break that has not been told yet, or another choke point of the one that this thread is at, or nothing new? */
static __always_inline enum hf_news what_is_new(const struct hf_file_key *file, __u32 choke)
{
	struct hf_tripped fresh = {.file = *file, .time_ns = bpf_ktime_get_boot_ns(), .chokes = 1ull << choke};
	__u64 thread = thread_key();
	struct hf_tripped *last = bpf_map_lookup_elem(&hf_tripped, &thread);

	if (last && last->file.inode == file->inode && last->file.device == file->device && last->file.generation == file->generation &&
	    fresh.time_ns - last->time_ns < TELL_AGAIN_NS) {
		if (last->chokes & fresh.chokes)
			return HF_NEWS_NONE;
		last->chokes |= fresh.chokes;
		return HF_NEWS_CHOKE;
	}
	bpf_map_update_elem(&hf_tripped, &thread, &fresh, BPF_ANY);
	return HF_NEWS_BREAK;
}

static __noinline int tell_trip(void *ctx, struct ask *ask, __u32 choke, __u32 kind, __u32 magic)
{
	struct hf_escape *escape;
	struct hf_denial *event;
	long n;

	if (!ask)
		return 0;
	escape = bpf_ringbuf_reserve(&hf_escapes, sizeof(*escape), 0);
	if (!escape) {
		COUNT(escapes_lost, 1);
		return 0;
	}
	event = &escape->breaker;
	event->kind = kind;
	event->error = 0;
	event->detail = 0;
	event_fill(ctx, event, ask, magic);
	event->file_path[0] = 0;
	event->cut |= HF_CUT_FILE;
	escape->choke = choke;
	escape->passed_ns = passed_at(&ask->key, ask->question.first, ask->question.end);
	n = 0;
	if (!(event->task_flags & (PF_KTHREAD | PF_IO_WORKER)))
		n = bpf_get_stack(ctx, escape->user_stack, sizeof(escape->user_stack), BPF_F_USER_STACK | BPF_F_USER_BUILD_ID);
	escape->user_stack_bytes = n > 0 ? n : 0;
	bpf_ringbuf_submit(escape, 0);
	return 0;
}

/* A choke point is passed for [first, end) of the inode. @param inode any kernel pointer: it is only read with care */
static __noinline int trip(void *ctx, struct inode *inode, __u64 first, __u64 end, __u32 choke)
{
	struct super_block *sb = BPF_CORE_READ(inode, i_sb);
	struct ask ask = {};
	enum hf_news news;
	__u32 magic, kind;

	ask.key.inode = BPF_CORE_READ(inode, i_ino);
	ask.key.device = BPF_CORE_READ(sb, s_dev);
	if (first >= end || !may_be_leased(ask.key.inode, ask.key.device))
		return 0;
	magic = BPF_CORE_READ(sb, s_magic);
	if (!supported_magic(magic) || (BPF_CORE_READ(inode, i_mode) & S_IFMT) != S_IFREG || !BPF_CORE_READ(inode, i_count.counter))
		return 0;
	ask.key.generation = BPF_CORE_READ(inode, i_generation);
	ask.question.first = first;
	ask.question.end = end;
	/* What a maintenance window's command does to a file that nobody holds is no escape, nor what a holder may do to its own. */
	ask.question.task = bpf_get_current_pid_tgid() >> 32;
	ask.question.flags = HF_QUESTION_LEASES_ONLY | (policy_flags(ask.key.device) & HF_MOUNT_OWN_ALLOWED);
	decide(&ask);
	kind = bpf_map_lookup_elem(&hf_traced, &ask.key) ? HF_EVENT_TRACED : HF_EVENT_ESCAPE;
	if (kind == HF_EVENT_ESCAPE && !ask.answer.error)
		return 0;
	news = what_is_new(&ask.key, choke);
	if (news == HF_NEWS_NONE)
		return 0;
	if (news == HF_NEWS_BREAK && kind == HF_EVENT_ESCAPE)
		COUNT(escapes, 1);
	ask.question.op = op_of_thread();
	return tell_trip(ctx, &ask, choke, kind, magic);
}

static __always_inline int trip_mapping(void *ctx, struct address_space *mapping, __u64 first, __u64 end, __u32 choke)
{
	return trip(ctx, BPF_CORE_READ(mapping, host), first, end, choke);
}

/* ---- page cache and FS-DAX ---- */

/* Folios that the range cuts go with it where they can't be split. */
static __always_inline int trip_folios(void *ctx, struct address_space *mapping, __u64 first, __u64 end, __u32 choke)
{
	struct inode *inode = BPF_CORE_READ(mapping, host);
	struct span span = {first, end};

	if (may_be_leased(BPF_CORE_READ(inode, i_ino), BPF_CORE_READ(inode, i_sb, s_dev)))
		widen_to_folios(mapping, &span);
	return trip(ctx, inode, span.first, span.end, choke);
}

/* truncate_inode_pages_range(mapping, first, last) */
SEC("kprobe")
int hf_trip_truncate_pages(struct pt_regs *ctx)
{
	return trip_folios(ctx, (void *)PT_REGS_PARM1(ctx), PT_REGS_PARM2(ctx), end_of(PT_REGS_PARM3(ctx), 0), HF_CHOKE_TRUNCATE_PAGES);
}

/* invalidate_inode_pages2_range(mapping, first, last) */
SEC("kprobe")
int hf_trip_invalidate_pages(struct pt_regs *ctx)
{
	struct address_space *mapping = (void *)PT_REGS_PARM1(ctx);
	__u64 first = PT_REGS_PARM2(ctx);

	/* Under DAX what is dropped here is found again at the same block. Copy-on-write, which has given it another, went through __xfs_bunmapi(). */
	if (BPF_CORE_READ(mapping, host, i_flags) & S_DAX)
		return 0;
	return trip_folios(ctx, mapping, first << PAGE_SHIFT, end_of(PT_REGS_PARM3(ctx), PAGE_SHIFT), HF_CHOKE_INVALIDATE_PAGES);
}

static __always_inline int trip_folio(void *ctx, struct address_space *mapping, struct folio *folio, __u32 choke)
{
	__u64 first = BPF_CORE_READ(folio, index);

	return trip_mapping(ctx, mapping, first << PAGE_SHIFT, (first + folio_pages(folio)) << PAGE_SHIFT, choke);
}

/* folio_unmap_invalidate(mapping, folio, gfp), from 6.14 (mm: add FGP_DONTCACHE folio creation flag, and what came with it) */
SEC("kprobe")
int hf_trip_invalidate_folio(struct pt_regs *ctx)
{
	return trip_folio(ctx, (void *)PT_REGS_PARM1(ctx), (void *)PT_REGS_PARM2(ctx), HF_CHOKE_INVALIDATE_FOLIO);
}

/* ---- tmpfs and hugetlbfs ---- */

/* shmem_undo_range(inode, first, last, unfalloc) */
SEC("kprobe")
int hf_trip_shmem(struct pt_regs *ctx)
{
	/* A failed allocation gives back what it had allocated itself, which was never written. */
	if (PT_REGS_PARM4(ctx) & 0xff)
		return 0;
	return trip_folios(ctx, BPF_CORE_READ((struct inode *)PT_REGS_PARM1(ctx), i_mapping), PT_REGS_PARM2(ctx), end_of(PT_REGS_PARM3(ctx), 0), HF_CHOKE_SHMEM);
}

/* remove_inode_hugepages(inode, first, end) */
SEC("kprobe")
int hf_trip_hugetlb(struct pt_regs *ctx)
{
	return trip(ctx, (void *)PT_REGS_PARM1(ctx), PT_REGS_PARM2(ctx), end_of(PT_REGS_PARM3(ctx) - 1, 0), HF_CHOKE_HUGETLB);
}

/* ---- memory failure ---- */

/* mf_dax_kill_procs(mapping, index, count, flags) */
SEC("kprobe")
int hf_trip_poison_dax(struct pt_regs *ctx)
{
	__u64 first = PT_REGS_PARM2(ctx), end = first + PT_REGS_PARM3(ctx);

	return trip_mapping(ctx, (void *)PT_REGS_PARM1(ctx), first << PAGE_SHIFT, end << PAGE_SHIFT, HF_CHOKE_POISON_DAX);
}

/* generic_error_remove_folio(mapping, folio), and shmem's and hugetlbfs' */
SEC("kprobe")
int hf_trip_poison_folio(struct pt_regs *ctx)
{
	return trip_folio(ctx, (void *)PT_REGS_PARM1(ctx), (void *)PT_REGS_PARM2(ctx), HF_CHOKE_POISON_PAGE);
}

/* Before 6.8 these took a page. */
static __always_inline int trip_page(void *ctx, struct address_space *mapping, struct page *page, __u32 index_shift)
{
	unsigned long head = BPF_CORE_READ(page, compound_head);
	__u64 first;

	if (head & 1)
		page = (void *)(head - 1);
	first = (__u64)BPF_CORE_READ(page, index) << index_shift;
	return trip_mapping(ctx, mapping, first, first + (folio_pages(page) << PAGE_SHIFT), HF_CHOKE_POISON_PAGE);
}

/* generic_error_remove_page(mapping, page), and shmem's */
SEC("kprobe")
int hf_trip_poison_page(struct pt_regs *ctx)
{
	return trip_page(ctx, (void *)PT_REGS_PARM1(ctx), (void *)PT_REGS_PARM2(ctx), PAGE_SHIFT);
}

/* hugetlbfs_error_remove_page(mapping, page): counted in huge pages then */
SEC("kprobe")
int hf_trip_poison_huge_page(struct pt_regs *ctx)
{
	return trip_page(ctx, (void *)PT_REGS_PARM1(ctx), (void *)PT_REGS_PARM2(ctx), HUGE_PAGE_SHIFT);
}

/* ---- extents ---- */

/*
 * Extents [first, end), in blocks, of a file leave their place. Past the end of the file is nothing that anyone could have leased: a file that is closed
 * loses its preallocation there, and a truncate, which sets the size first, was seen by its pages.
 */
static __always_inline int trip_blocks(void *ctx, struct inode *inode, __u64 first, __u64 end, __u32 choke)
{
	__u32 shift = BPF_CORE_READ(inode, i_sb, s_blocksize_bits);
	__u64 size = BPF_CORE_READ(inode, i_size);

	first <<= shift & 63;
	if (first >= size)
		return 0;
	return trip(ctx, inode, first, end > HF_RANGE_END >> (shift & 63) ? HF_RANGE_END : end << (shift & 63), choke);
}

static long look_for_leases(void *map, const __u32 *device, struct hf_mount *mount, __u32 *found)
{
	*found = mount->leases != 0;
	return *found;
}

/* @return the kernel's inode of a struct xfs_inode *; NULL where that can't be told yet, which is counted where a lease could be concerned */
static __always_inline struct inode *xfs_vfs_inode(unsigned long ip)
{
	struct hf_control *c = control();
	__u32 leased = 0;

	if (c && c->xfs_inode_offset)
		return (void *)(ip + c->xfs_inode_offset);
	bpf_for_each_map_elem(&hf_mounts, look_for_leases, &leased, 0);
	if (leased)
		COUNT(tripwire_blind, 1);
	return NULL;
}

#define XFS_BMAPI_ATTRFORK (1u << 2)
#define XFS_BMAPI_COWFORK (1u << 8)

/* __xfs_bunmapi(tp, ip, start, *rlen, flags, nexts) */
SEC("kprobe")
int hf_trip_xfs_unmap(struct pt_regs *ctx)
{
	struct inode *inode;
	__u64 first = PT_REGS_PARM3(ctx), count = 0;

	if (PT_REGS_PARM5(ctx) & (XFS_BMAPI_ATTRFORK | XFS_BMAPI_COWFORK))
		return 0;
	inode = xfs_vfs_inode(PT_REGS_PARM2(ctx));
	if (!inode || bpf_probe_read_kernel(&count, sizeof(count), (void *)PT_REGS_PARM4(ctx)))
		return 0;
	return trip_blocks(ctx, inode, first, first + count < first ? ~0ull : first + count, HF_CHOKE_XFS_UNMAP);
}

/* xfs_reflink_remap_blocks(src, pos_in, dest, pos_out, remap_len, *remapped): the destination's blocks pass by __xfs_bunmapi() */
SEC("kprobe")
int hf_trip_xfs_share(struct pt_regs *ctx)
{
	struct inode *inode = xfs_vfs_inode(PT_REGS_PARM1(ctx));
	__u64 first = PT_REGS_PARM2(ctx);

	return inode ? trip(ctx, inode, first, first + PT_REGS_PARM5(ctx), HF_CHOKE_XFS_SHARE) : 0;
}

/* xfs_swap_extents(ip, tip, sxp) */
SEC("kprobe")
int hf_trip_xfs_swap(struct pt_regs *ctx)
{
	struct inode *inode = xfs_vfs_inode(PT_REGS_PARM1(ctx));

	if (!inode)
		return 0;
	trip(ctx, inode, 0, HF_RANGE_END, HF_CHOKE_XFS_SWAP);
	return trip(ctx, xfs_vfs_inode(PT_REGS_PARM2(ctx)), 0, HF_RANGE_END, HF_CHOKE_XFS_SWAP);
}

/* ext4_ext_remove_space(inode, start, end): blocks, the last one included */
SEC("kprobe")
int hf_trip_ext4_remove(struct pt_regs *ctx)
{
	return trip_blocks(ctx, (void *)PT_REGS_PARM1(ctx), (__u32)PT_REGS_PARM2(ctx), (__u64)(__u32)PT_REGS_PARM3(ctx) + 1, HF_CHOKE_EXT4_REMOVE);
}

/* ext4_ind_remove_space(handle, inode, start, end): end is not included */
SEC("kprobe")
int hf_trip_ext4_indirect(struct pt_regs *ctx)
{
	return trip_blocks(ctx, (void *)PT_REGS_PARM2(ctx), (__u32)PT_REGS_PARM3(ctx), (__u32)PT_REGS_PARM4(ctx), HF_CHOKE_EXT4_INDIRECT);
}

/* ext4_ext_shift_extents(inode, handle, start, shift, direction): all from start on */
SEC("kprobe")
int hf_trip_ext4_shift(struct pt_regs *ctx)
{
	return trip_blocks(ctx, (void *)PT_REGS_PARM1(ctx), (__u32)PT_REGS_PARM3(ctx), ~0ull, HF_CHOKE_EXT4_SHIFT);
}

#if defined(__TARGET_ARCH_x86)
#define SIXTH_ARGUMENT(ctx) ((ctx)->r9)
#else
#define SIXTH_ARGUMENT(ctx) HF_RANGE_END /* not known: to the end, then */
#endif

/* ext4_swap_extents(handle, inode1, inode2, lblk1, lblk2, count, ...) */
SEC("kprobe")
int hf_trip_ext4_swap(struct pt_regs *ctx)
{
	__u64 first = (__u32)PT_REGS_PARM4(ctx), second = (__u32)PT_REGS_PARM5(ctx), count = (__u32)SIXTH_ARGUMENT(ctx);

	trip_blocks(ctx, (void *)PT_REGS_PARM2(ctx), first, first + count, HF_CHOKE_EXT4_SWAP);
	return trip_blocks(ctx, (void *)PT_REGS_PARM3(ctx), second, second + count, HF_CHOKE_EXT4_SWAP);
}

#endif
