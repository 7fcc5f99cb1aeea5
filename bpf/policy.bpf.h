/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The administrator's policy, as far as the kernel side applies it: what a filesystem is sealed against, who runs in a maintenance window, whose
 * registrations get a lease. The daemon writes it (hf_mounts by HF_CALL_MOUNT, hf_listed, hf_windows); nothing here asks user space.
 *
 * Which way it fails: closed. Who can't be told to be an exception is none.
 */
#ifndef HF_POLICY_BPF_H
#define HF_POLICY_BPF_H

#define CLOCK_TICK_NS 10000000 /* of /proc: USER_HZ is 100 */
#define WINDOW_ANCESTORS 16

static __always_inline __u32 policy_flags(__u32 device)
{
	struct hf_mount *mount = bpf_map_lookup_elem(&hf_mounts, &device);
	struct hf_control *c;

	if (mount)
		return mount->flags;
	c = control();
	return c ? c->default_flags : 0;
}

/* @return the thread group of the maintenance window whose command the current task is, or descends from; 0 for none */
__noinline __u32 window_of_task(void)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	task = BPF_CORE_READ(task, group_leader);
	for (int i = 0; i < WINDOW_ANCESTORS; i++) {
		__u32 tgid = BPF_CORE_READ(task, tgid);
		__u64 *start = bpf_map_lookup_elem(&hf_windows, &tgid);
		struct task_struct *parent;

		if (start && *start == BPF_CORE_READ(task, start_boottime) / CLOCK_TICK_NS)
			return tgid;
		/* A process whose parent has ended is a child of a reaper: it has left the window. */
		parent = BPF_CORE_READ(task, real_parent, group_leader);
		if (!parent || parent == task || tgid <= 1)
			break;
		task = parent;
	}
	return 0;
}

/* Effective users, alone or with the program that they run. The program counts together with its user only: who may call prctl(PR_SET_MM_EXE_FILE), and
 * that is everybody in a user namespace of their own, chooses what their program looks like. */
__noinline int unsealed(__u32 device)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct hf_listed key = {.device = device, .list = HF_LIST_UNSEALED};
	struct inode *program;

	key.id = BPF_CORE_READ(task, cred, euid.val);
	if (bpf_map_lookup_elem(&hf_listed, &key))
		return 1;
	program = BPF_CORE_READ(task, mm, exe_file, f_inode);
	if (!program)
		return 0;
	key.program.inode = BPF_CORE_READ(program, i_ino);
	key.program.device = BPF_CORE_READ(program, i_sb, s_dev);
	key.program.generation = BPF_CORE_READ(program, i_generation);
	return bpf_map_lookup_elem(&hf_listed, &key) != NULL;
}

/* May this user hold bytes of a file there? @param owner uid of the file's owner */
__noinline int may_hold(__u32 device, __u32 flags, __u32 owner)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct hf_listed key = {.device = device, .list = HF_LIST_HOLDER_USER};

	if (!(flags & HF_MOUNT_HOLDERS_LISTED))
		return 1;
	key.id = BPF_CORE_READ(task, cred, euid.val);
	if (!key.id)
		return 1;
	if ((flags & HF_MOUNT_HOLDERS_OWNER) && key.id == owner)
		return 1;
	if (bpf_map_lookup_elem(&hf_listed, &key))
		return 1;
	key.list = HF_LIST_HOLDER_GROUP;
	key.id = BPF_CORE_READ(task, cred, gid.val);
	return bpf_map_lookup_elem(&hf_listed, &key) != NULL;
}

/* Leases first, since they say the more; then the filesystem's seals. @return the errno for the breaker, 0 = allowed */
__noinline int decide_all(struct ask *ask)
{
	struct hf_control *c = control();
	struct hf_mount *mount;
	__u32 device, seals;

	if (!ask)
		return 0;
	device = ask->key.device;
	mount = bpf_map_lookup_elem(&hf_mounts, &device);
	ask->question.task = bpf_get_current_pid_tgid() >> 32;
	ask->question.flags = (ask->question.flags & HF_QUESTION_WHOLE) | (mount ? mount->flags : 0);
	ask->question.window = c && c->windows ? window_of_task() : 0;
	if (decide(ask))
		return ask->answer.error;
	if (!mount)
		return 0;
	seals = mount->seals;
	if (mount->window) {
		if (mount->window == ask->question.window)
			return 0;
		seals = ~0u;
	}
	if (!seals)
		return 0;
	hf_decide_seals(&ask->question, seals, &ask->answer);
	if (ask->answer.error && !mount->window && (ask->question.window || unsealed(device)))
		ask->answer.error = 0;
	return ask->answer.error;
}

/* Which seals a filesystem has from now on. */
static __always_inline int call_mount(__u32 device, const struct hf_mount *wanted)
{
	struct hf_fast *f = fast();
	struct hf_mount *mount;
	bool was, is;

	mount = bpf_map_lookup_elem(&hf_mounts, &device);
	if (!mount) {
		static const struct hf_mount none;
		int error = bpf_map_update_elem(&hf_mounts, &device, &none, BPF_NOEXIST);

		mount = bpf_map_lookup_elem(&hf_mounts, &device);
		if (!mount)
			return error ? error : -EAGAIN;
	}
	was = mount->seals || mount->window;
	is = wanted->seals || wanted->window;
	/* The filter before the seals, and after them where they go: it never says "surely none" of a sealed one. */
	if (f && is && !was)
		__sync_fetch_and_add(&f->sealed[sealed_index(device)], 1);
	mount->flags = wanted->flags;
	mount->window = wanted->window;
	mount->seals = wanted->seals;
	if (f && was && !is)
		__sync_fetch_and_add(&f->sealed[sealed_index(device)], -1);
	return 0;
}

#endif
