/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Who the breaker is: everything that would be gone with a short-lived process is taken here, at the refusal. Where a part can't be had (memory that is
 * paged out, a path that is too deep), the event says so by a HF_CUT_ bit, and the daemon completes it from /proc if the process still lives.
 */
#ifndef HF_BREAKER_BPF_H
#define HF_BREAKER_BPF_H

#define PATH_COMPONENTS 32

struct path_walk {
	char *out; /* HF_PATH_LEN bytes */
	__u32 at;
};

/* Appends one name and a '/'. @return false where it may not fit, which leaves what is there. */
static __always_inline bool path_add(struct path_walk *walk, const unsigned char *name)
{
	__u32 at = walk->at;
	long n;

	if (at > HF_PATH_LEN - HF_NAME_LEN)
		return false;
	n = bpf_probe_read_kernel_str(walk->out + at, HF_NAME_LEN, name);
	if (n <= 0 || n > HF_NAME_LEN)
		return false;
	at += n - 1;
	if (at >= HF_PATH_LEN - 1)
		return false;
	walk->out[at & (HF_PATH_LEN - 1)] = '/';
	walk->at = at + 1;
	return true;
}

/* @return 0 = whole, 1 = cut */
static __always_inline __u32 dentry_path(struct dentry *dentry, char *out)
{
	struct path_walk walk = {.out = out};
	__u32 cut = 1;

	for (int i = 0; i < PATH_COMPONENTS; i++) {
		struct dentry *parent = BPF_CORE_READ(dentry, d_parent);

		if (!parent || parent == dentry) {
			cut = 0;
			break;
		}
		if (!path_add(&walk, BPF_CORE_READ(dentry, d_name.name)))
			break;
		dentry = parent;
	}
	out[walk.at & (HF_PATH_LEN - 1)] = 0;
	return cut;
}

static __always_inline struct kernfs_node *kernfs_parent(struct kernfs_node *node)
{
	struct kernfs_node___rcu *newer = (void *)node;

	if (bpf_core_field_exists(newer->__parent))
		return BPF_CORE_READ(newer, __parent);
	return BPF_CORE_READ(node, parent);
}

static __always_inline __u32 cgroup_path(struct task_struct *task, char *out)
{
	struct kernfs_node *node = BPF_CORE_READ(task, cgroups, dfl_cgrp, kn);
	struct path_walk walk = {.out = out};
	__u32 cut = 1;

	for (int i = 0; i < PATH_COMPONENTS; i++) {
		struct kernfs_node *parent;

		if (!node) {
			cut = 0;
			break;
		}
		parent = kernfs_parent(node);
		if (!parent) {
			cut = 0;
			break;
		}
		if (!path_add(&walk, (const unsigned char *)BPF_CORE_READ(node, name)))
			break;
		node = parent;
	}
	out[walk.at & (HF_PATH_LEN - 1)] = 0;
	return cut;
}

/* Fills the event with the current task. Small subprograms keep the verifier's states few. */
__noinline int breaker_task(struct hf_denial *event)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct task_struct *leader, *parent;
	__u64 ids = bpf_get_current_pid_tgid();

	if (!event)
		return 0;
	event->tgid = ids >> 32;
	event->tid = (__u32)ids;
	event->task_flags = BPF_CORE_READ(task, flags);
	event->uid = BPF_CORE_READ(task, cred, uid.val);
	event->gid = BPF_CORE_READ(task, cred, gid.val);
	event->euid = BPF_CORE_READ(task, cred, euid.val);
	event->loginuid = BPF_CORE_READ(task, loginuid.val);
	event->sessionid = BPF_CORE_READ(task, sessionid);
	event->cgroup_id = bpf_get_current_cgroup_id();
	bpf_get_current_comm(event->comm, sizeof(event->comm));
	leader = BPF_CORE_READ(task, group_leader);
	event->start_ns = BPF_CORE_READ(leader, start_boottime);
	bpf_probe_read_kernel_str(event->leader_comm, sizeof(event->leader_comm), &leader->comm);
	event->ancestors = 0;
	parent = leader;
	for (int i = 0; i < HF_ANCESTORS; i++) {
		struct task_struct *next = BPF_CORE_READ(parent, real_parent, group_leader);

		if (!next || next == parent)
			break;
		parent = next;
		event->ancestor[i].tgid = BPF_CORE_READ(parent, tgid);
		event->ancestor[i].uid = BPF_CORE_READ(parent, cred, uid.val);
		bpf_probe_read_kernel_str(event->ancestor[i].comm, HF_COMM_LEN, &parent->comm);
		event->ancestors = i + 1;
		if (event->ancestor[i].tgid <= 1)
			break;
	}
	return 0;
}

__noinline int breaker_program(struct hf_denial *event)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct mm_struct *mm = BPF_CORE_READ(task, mm);
	unsigned long start, end;
	long n;

	if (!event)
		return 0;
	event->argv_bytes = 0;
	event->argv[0] = 0;
	event->exe_path[0] = 0;
	if (!mm)
		return 0;
	if (dentry_path(BPF_CORE_READ(mm, exe_file, f_path.dentry), event->exe_path))
		event->cut |= HF_CUT_EXE;
	start = BPF_CORE_READ(mm, arg_start);
	end = BPF_CORE_READ(mm, arg_end);
	if (end <= start)
		return 0;
	n = end - start;
	if (n > HF_ARGV_LEN) {
		n = HF_ARGV_LEN;
		event->cut |= HF_CUT_ARGV;
	}
	if (n > 0 && n <= HF_ARGV_LEN && !bpf_probe_read_user(event->argv, n, (void *)start))
		event->argv_bytes = n;
	else
		event->cut |= HF_CUT_ARGV;
	return 0;
}

__noinline int breaker_cgroup(struct hf_denial *event)
{
	if (!event)
		return 0;
	if (cgroup_path((void *)bpf_get_current_task(), event->cgroup_path))
		event->cut |= HF_CUT_CGROUP;
	return 0;
}

/* Static, unlike the others: a function that is verified by itself takes no kernel pointers. */
static __noinline int breaker_file(struct hf_denial *event, struct dentry *dentry)
{
	if (!event)
		return 0;
	event->file_path[0] = 0;
	if (!dentry || dentry_path(dentry, event->file_path))
		event->cut |= HF_CUT_FILE;
	return 0;
}

static __always_inline bool compat_task(struct task_struct *task)
{
	return BPF_CORE_READ(task, thread_info.status) & TS_COMPAT;
}

__noinline int breaker_syscall(struct hf_denial *event)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct pt_regs *regs;

	if (!event)
		return 0;
	event->syscall_nr = -1;
	event->compat = 0;
	__builtin_memset(event->syscall_args, 0, sizeof(event->syscall_args));
	if (event->task_flags & (PF_KTHREAD | PF_IO_WORKER))
		return 0;
	regs = (void *)bpf_task_pt_regs(task);
	event->syscall_nr = BPF_CORE_READ(regs, orig_ax);
	if (compat_task(task)) {
		event->compat = 1;
		event->syscall_args[0] = BPF_CORE_READ(regs, bx);
		event->syscall_args[1] = BPF_CORE_READ(regs, cx);
		event->syscall_args[2] = BPF_CORE_READ(regs, dx);
		event->syscall_args[3] = BPF_CORE_READ(regs, si);
		event->syscall_args[4] = BPF_CORE_READ(regs, di);
		event->syscall_args[5] = BPF_CORE_READ(regs, bp);
	} else {
		event->syscall_args[0] = BPF_CORE_READ(regs, di);
		event->syscall_args[1] = BPF_CORE_READ(regs, si);
		event->syscall_args[2] = BPF_CORE_READ(regs, dx);
		event->syscall_args[3] = BPF_CORE_READ(regs, r10);
		event->syscall_args[4] = BPF_CORE_READ(regs, r8);
		event->syscall_args[5] = BPF_CORE_READ(regs, r9);
	}
	return 0;
}

/* All of the breaker but the call stack and the file. */
static __always_inline void breaker_who(struct hf_denial *event)
{
	event->cut = 0;
	breaker_task(event);
	breaker_syscall(event);
	breaker_program(event);
	breaker_cgroup(event);
}

/* What a denial and an escape have in common: what was asked, what stands against it, who asks, and from where in the kernel. */
static __always_inline void event_fill(void *ctx, struct hf_denial *event, const struct ask *ask, __u32 magic)
{
	long n;

	event->op = ask->question.op;
	event->time_ns = bpf_ktime_get_boot_ns();
	event->file = ask->key;
	event->first = ask->question.first;
	event->end = ask->question.end;
	event->lease_first = ask->answer.lease_first;
	event->lease_end = ask->answer.lease_end;
	event->lease_holder = ask->answer.holder;
	event->magic = magic;
	breaker_who(event);
	n = bpf_get_stack(ctx, event->stack, sizeof(event->stack), 0);
	event->stack_bytes = n > 0 ? n : 0;
}

/* Sends the refusal. Never decides anything: where the buffer is full the refusal stands and is counted. */
static __noinline int report_denial(void *ctx, struct ask *ask, struct dentry *dentry, __u64 detail, __u32 magic)
{
	struct hf_denial *event;

	COUNT(denials, 1);
	if (!ask)
		return 0;
	event = bpf_ringbuf_reserve(&hf_denials, sizeof(*event), 0);
	if (!event) {
		COUNT(denials_lost, 1);
		return 0;
	}
	event->kind = HF_EVENT_DENIAL;
	event->error = ask->answer.error;
	event->detail = detail;
	event_fill(ctx, event, ask, magic);
	breaker_file(event, dentry);
	bpf_ringbuf_submit(event, 0);
	return 0;
}

#endif
