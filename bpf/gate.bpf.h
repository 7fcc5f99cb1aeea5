/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The gate: refuses operations that would change the layout of leased bytes. It decides in the kernel, without waiting and without user space.
 *
 * Hooks, and what each sees:
 *   lsm/inode_setattr        every way to set a smaller size (notify_change): truncate, O_TRUNC, io_uring, nfsd, overlayfs
 *   lsm/file_permission      fallocate, clone, dedupe, copy, exchange: the last look before the filesystem works
 *                            writes with O_DIRECT to the page cache too
 *   lsm/file_ioctl{,_compat} layout calls that reach a filesystem's own code; loop devices that are put on a file; what holdfast-pin asks (kmod/holdfast_pin.h)
 *   lsm/inode_file_setattr   attributes, from 6.17 (fs: add file_setattr()): the ioctls before it
 *   fentry vfs_fallocate, vfs_clone_file_range, do_clone_file_range, vfs_dedupe_file_range{,_one}, vfs_copy_file_range, remap_verify_area
 *                            leave a hint for file_permission: which operation, which range
 *   fexit of those and of notify_change  take it back
 *
 * A BPF LSM program runs only where those before it have allowed the operation (the trampoline ends at the first refusal), so none looks at their answer.
 *
 * Which way it fails: closed. LSM programs always run; a tracing program is skipped when the same one was interrupted on this processor
 * (__bpf_prog_enter_recur), so a hint can be missing. file_permission then looks at its own call stack, and refuses the operation on the whole file, or for
 * fallocate(2) on the range that the caller's registers have.
 */
#ifndef HF_GATE_BPF_H
#define HF_GATE_BPF_H

#include "holdfast_pin.h"

__noinline int lease_bind(__u64 id, struct hf_file_key *file);
__noinline int lease_unbind(__u64 id, struct hf_file_key *file);

#define STACK_LOOK 16
#define HF_HARMLESS HF_OP_COUNT /* in a hint's place for the operation: it moves nothing */

static __always_inline __u64 thread_key(void)
{
	return bpf_get_current_pid_tgid();
}

/* ---- operations under way, for a registration that starts while one runs ---- */

static __always_inline void flight_begin(__u32 side, const struct hf_file_key *file, __u64 first, __u64 end)
{
	struct hf_flight_key key = {.thread = thread_key(), .side = side};
	struct hf_flight flight = {.file = *file, .first = first, .end = end, .start_ns = bpf_ktime_get_boot_ns()};
	struct hf_fast *f = fast();

	if (!bpf_map_update_elem(&hf_flights, &key, &flight, BPF_NOEXIST)) {
		if (f)
			__sync_fetch_and_add(&f->flights, 1);
	} else {
		bpf_map_update_elem(&hf_flights, &key, &flight, BPF_ANY);
	}
}

/* @param passed the operation ran; false where it was refused */
static __always_inline void flight_end(__u32 side, bool passed)
{
	struct hf_flight_key key = {.thread = thread_key(), .side = side};
	struct hf_fast *f = fast();

	if (!f || !f->flights)
		return;
	if (passed && bpf_map_lookup_elem(&hf_flights, &key))
		__sync_fetch_and_add(&f->passed, 1);
	if (!bpf_map_delete_elem(&hf_flights, &key))
		__sync_fetch_and_add(&f->flights, -1);
}

/* ---- the judgement ---- */

/* Two constants, so that the verifier sees that a hook returns an errno and nothing else. */
static __always_inline int refusal(const struct ask *ask)
{
	return ask->answer.error == HF_EDEADLK ? -HF_EDEADLK : -HF_ETXTBSY;
}

/*
 * XFS gives the blocks around a shared one their new places in advance, and the next write to any of them takes its own
 * (xfs_get_cowextsz_hint(), xfs_find_trim_cow_extent()): what is shared beside a lease moves leased blocks later, in writes that can't be refused.
 */
static __always_inline bool moves_what_is_beside(const struct inode *inode, __u32 op)
{
	switch (op) {
	case HF_OP_REFLINK:
	case HF_OP_REFLINK_FROM:
	case HF_OP_DEDUPE:
	case HF_OP_DEDUPE_FROM:
	case HF_OP_COPY:
	case HF_OP_COPY_FROM:
	case HF_OP_EXCHANGE:
		return BPF_CORE_READ(inode, i_sb, s_magic) == XFS_SUPER_MAGIC;
	}
	return false;
}

/*
 * Pages beside the lease, but in one folio with pages of it, go together. An empty range is a truncate that does not shrink: it cuts the folio at the new
 * size all the same (truncate_setsize()).
 */
static __always_inline bool widen_to_pages(struct address_space *mapping, __u32 op, struct span *span)
{
	switch (op) {
	case HF_OP_REFLINK_FROM:
	case HF_OP_DEDUPE_FROM:
	case HF_OP_COPY_FROM:
	case HF_OP_UNSHARE:
		return false;
	}
	return widen_to_folios(mapping, span);
}

/* What touches no leased byte, and yet moves some. @return the errno for the breaker, 0 = allowed */
static __noinline int decide_beside(struct inode *inode, struct ask *ask)
{
	struct hf_question asked = ask->question;
	bool empty = asked.end <= asked.first;
	struct span span = {asked.first, empty ? HF_RANGE_END : asked.end};
	struct hf_file_key key = ask->key;

	if (!bpf_map_lookup_elem(&hf_files, &key))
		return 0;
	if (moves_what_is_beside(inode, asked.op)) {
		span.first = 0;
		span.end = HF_RANGE_END;
	} else if (!widen_to_pages(BPF_CORE_READ(inode, i_mapping), asked.op, &span)) {
		return 0;
	}
	ask->question.first = span.first;
	ask->question.end = empty ? asked.first : span.end;
	decide(ask);
	ask->question.first = asked.first;
	ask->question.end = asked.end;
	return ask->answer.error;
}

/* @return 0 or the negative errno for the breaker */
static __always_inline int judge(void *ctx, struct ask *ask, struct inode *inode, struct dentry *dentry, __u64 detail, __u32 magic)
{
	if (!decide_all(ask) && !decide_beside(inode, ask))
		return 0;
	report_denial(ctx, ask, dentry, detail, magic);
	return refusal(ask);
}

static __always_inline bool guarded_inode(struct inode *inode)
{
	return (inode->i_mode & S_IFMT) == S_IFREG && supported_magic(inode->i_sb->s_magic);
}

/* ---- truncate ---- */

static __always_inline int on_setattr(void *ctx, struct dentry *dentry, struct iattr *attr)
{
	struct inode *inode = dentry->d_inode;
	struct ask ask = {};
	int error;

	if (!(attr->ia_valid & ATTR_SIZE) || !inode || !guarded_inode(inode))
		return 0;
	ask.question.op = HF_OP_TRUNCATE;
	hf_range_truncate(attr->ia_size, inode->i_size, &ask.question);
	key_of(inode, &ask.key);
	if (ask.question.end == ask.question.first) {
		/* One that grows the file waits for its pins all the same; without DAX it cuts a folio at the new size. */
		if (!(inode->i_flags & S_DAX))
			return may_be_leased(ask.key.inode, ask.key.device) ? judge(ctx, &ask, inode, dentry, attr->ia_size, inode->i_sb->s_magic) : 0;
		hf_range_whole(&ask.question);
	}
	/* Under way before the slots are read: a registration that takes a slot meanwhile sees it, or we see the slot. */
	flight_begin(HF_SIDE_SIZE, &ask.key, ask.question.first, ask.question.end);
	if (!may_be_held(ask.key.inode, ask.key.device))
		return 0;
	error = judge(ctx, &ask, inode, dentry, attr->ia_size, inode->i_sb->s_magic);
	if (error)
		flight_end(HF_SIDE_SIZE, false);
	return error;
}

SEC("lsm/inode_setattr")
int BPF_PROG(hf_inode_setattr, void *idmap, struct dentry *dentry, struct iattr *attr)
{
	return on_setattr(ctx, dentry, attr);
}

/* Where security_inode_setattr() has no idmap (6.1; it has one in 6.12). The loader takes the one that fits the kernel's BTF. */
SEC("lsm/inode_setattr")
int BPF_PROG(hf_inode_setattr_2, struct dentry *dentry, struct iattr *attr)
{
	return on_setattr(ctx, dentry, attr);
}

SEC("fexit/notify_change")
int BPF_PROG(hf_notify_change_return)
{
	flight_end(HF_SIDE_SIZE, true);
	return 0;
}

/* ---- hints: which operation, which range ---- */

static __always_inline struct hf_hint *hint_of_current(__u64 flags)
{
	if (hf_drop_hints)
		return NULL;
	return bpf_task_storage_get(&hf_hints, bpf_get_current_task_btf(), 0, flags);
}

/* @param flight_side where the operation is noted as under way; the side itself, but for an exchange, whose both files are written */
static __always_inline void hint_side(struct hf_hint *hint, __u32 side, __u32 flight_side, struct file *file, __u64 first, __u64 end)
{
	struct inode *inode = file->f_inode;
	struct hf_file_key key;

	if (hint) {
		hint->file[side & 1] = (__u64)file;
		hint->first[side & 1] = first;
		hint->end[side & 1] = end;
		hint->judged &= ~(1u << (side & 1));
	}
	if (!guarded_inode(inode))
		return;
	key_of(inode, &key);
	if (hint && moves_what_is_beside(inode, hint->op)) {
		first = 0;
		end = HF_RANGE_END;
	}
	flight_begin(flight_side, &key, first, end);
}

static __always_inline struct hf_hint *hint_begin(__u32 op, __u64 detail)
{
	struct hf_hint *hint = hint_of_current(BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (hint) {
		__builtin_memset(hint, 0, sizeof(*hint));
		hint->op = op;
		hint->detail = detail;
	}
	return hint;
}

/* An operation that moves nothing, but comes by the same way as those that do: known, so that its stack is not taken for a missed hint. */
static __always_inline void hint_harmless(struct file *from, struct file *into)
{
	struct hf_hint *hint = hint_begin(HF_HARMLESS, 0);

	if (hint) {
		hint->file[HF_SIDE_FROM] = (__u64)from;
		hint->file[HF_SIDE_INTO] = (__u64)into;
		hint->judged = 1u << HF_SIDE_FROM | 1u << HF_SIDE_INTO;
	}
}

/* One that moves nothing, either, but waits for the file's pins: known, and judged against leases of the whole file. */
static __always_inline void hint_waits(struct file *file, __u64 detail)
{
	struct hf_question question = {};

	hf_range_whole(&question);
	hint_side(hint_begin(HF_HARMLESS, detail), HF_SIDE_INTO, HF_SIDE_INTO, file, question.first, question.end);
}

static __always_inline int operation_return(void)
{
	struct hf_hint *hint = hint_of_current(0);

	if (hint)
		hint->op = HF_OP_NONE;
	flight_end(HF_SIDE_FROM, true);
	flight_end(HF_SIDE_INTO, true);
	return 0;
}

SEC("fentry/vfs_fallocate")
int BPF_PROG(hf_fallocate, struct file *file, int mode, long long offset, long long length)
{
	struct hf_question question = {};

	if (!hf_question_fallocate(mode, offset, length, &question)) {
		if (file->f_inode->i_flags & S_DAX)
			hint_waits(file, mode);
		else
			hint_harmless(NULL, file);
		return 0;
	}
	hint_side(hint_begin(question.op, (__u32)mode), HF_SIDE_INTO, HF_SIDE_INTO, file, question.first, question.end);
	return 0;
}

SEC("fexit/vfs_fallocate")
int BPF_PROG(hf_fallocate_return)
{
	return operation_return();
}

/* Length 0 means to the end of the source, which may still grow until the filesystem has locked it. */
static __always_inline __u64 span_end(__u64 first, __u64 length)
{
	return length && first + length > first ? first + length : HF_RANGE_END;
}

static __always_inline void hint_two(__u32 op, struct file *from, __u64 from_first, struct file *into, __u64 into_first, __u64 length)
{
	struct hf_hint *hint = hint_begin(op, length);

	hint_side(hint, HF_SIDE_FROM, HF_SIDE_FROM, from, from_first, span_end(from_first, length));
	hint_side(hint, HF_SIDE_INTO, HF_SIDE_INTO, into, into_first, span_end(into_first, length));
}

SEC("fentry/vfs_clone_file_range")
int BPF_PROG(hf_clone, struct file *from, long long from_first, struct file *into, long long into_first, long long length)
{
	hint_two(HF_OP_REFLINK, from, from_first, into, into_first, length);
	return 0;
}

SEC("fexit/vfs_clone_file_range")
int BPF_PROG(hf_clone_return)
{
	return operation_return();
}

/* Where it still exists (6.1; gone in 6.12), overlayfs' copy-up calls it directly. */
SEC("fentry/do_clone_file_range")
int BPF_PROG(hf_clone_inner, struct file *from, long long from_first, struct file *into, long long into_first, long long length)
{
	hint_two(HF_OP_REFLINK, from, from_first, into, into_first, length);
	return 0;
}

SEC("fexit/do_clone_file_range")
int BPF_PROG(hf_clone_inner_return)
{
	return operation_return();
}

/* Looks at the source once for all destinations, before any vfs_dedupe_file_range_one(). */
SEC("fentry/vfs_dedupe_file_range")
int BPF_PROG(hf_dedupe_all, struct file *from, struct file_dedupe_range *same)
{
	struct hf_hint *hint = hint_begin(HF_OP_DEDUPE, 0);
	__u64 first = same->src_offset;

	hint_side(hint, HF_SIDE_FROM, HF_SIDE_FROM, from, first, span_end(first, same->src_length));
	return 0;
}

SEC("fexit/vfs_dedupe_file_range")
int BPF_PROG(hf_dedupe_all_return)
{
	return operation_return();
}

SEC("fentry/vfs_dedupe_file_range_one")
int BPF_PROG(hf_dedupe, struct file *from, long long from_first, struct file *into, long long into_first, long long length)
{
	hint_two(HF_OP_DEDUPE, from, from_first, into, into_first, length);
	return 0;
}

SEC("fexit/vfs_dedupe_file_range_one")
int BPF_PROG(hf_dedupe_return)
{
	return operation_return();
}

/* A copy is an ordinary write of content, except where the filesystem may share extents instead. */
static __always_inline bool copy_may_share(struct file *from, struct file *into)
{
	return into->f_op->copy_file_range || (from->f_op->remap_file_range && from->f_inode->i_sb == into->f_inode->i_sb);
}

SEC("fentry/vfs_copy_file_range")
int BPF_PROG(hf_copy, struct file *from, long long from_first, struct file *into, long long into_first, unsigned long length)
{
	if (length && copy_may_share(from, into))
		hint_two(HF_OP_COPY, from, from_first, into, into_first, length);
	else
		hint_harmless(from, into);
	return 0;
}

SEC("fexit/vfs_copy_file_range")
int BPF_PROG(hf_copy_return)
{
	return operation_return();
}

/* XFS_IOC_EXCHANGE_RANGE and XFS_IOC_COMMIT_RANGE (6.10) check each file here; file_ioctl has left the operation. */
SEC("fentry/remap_verify_area")
int BPF_PROG(hf_remap_verify, struct file *file, long long first, long long length, bool write)
{
	struct hf_hint *hint = hint_of_current(0);

	if (hint && hint->op == HF_OP_EXCHANGE)
		hint_side(hint, HF_SIDE_INTO, hint->file[HF_SIDE_INTO] ? HF_SIDE_INTO : HF_SIDE_FROM, file, first, span_end(first, length));
	return 0;
}

/* ---- file_permission: the last look ---- */

static __always_inline __u32 op_of_side(__u32 op, __u32 side)
{
	if (side == HF_SIDE_INTO)
		return op;
	switch (op) {
	case HF_OP_REFLINK:
		return HF_OP_REFLINK_FROM;
	case HF_OP_DEDUPE:
		return HF_OP_DEDUPE_FROM;
	case HF_OP_COPY:
		return HF_OP_COPY_FROM;
	default:
		return op;
	}
}

/* Native system calls that only move content: whoever comes from one is no breaker. Numbers of x86-64; elsewhere the stack decides. */
static __always_inline bool plain_io_syscall(void)
{
#if defined(__TARGET_ARCH_x86)
	struct task_struct *task = bpf_get_current_task_btf();
	struct pt_regs *regs;

	if ((task->flags & (PF_KTHREAD | PF_IO_WORKER)) || (task->thread_info.status & TS_COMPAT))
		return false;
	regs = (void *)bpf_task_pt_regs(task);
	switch (regs->orig_ax) {
	case 0: /* read */
	case 1: /* write */
	case 17: /* pread64 */
	case 18: /* pwrite64 */
	case 19: /* readv */
	case 20: /* writev */
	case 40: /* sendfile */
	case 275: /* splice */
	case 295: /* preadv */
	case 296: /* pwritev */
	case 327: /* preadv2 */
	case 328: /* pwritev2 */
		return true;
	}
#endif
	return false;
}

/* @return true: this thread is in a native fallocate(2), whose arguments are the question (HF_OP_NONE where it moves nothing) */
static __always_inline bool fallocate_of_registers(struct hf_question *question)
{
#if defined(__TARGET_ARCH_x86)
	struct task_struct *task = bpf_get_current_task_btf();
	struct pt_regs *regs;

	if ((task->flags & (PF_KTHREAD | PF_IO_WORKER)) || (task->thread_info.status & TS_COMPAT))
		return false;
	regs = (void *)bpf_task_pt_regs(task);
	if (regs->orig_ax != 285)
		return false;
	hf_question_fallocate(regs->si, regs->dx, regs->r10, question);
	return true;
#else
	return false;
#endif
}

struct stack_look {
	__u64 stack[STACK_LOOK];
	__u32 op;
};

static long look_at_frame(__u32 index, struct stack_look *look)
{
	__u64 ip;

	if (index >= STACK_LOOK)
		return 1;
	ip = look->stack[index];
	if (!ip)
		return 1;
	for (int i = 0; i < HF_SPANS; i++)
		if (ip > hf_spans[i].first && ip <= hf_spans[i].end) {
			look->op = hf_spans[i].op;
			return 1;
		}
	return 0;
}

/* @return the operation on whose behalf file_permission was called, from the call stack; HF_OP_NONE for a plain read or write */
static __noinline __u32 op_from_stack(void *ctx)
{
	struct stack_look look = {};

	if (bpf_get_stack(ctx, look.stack, sizeof(look.stack), 0) <= 0)
		return HF_OP_LAYOUT_CALL;
	bpf_loop(STACK_LOOK, look_at_frame, &look, 0);
	return look.op;
}

/*
 * The bytes that a write with O_DIRECT touches, as far as the system call tells them before it runs: of pwrite64() and write() exactly, of the vectored
 * ones from their offset on, of all others (io_uring, io_submit, splice) the whole file.
 */
static __always_inline void range_of_write(struct file *file, struct hf_question *question)
{
	question->first = 0;
	question->end = HF_RANGE_END;
#if defined(__TARGET_ARCH_x86)
	struct task_struct *task = bpf_get_current_task_btf();
	struct pt_regs *regs;
	__u64 first;

	if ((task->flags & (PF_KTHREAD | PF_IO_WORKER)) || (task->thread_info.status & TS_COMPAT))
		return;
	regs = (void *)bpf_task_pt_regs(task);
	first = file->f_flags & O_APPEND ? file->f_inode->i_size : file->f_pos;
	switch (regs->orig_ax) {
	case 1: /* write */
		break;
	case 18: /* pwrite64 */
		first = file->f_flags & O_APPEND ? first : regs->r10;
		break;
	case 20: /* writev */
		question->first = first;
		return;
	case 296: /* pwritev */
		question->first = file->f_flags & O_APPEND ? first : regs->r10;
		return;
	default:
		return;
	}
	question->first = first;
	question->end = first + regs->dx < first ? HF_RANGE_END : first + regs->dx;
#endif
}

/* Such a write drops the pages of its range from the page cache, pinned or not (kiocb_invalidate_pages()). Under DAX there are none, and tmpfs keeps its own. */
static __always_inline bool drops_pages(struct file *file, __u32 side)
{
	struct inode *inode = file->f_inode;

	return side == HF_SIDE_INTO && (file->f_flags & O_DIRECT) && !(inode->i_flags & S_DAX) &&
	       (inode->i_sb->s_magic == XFS_SUPER_MAGIC || inode->i_sb->s_magic == EXT4_SUPER_MAGIC);
}

static __always_inline int judge_file(void *ctx, struct file *file, struct ask *ask, __u64 detail)
{
	return judge(ctx, ask, file->f_inode, file->f_path.dentry, detail, file->f_inode->i_sb->s_magic);
}

/* Apart from the hook, whose every call would otherwise clear this one's stack first: a read or write of a file that nobody holds gets no further than that. */
static __noinline int permission_of_held(void *ctx, struct file *file, int mask)
{
	struct inode *inode = file->f_inode;
	struct hf_hint *hint;
	struct ask ask = {};
	__u32 side;
	int error;

	if (!guarded_inode(inode))
		return 0;
	side = mask & MAY_WRITE ? HF_SIDE_INTO : HF_SIDE_FROM;
	key_of(inode, &ask.key);
	hint = hint_of_current(0);
	if (hint && hint->op && hint->file[side & 1] == (__u64)file) {
		/* Known to be harmless, or seen already: what follows inside a copy are its plain reads and writes. */
		if (hint->judged & (1u << side))
			return 0;
		hint->judged |= 1u << side;
		ask.question.op = op_of_side(hint->op, side);
		ask.question.first = hint->first[side & 1];
		ask.question.end = hint->end[side & 1];
		if (hint->op == HF_HARMLESS) {
			/* hint_waits() */
			ask.question.op = HF_OP_LAYOUT_CALL;
			hf_range_whole(&ask.question);
		}
		error = judge_file(ctx, file, &ask, hint->detail);
		if (error) {
			flight_end(HF_SIDE_FROM, false);
			flight_end(HF_SIDE_INTO, false);
		}
		return error;
	}
	if (drops_pages(file, side)) {
		ask.question.op = HF_OP_DIRECT_WRITE;
		range_of_write(file, &ask.question);
		error = judge_file(ctx, file, &ask, 0);
		if (error)
			return error;
	}
	if (plain_io_syscall())
		return 0;
	ask.question.op = op_from_stack(ctx);
	if (!ask.question.op)
		return 0;
	if (ask.question.op == HF_OP_COPY && !file->f_op->remap_file_range && !file->f_op->copy_file_range)
		return 0;
	COUNT(hints_missed, 1);
	/* The stack does not tell an allocation from a punch: where the registers don't either, it is refused as well. */
	if (!fallocate_of_registers(&ask.question)) {
		ask.question.op = HF_OP_LAYOUT_CALL;
		ask.question.first = 0;
		ask.question.end = HF_RANGE_END;
	} else if (!ask.question.op && (inode->i_flags & S_DAX)) {
		ask.question.op = HF_OP_LAYOUT_CALL;
		hf_range_whole(&ask.question);
	}
	return ask.question.op ? judge_file(ctx, file, &ask, 0) : 0;
}

SEC("lsm/file_permission")
int BPF_PROG(hf_file_permission, struct file *file, int mask)
{
	struct inode *inode = file->f_inode;

	return may_be_held(inode->i_ino, inode->i_sb->s_dev) ? permission_of_held(ctx, file, mask) : 0;
}

/* ---- what the kernel module holdfast-pin asks ---- */

/*
 * It calls security_file_ioctl() itself, on the file that it is about. User space can send such a command as well: so the first is answered to the daemon
 * alone, and the second to a kernel thread.
 */
static __always_inline bool pin_call(struct file *file, __u32 command, __u64 lease)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct hf_control *c = control();
	struct hf_file_key key;

	if (command != HOLDFAST_PIN_GATE_BIND && command != HOLDFAST_PIN_GATE_END)
		return false;
	key_of(file->f_inode, &key);
	if (command == HOLDFAST_PIN_GATE_END)
		return (task->flags & PF_KTHREAD) && lease_unbind(lease, &key);
	return c && c->daemon_tgid == bpf_get_current_pid_tgid() >> 32 && lease_bind(lease, &key);
}

/* ---- layout calls of the filesystems ---- */

#define CALL(type, nr) (((type) << 8) | (nr)) /* the low half of an ioctl command: the same for 32-bit callers, whose sizes differ */

/* @return the operation, HF_OP_NONE for a command that moves nothing */
static __always_inline __u32 op_of_ioctl(__u32 command, __u32 magic)
{
	switch (command & 0xffff) {
	case CALL('f', 2):  /* FS_IOC_SETFLAGS */
	case CALL('X', 32): /* FS_IOC_FSSETXATTR */
		return HF_OP_ATTRIBUTES;
	case CALL('v', 2): /* FS_IOC_SETVERSION: another generation is another key, under which no lease is found */
	case CALL('f', 4): /* EXT4_IOC_SETVERSION_OLD */
		return magic == EXT4_SUPER_MAGIC ? HF_OP_ATTRIBUTES : HF_OP_NONE;
	case CALL('f', 133): /* FS_IOC_ENABLE_VERITY */
		return HF_OP_VERITY;
	case CALL('X', 109): /* XFS_IOC_SWAPEXT */
		return magic == XFS_SUPER_MAGIC ? HF_OP_SWAP_EXTENTS : HF_OP_NONE;
	case CALL('X', 129): /* XFS_IOC_EXCHANGE_RANGE */
	case CALL('X', 131): /* XFS_IOC_COMMIT_RANGE */
		return magic == XFS_SUPER_MAGIC ? HF_OP_EXCHANGE : HF_OP_NONE;
	case CALL('f', 15): /* EXT4_IOC_MOVE_EXT */
		return magic == EXT4_SUPER_MAGIC ? HF_OP_MOVE_EXTENTS : HF_OP_NONE;
	case CALL('f', 17): /* EXT4_IOC_SWAP_BOOT */
		return magic == EXT4_SUPER_MAGIC ? HF_OP_SWAP_BOOT : HF_OP_NONE;
	case CALL('f', 9): /* EXT4_IOC_MIGRATE */
		return magic == EXT4_SUPER_MAGIC ? HF_OP_MIGRATE : HF_OP_NONE;
	}
	return HF_OP_NONE;
}

/* The other file of the call is named by a number in user memory, which may change after any look at it: so the whole filesystem counts as touched. */
static __always_inline bool names_another_file(__u32 op)
{
	return op == HF_OP_SWAP_EXTENTS || op == HF_OP_MOVE_EXTENTS;
}

/* @return whether the file behind a descriptor of this task is leased against this operation */
static __always_inline bool named_file_refuses(struct ask *ask, __s64 fd)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct file *file = NULL, **table = BPF_CORE_READ(task, files, fdt, fd);
	struct inode *inode;

	if (fd < 0 || fd >= BPF_CORE_READ(task, files, fdt, max_fds) || bpf_probe_read_kernel(&file, sizeof(file), &table[fd]) || !file)
		return true;
	inode = BPF_CORE_READ(file, f_inode);
	ask->key.inode = BPF_CORE_READ(inode, i_ino);
	ask->key.device = BPF_CORE_READ(inode, i_sb, s_dev);
	ask->key.generation = BPF_CORE_READ(inode, i_generation);
	return decide_all(ask);
}

/*
 * The command of a maintenance window is the administrator's: its memory is not expected to change under its own call, so that its defragmenter may work beside
 * leases on other files. The files that it names are looked at: struct xfs_swapext {version, fdtarget, fdtmp: 64 bits each}, struct move_extent
 * {reserved, donor_fd: 32 bits each}.
 */
__noinline int window_names_free_files(struct ask *ask, __u64 argument)
{
	__s64 swap[3] = {};
	__u32 move[2] = {};

	if (!ask || !ask->question.window)
		return 0;
	if (ask->question.op == HF_OP_SWAP_EXTENTS)
		return !bpf_probe_read_user(swap, sizeof(swap), (void *)argument) && !named_file_refuses(ask, swap[1]) && !named_file_refuses(ask, swap[2]);
	return !bpf_probe_read_user(move, sizeof(move), (void *)argument) && !named_file_refuses(ask, move[1]);
}

static __always_inline bool tell_facts(struct file *file, __u32 command)
{
	struct hf_control *c = control();
	struct inode *inode = file->f_inode;
	struct hf_facts *facts;
	__u32 zero = 0;

	if (command != HF_IOCTL_FACTS || !c || c->daemon_tgid != bpf_get_current_pid_tgid() >> 32)
		return false;
	facts = bpf_map_lookup_elem(&hf_facts, &zero);
	if (!facts)
		return false;
	key_of(inode, &facts->file);
	facts->size_bytes = inode->i_size;
	facts->magic = inode->i_sb->s_magic;
	facts->mode = inode->i_mode;
	facts->block_shift = inode->i_sb->s_blocksize_bits;
	facts->flags = inode->i_flags & S_DAX ? HF_PART_DAX : 0;
	facts->valid = 1;
	return true;
}

/* @return the descriptor that a loop device is told to stand on; -1 for another command. LOOP_CONFIGURE has it as the first word of its argument. */
static __always_inline int loop_descriptor(__u32 command, unsigned long argument)
{
	__u32 fd = 0;

	switch (command & 0xffff) {
	case CALL('L', 0): /* LOOP_SET_FD */
	case CALL('L', 6): /* LOOP_CHANGE_FD */
		return argument;
	case CALL('L', 10): /* LOOP_CONFIGURE */
		return bpf_probe_read_user(&fd, sizeof(fd), (void *)argument) ? -1 : (int)fd;
	}
	return -1;
}

/*
 * A loop device on a leased file: its discards reach the filesystem's fallocate() past vfs_fallocate() and every security hook (lo_fallocate()), so it may
 * not be made. The descriptor is looked up before the kernel does it: who swaps it in between gets his device, and the tripwire sees what it does.
 */
static __noinline int on_loop_attach(void *ctx, __u32 fd, __u32 command)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	struct file **files = BPF_CORE_READ(table, fd);
	struct file *file = NULL;
	struct ask ask = {};
	struct inode *inode;
	__u32 magic;

	if (fd >= BPF_CORE_READ(table, max_fds) || bpf_probe_read_kernel(&file, sizeof(file), files + fd) || !file)
		return 0;
	inode = BPF_CORE_READ(file, f_inode);
	magic = BPF_CORE_READ(inode, i_sb, s_magic);
	ask.key.inode = BPF_CORE_READ(inode, i_ino);
	ask.key.device = BPF_CORE_READ(inode, i_sb, s_dev);
	ask.key.generation = BPF_CORE_READ(inode, i_generation);
	if (!supported_magic(magic) || !may_be_held(ask.key.inode, ask.key.device))
		return 0;
	ask.question.op = HF_OP_LOOP_ATTACH;
	ask.question.end = HF_RANGE_END;
	return judge(ctx, &ask, inode, BPF_CORE_READ(file, f_path.dentry), command, magic);
}

static __always_inline int on_ioctl(void *ctx, struct file *file, __u32 command, unsigned long argument)
{
	struct inode *inode = file->f_inode;
	struct ask ask = {};
	__u32 op;
	int error;

	if (tell_facts(file, command) || pin_call(file, command, argument))
		return -EUCLEAN;
	if ((inode->i_mode & S_IFMT) == S_IFBLK) {
		int fd = loop_descriptor(command, argument);

		if (fd < 0)
			return 0;
		error = on_loop_attach(ctx, fd, command);
		return error == -HF_EDEADLK ? -HF_EDEADLK : error ? -HF_ETXTBSY : 0;
	}
	op = op_of_ioctl(command, inode->i_sb->s_magic);
	if (!op)
		return 0;
	if (op == HF_OP_EXCHANGE) {
		/* remap_verify_area() follows for both files, with their ranges; file_permission judges there. */
		hint_begin(op, command);
		/* An empty range under way: the return hook looks for what to take back. */
		key_of(inode, &ask.key);
		flight_begin(HF_SIDE_INTO, &ask.key, 0, 0);
		return 0;
	}
	/* XFS_IOC_SWAPEXT names both files in its argument: it can be issued on any file or folder of the filesystem. */
	if (!guarded_inode(inode) && op != HF_OP_SWAP_EXTENTS)
		return 0;
	ask.question.op = op;
	ask.question.end = HF_RANGE_END;
	key_of(inode, &ask.key);
	flight_begin(HF_SIDE_INTO, &ask.key, 0, HF_RANGE_END);
	error = judge_file(ctx, file, &ask, command);
	if (!error && names_another_file(op)) {
		struct hf_mount *mount = bpf_map_lookup_elem(&hf_mounts, &ask.key.device);

		if (mount && mount->leases && !window_names_free_files(&ask, argument)) {
			key_of(inode, &ask.key);
			ask.answer.error = HF_ETXTBSY;
			report_denial(ctx, &ask, file->f_path.dentry, command, inode->i_sb->s_magic);
			error = -HF_ETXTBSY;
		}
	}
	if (error)
		flight_end(HF_SIDE_INTO, false);
	return error;
}

SEC("lsm/file_ioctl")
int BPF_PROG(hf_file_ioctl, struct file *file, unsigned int command, unsigned long argument)
{
	return on_ioctl(ctx, file, command, argument);
}

/* 32-bit callers, from 6.8 and in stable series since: lsm: new security_file_ioctl_compat() hook */
SEC("lsm/file_ioctl_compat")
int BPF_PROG(hf_file_ioctl_compat, struct file *file, unsigned int command, unsigned long argument)
{
	return on_ioctl(ctx, file, command, argument);
}

SEC("fexit/__x64_sys_ioctl")
int BPF_PROG(hf_ioctl_return)
{
	return flights() ? operation_return() : 0;
}

SEC("fexit/__ia32_compat_sys_ioctl")
int BPF_PROG(hf_ioctl_compat_return)
{
	return flights() ? operation_return() : 0;
}

/* file_setattr(), and the attribute ioctls once more; from 6.17 */
SEC("lsm/inode_file_setattr")
int BPF_PROG(hf_inode_file_setattr, struct dentry *dentry, void *attributes)
{
	struct inode *inode = dentry->d_inode;
	struct ask ask = {};

	if (!inode || !guarded_inode(inode))
		return 0;
	ask.question.op = HF_OP_ATTRIBUTES;
	ask.question.end = HF_RANGE_END;
	key_of(inode, &ask.key);
	return judge(ctx, &ask, inode, dentry, 0, inode->i_sb->s_magic);
}

#endif
