/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The observer: sees every RDMA registration over a shared file mapping, whoever makes it, and gives it its lease before the pin begins.
 *
 * Probes (kprobe events, made by the loader so that they wait for modules and let them go again; see src/kernel/probes.cpp):
 *   entry and return of ib_umem_get (__ib_umem_get_va where ib_umem_get_desc took its place) and of ib_umem_odp_get: (device, address, size, access)
 *   return of ib_umem_odp_alloc_implicit; entry of ib_umem_release and ib_umem_odp_release
 *
 * A break that the gate let pass just before the lease stood may still be running when the pages are pinned, and takes them from the file. So the lease
 * stands at entry, and at return the registration counts as protected only if no such break can have run: otherwise it is reported as raced.
 *
 * Which way it fails: towards telling. A registration whose mappings can't be looked at (the address space's lock is taken) is looked at again at the
 * return, and then left to the daemon, with its reason in the record.
 */
#ifndef HF_OBSERVER_BPF_H
#define HF_OBSERVER_BPF_H

#define WALK_MAPPINGS 1024 /* mappings of one registration that are looked at, file-backed or not */

#define SAME_CALL_NS 100000 /* two programs on one probe run one after the other */

#define IB_ACCESS_WRITABLE 0x1bu /* LOCAL_WRITE 1, REMOTE_WRITE 2, REMOTE_ATOMIC 8, MW_BIND 16: as ib_access_writable() */

/* ---- is a break under way on these bytes? ---- */

struct overlap_look {
	struct hf_file_key file;
	__u64 first;
	__u64 end;
	__u64 before_ns; /* only operations that began before */
	__u32 found;
	__u32 pad;
};

static long overlap_step(void *map, const struct hf_flight_key *key, struct hf_flight *flight, struct overlap_look *look)
{
	if (flight->file.inode != look->file.inode || flight->file.device != look->file.device || flight->file.generation != look->file.generation)
		return 0;
	if (flight->start_ns > look->before_ns || !hf_overlap(flight->first, flight->end, look->first, look->end))
		return 0;
	look->found = 1;
	return 1;
}

__noinline int under_way(struct hf_part *part, __u64 before_ns)
{
	if (!part || !flights())
		return 0;
	struct overlap_look look = {.file = part->file, .first = part->first, .end = part->end, .before_ns = before_ns};

	bpf_for_each_map_elem(&hf_flights, overlap_step, &look, 0);
	return look.found;
}

/* ---- leases ---- */

static __always_inline __u64 new_id(void)
{
	struct hf_meta *m = meta();

	return m ? __sync_fetch_and_add(&m->next_id, 1) + 1 : 0;
}

/* @param index from 0 on for the second part */
static long end_part(__u32 index, __u64 *lease)
{
	struct hf_part_key key = {.lease = *lease, .index = index + 1};
	struct hf_part *part = bpf_map_lookup_elem(&hf_parts, &key);

	if (!part)
		return 0;
	slot_give_back(part);
	bpf_map_delete_elem(&hf_parts, &key);
	return 0;
}

/* Gives the slots of all parts back. @param first the lease's first part, which is in hf_leases or not yet there */
__noinline int end_parts(__u64 lease, struct hf_part *first, __u32 parts)
{
	if (parts && first)
		slot_give_back(first);
	if (parts > 1)
		bpf_loop(parts < HF_PARTS_MAX ? parts - 1 : HF_PARTS_MAX - 1, end_part, &lease, 0);
	return 0;
}

static __always_inline void tell(__u32 kind, __u64 lease)
{
	struct hf_lifecycle_event *event = bpf_ringbuf_reserve(&hf_lifecycle, sizeof(*event), 0);

	if (!event) {
		/* What has no record would not be found by looking for it either. */
		if (kind != HF_EVENT_QUOTA)
			COUNT(lifecycle_lost, 1);
		return;
	}
	event->kind = kind;
	event->tgid = bpf_get_current_pid_tgid() >> 32;
	event->lease = lease;
	event->time_ns = bpf_ktime_get_boot_ns();
	event->uid = 0;
	event->pad = 0;
	/* Of any other kind the record has it. */
	if (kind == HF_EVENT_QUOTA) {
		event->uid = (__u32)bpf_get_current_uid_gid();
		bpf_get_current_comm(event->comm, sizeof(event->comm));
	} else {
		__builtin_memset(event->comm, 0, sizeof(event->comm));
	}
	bpf_ringbuf_submit(event, 0);
}

/* ---- quotas ---- */

static __always_inline void count_user(__u32 uid, __s64 n)
{
	static const __u64 none;
	__u64 *count = bpf_map_lookup_elem(&hf_users, &uid);

	if (!count && n > 0) {
		bpf_map_update_elem(&hf_users, &uid, &none, BPF_NOEXIST);
		count = bpf_map_lookup_elem(&hf_users, &uid);
	}
	if (count)
		__sync_fetch_and_add(count, n);
}

/* A user's registrations beyond the quota leave nothing in the maps: those of others have their room. */
static __always_inline bool over_quota(void)
{
	struct hf_control *c = control();
	__u32 uid = (__u32)bpf_get_current_uid_gid();
	__u64 *count;

	if (!uid || !c || !c->user_registrations)
		return false;
	count = bpf_map_lookup_elem(&hf_users, &uid);
	return count && *count >= c->user_registrations;
}

/* Gives all slots of a lease back and forgets it. @return 0 or -ENOENT */
__noinline int lease_end(__u64 id, int silent)
{
	struct hf_lease *record = bpf_map_lookup_elem(&hf_leases, &id);
	struct hf_part first;
	__u32 parts, uid;
	__u64 umem;
	bool counted;

	if (!record)
		return -ENOENT;
	first = record->first;
	parts = record->parts;
	umem = record->umem;
	uid = record->uid;
	counted = record->counted;
	/* Of two that end it at once, the one that takes the record away gives the slots back. */
	if (bpf_map_delete_elem(&hf_leases, &id))
		return -ENOENT;
	end_parts(id, &first, parts);
	if (umem)
		bpf_map_delete_elem(&hf_umems, &umem);
	if (counted)
		count_user(uid, -1);
	if (!silent)
		tell(HF_EVENT_RELEASED, id);
	return 0;
}

/* ---- leases that holdfast-pin relies on ---- */

/* @return the lease's first part, where that is the whole of this file and has its slot; the bytes come after it */
static __always_inline struct hf_part *whole_part(struct hf_lease *record, const struct hf_file_key *file)
{
	struct hf_part *part = &record->first;

	if (!record->parts || !(part->flags & HF_PART_WHOLE) || part->slot == HF_NO_SLOT)
		return NULL;
	if (part->file.inode != file->inode || part->file.device != file->device || part->file.generation != file->generation)
		return NULL;
	return part;
}

/*
 * Does this lease hold the whole file, with nothing under way that was let pass before? From a yes on, only lease_unbind() ends it. Asked through the gate's
 * own hook: an answer is proof that the gate is armed, since it attaches all its hooks or none.
 */
__noinline int lease_bind(__u64 id, struct hf_file_key *file)
{
	struct hf_lease *record = bpf_map_lookup_elem(&hf_leases, &id);
	struct hf_part *part, whole = {};
	struct hf_slot *slot;

	if (!file || !record || record->state != HF_STATE_PROTECTED)
		return 0;
	whole.file = *file;
	whole.end = HF_RANGE_END;
	part = whole_part(record, &whole.file);
	if (!part)
		return 0;
	slot = slot_at(&whole.file, part->slot);
	if (!slot || !slot->state || (slot->state & HF_SLOT_FILLING) || !(slot->flags & HF_SLOT_WHOLE) || slot->first || slot->end != HF_RANGE_END)
		return 0;
	if (under_way(&whole, ~0ull))
		return 0;
	record->state = HF_STATE_BOUND;
	return 1;
}

__noinline int lease_unbind(__u64 id, struct hf_file_key *file)
{
	struct hf_lease *record = bpf_map_lookup_elem(&hf_leases, &id);
	struct hf_file_key key;

	if (!file || !record || record->state != HF_STATE_BOUND)
		return 0;
	key = *file;
	if (!whole_part(record, &key))
		return 0;
	lease_end(id, 0);
	return 1;
}

/* ---- records ---- */

#define DEVICE_PROBES 8

/* @return the number under which the name is in hf_devices from now on; 0 where it is empty, or the map is full */
__noinline int device_number(struct hf_device *named)
{
	__u64 hash = 0;

	if (!named || !named->name[0])
		return 0;
	/* On the stack, since 6.1 takes a map's new value from nowhere else here. */
	struct hf_device device = *named;
	__u64 *words = (__u64 *)device.name;

	for (int i = 0; i < HF_DEVICE_LEN / 8; i++)
		hash = (hash ^ words[i]) * 0x9e3779b97f4a7c15ull;
	for (int i = 0; i < DEVICE_PROBES; i++) {
		__u32 number = ((hash >> 48) + i) & 0xffff;
		struct hf_device *known;
		__u64 *other;

		if (!number)
			continue;
		known = bpf_map_lookup_elem(&hf_devices, &number);
		if (!known) {
			bpf_map_update_elem(&hf_devices, &number, &device, BPF_NOEXIST);
			known = bpf_map_lookup_elem(&hf_devices, &number);
		}
		if (!known)
			return 0;
		other = (__u64 *)known->name;
		if (!((words[0] ^ other[0]) | (words[1] ^ other[1]) | (words[2] ^ other[2]) | (words[3] ^ other[3])))
			return number;
	}
	return 0;
}

static __always_inline int device_of(const struct hf_pinning *pinning)
{
	struct hf_control *c = control();
	struct hf_device device = {};

	if (!c || !c->device_name_offset || !pinning->device)
		return 0;
	bpf_probe_read_kernel_str(device.name, sizeof(device.name), (void *)pinning->device + c->device_name_offset);
	return device_number(&device);
}

static __always_inline void record_fill(struct hf_lease *record, const struct hf_pinning *pinning)
{
	__u64 ids = bpf_get_current_pid_tgid();
	__u64 users = bpf_get_current_uid_gid();

	record->umem = 0;
	record->address = pinning->address;
	record->length_bytes = pinning->length_bytes;
	record->since_ns = pinning->start_ns;
	record->holder_start = bpf_get_current_task_btf()->group_leader->start_boottime;
	record->tgid = ids >> 32;
	record->tid = (__u32)ids;
	record->uid = (__u32)users;
	record->gid = users >> 32;
	record->access = pinning->access;
	record->reasons = pinning->reasons;
	record->parts = pinning->walk.parts;
	record->device = device_of(pinning);
	record->kind = HF_LEASE_REGISTRATION;
	record->state = HF_STATE_PINNING;
	record->odp = pinning->odp;
	record->counted = 0;
	bpf_get_current_comm(record->comm, sizeof(record->comm));
	record->first = pinning->first;
}

/* Makes the record of the pinning's lease. @param counted 1: it counts towards its user's quota. @return 0, or an error where the map is full */
__noinline int record_put(struct hf_pinning *pinning, int counted)
{
	/* On the stack, since 6.1 takes a map's new value from nowhere else here; and by itself, since a stack is short. */
	struct hf_lease record;
	__u64 id;
	int error;

	if (!pinning)
		return -EINVAL;
	id = pinning->lease;
	record_fill(&record, pinning);
	record.counted = counted;
	error = bpf_map_update_elem(&hf_leases, &id, &record, BPF_ANY);
	if (!error && counted)
		count_user(record.uid, 1);
	return error;
}

/* ---- the mappings under a registration ---- */

/* A view of holdfast-pin shows a file's pages: what is registered there is that file. @return its inode, NULL where it is another device's memory */
static __always_inline struct inode *viewed_inode(struct file *file, struct inode *device, __u64 *first)
{
	struct holdfast_pin_view view = {};
	struct hf_control *c = control();

	if (!c || !c->pin_device || BPF_CORE_READ(device, i_rdev) != c->pin_device)
		return NULL;
	if (bpf_probe_read_kernel(&view, sizeof(view), BPF_CORE_READ(file, private_data)) || view.magic != HOLDFAST_PIN_MAGIC)
		return NULL;
	*first = view.first_byte;
	return (struct inode *)view.inode;
}

/* @param inode a pointer that the verifier trusts: read without the checks that an address takes */
static __always_inline void look_at_file(struct walk *walk, struct inode *inode)
{
	struct super_block *super = inode->i_sb;

	walk->is_file = (inode->i_mode & S_IFMT) == S_IFREG;
	walk->page_shift = super->s_blocksize_bits;
	walk->owner = inode->i_uid.val;
	walk->part.file.inode = inode->i_ino;
	walk->part.file.device = super->s_dev;
	walk->part.file.generation = inode->i_generation;
	walk->part.magic = super->s_magic;
	walk->part.flags = inode->i_flags & S_DAX ? HF_PART_DAX : 0;
}

/* The same of an address. */
static __always_inline void look_at_viewed(struct walk *walk, struct inode *inode)
{
	struct super_block *super = BPF_CORE_READ(inode, i_sb);

	walk->is_file = (BPF_CORE_READ(inode, i_mode) & S_IFMT) == S_IFREG;
	walk->page_shift = BPF_CORE_READ(super, s_blocksize_bits);
	walk->owner = BPF_CORE_READ(inode, i_uid.val);
	walk->part.file.inode = BPF_CORE_READ(inode, i_ino);
	walk->part.file.device = BPF_CORE_READ(super, s_dev);
	walk->part.file.generation = BPF_CORE_READ(inode, i_generation);
	walk->part.magic = BPF_CORE_READ(super, s_magic);
	walk->part.flags = BPF_CORE_READ(inode, i_flags) & S_DAX ? HF_PART_DAX : 0;
}

/* @param held points to a pointer on the stack, since callbacks get stack only */
static long look_at_mapping(struct task_struct *task, struct vm_area_struct *vma, struct hf_pinning **held)
{
	struct hf_pinning *pinning = *held;
	struct walk *walk;
	struct file *file = vma->vm_file;
	struct inode *inode, *viewed;
	__u64 first, end, file_first = 0;

	if (!pinning)
		return 0;
	walk = &pinning->walk;
	walk->vma_end = vma->vm_end;
	walk->is_file = 0;
	/* A private mapping is pinned as copies of its own (GUP breaks copy-on-write before a long-term pin): not the file's pages. */
	if (!file || !(vma->vm_flags & VM_MAYSHARE))
		return 0;
	inode = file->f_inode;
	if ((inode->i_mode & S_IFMT) == S_IFCHR) {
		viewed = viewed_inode(file, inode, &file_first);
		if (!viewed)
			return 0;
		look_at_viewed(walk, viewed);
	} else {
		look_at_file(walk, inode);
	}
	first = walk->at > vma->vm_start ? walk->at : vma->vm_start;
	end = walk->end < vma->vm_end ? walk->end : vma->vm_end;
	/* mmap() clears VM_SHARED where the descriptor was not open for writing. */
	walk->writer = !!(vma->vm_flags & VM_SHARED);
	walk->part.first = file_first + ((__u64)vma->vm_pgoff << 12) + (first - vma->vm_start);
	walk->part.end = walk->part.first + (end - first);
	return 0;
}

/* What the administrator's policy has against a lease on the part. @return enum hf_reason, 0 for nothing */
__noinline __u32 policy_reason(struct hf_pinning *pinning)
{
	struct walk *walk;
	__u32 flags;

	if (!pinning)
		return 0;
	walk = &pinning->walk;
	flags = policy_flags(walk->part.file.device);
	if (flags & HF_MOUNT_EXEMPT)
		return HF_REASON_EXEMPT;
	if (walk->observe_only) {
		if (flags & HF_MOUNT_READERS_REFUSED)
			return HF_REASON_NOT_ALLOWED;
		if (!(flags & HF_MOUNT_READERS_LEASED))
			return HF_REASON_READ_ONLY;
	}
	if (pinning->odp && (flags & (HF_MOUNT_ODP_OBSERVED | HF_MOUNT_ODP_REFUSED)))
		return flags & HF_MOUNT_ODP_REFUSED ? HF_REASON_NOT_ALLOWED : HF_REASON_ODP;
	if (!walk->writer)
		return HF_REASON_NOT_WRITER;
	return may_hold(walk->part.file.device, flags, walk->owner) ? 0 : HF_REASON_NOT_ALLOWED;
}

/* Adds the part that look_at_mapping() left. */
__noinline int add_part(struct hf_pinning *pinning)
{
	struct hf_control *c = control();
	struct hf_part *part;
	struct walk *walk;
	__u32 against;

	if (!pinning)
		return 0;
	walk = &pinning->walk;
	part = &walk->part;
	if (walk->parts >= HF_PARTS_MAX) {
		pinning->reasons |= HF_REASON_TOO_MANY_PARTS;
		return 0;
	}
	if (!pinning->lease) {
		if (walk->over_quota)
			return 0;
		if (over_quota()) {
			walk->over_quota = 1;
			COUNT(unprotected, 1);
			tell(HF_EVENT_QUOTA, 0);
			return 0;
		}
		pinning->lease = new_id();
	}
	part->slot = HF_NO_SLOT;
	part->reasons = 0;
	if (!supported_magic(part->magic)) {
		part->reasons |= HF_REASON_FILESYSTEM;
	} else if ((against = policy_reason(pinning))) {
		part->reasons |= against;
	} else if (!adder_enter(c)) {
		part->reasons |= HF_REASON_VMA_BUSY;
	} else {
		/* The slot first, then the look: a break that begins in between meets the slot. */
		if (!slot_take(part, walk->tgid, walk->page_shift) && under_way(part, ~0ull))
			pinning->suspect = 1;
		adder_leave(c);
	}
	pinning->reasons |= part->reasons;
	if (!walk->parts) {
		/* It stands in the record, which there is at the end of the walk. */
		pinning->first = *part;
	} else {
		struct hf_part_key key = {.lease = pinning->lease, .index = walk->parts};
		struct hf_part copy = *part;

		if (bpf_map_update_elem(&hf_parts, &key, &copy, BPF_ANY)) {
			slot_give_back(&copy);
			pinning->reasons |= HF_REASON_NO_ROOM;
			return 0;
		}
	}
	walk->parts++;
	return 0;
}

static long walk_step(__u32 index, struct hf_pinning **held)
{
	struct hf_pinning *pinning = *held;
	struct walk *walk;
	long error;

	if (!pinning)
		return 1;
	walk = &pinning->walk;
	if (walk->at >= walk->end)
		return 1;
	error = bpf_find_vma(bpf_get_current_task_btf(), walk->at, look_at_mapping, held, 0);
	if (error) {
		/* Nothing mapped there: the pin fails, or faults as ODP. Anything else is the lock. */
		if (error != -ENOENT)
			pinning->reasons |= HF_REASON_VMA_BUSY;
		return 1;
	}
	if (walk->is_file)
		add_part(pinning);
	if (walk->vma_end <= walk->at)
		return 1;
	walk->at = walk->vma_end;
	return 0;
}

/* Finds the file-backed parts of the registration, leases them, and makes the record. */
__noinline int walk_and_record(struct hf_pinning *pinning)
{
	struct hf_pinning *held = pinning;
	struct walk *walk;
	__u64 id;

	if (!pinning)
		return 0;
	walk = &pinning->walk;
	walk->at = pinning->address;
	walk->end = pinning->address + pinning->length_bytes;
	walk->tgid = bpf_get_current_pid_tgid() >> 32;
	walk->observe_only = !(pinning->access & IB_ACCESS_WRITABLE);
	walk->parts = 0;
	pinning->reasons = 0;
	if (walk->end <= walk->at)
		return 0;
	bpf_loop(WALK_MAPPINGS, walk_step, &held, 0);
	if (walk->at < walk->end && walk->parts && !(pinning->reasons & HF_REASON_VMA_BUSY))
		pinning->reasons |= HF_REASON_TOO_MANY_PARTS;
	id = pinning->lease;
	if (!id)
		return 0;
	if (!record_put(pinning, 1))
		return 0;
	/* Without a record nobody could end it: give the slots back, count it, and have the daemon look. */
	end_parts(id, &pinning->first, walk->parts);
	pinning->lease = 0;
	COUNT(unprotected, 1);
	tell(HF_EVENT_INCOMPLETE, id);
	return 0;
}

/* ---- entry and return of the pinning call ---- */

/* Of the current thread, new or from its last call. @param flags BPF_LOCAL_STORAGE_GET_F_CREATE or 0 */
static __always_inline struct hf_pinning *pinning_of_thread(__u64 flags)
{
	return bpf_task_storage_get(&hf_pinnings, bpf_get_current_task_btf(), 0, flags);
}

static __always_inline int pin_entry(__u64 device, __u64 address, __u64 length, __u32 access, __u32 odp)
{
	__u64 now = bpf_ktime_get_boot_ns();
	struct hf_pinning *pinning = pinning_of_thread(BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (!pinning) {
		COUNT(registrations, 1);
		COUNT(unprotected, 1);
		tell(HF_EVENT_INCOMPLETE, 0);
		return 0;
	}
	/* While programs are replaced, the old and the new ones see the same call: the first has done it. */
	if (pinning->device == device && pinning->address == address && pinning->length_bytes == length && pinning->odp == odp &&
	    now - pinning->start_ns < SAME_CALL_NS)
		return 0;
	if (pinning->start_ns && pinning->lease) {
		/* This thread's last call never returned as far as we saw: its lease stays, without an end that we could see. */
		__u64 missed = pinning->lease;
		struct hf_lease *record = bpf_map_lookup_elem(&hf_leases, &missed);

		if (record)
			record->reasons |= HF_REASON_MISSED_RETURN;
	}
	COUNT(registrations, 1);
	pinning->lease = 0;
	pinning->device = device;
	pinning->address = address;
	pinning->length_bytes = length;
	pinning->start_ns = now;
	pinning->passed = passed_total();
	pinning->access = access;
	pinning->suspect = 0;
	pinning->odp = odp;
	pinning->walk.over_quota = 0;
	walk_and_record(pinning);
	if (!pinning->lease && !pinning->reasons)
		pinning->start_ns = 0;
	return 0;
}

struct raced_look {
	__u64 lease;
	__u64 before_ns;
	__u32 found;
	__u32 pad;
};

/* @param index from 0 on for the second part */
static long raced_step(__u32 index, struct raced_look *look)
{
	struct hf_part_key key = {.lease = look->lease, .index = index + 1};
	struct hf_part *part = bpf_map_lookup_elem(&hf_parts, &key);

	if (part && part->slot != HF_NO_SLOT && under_way(part, look->before_ns))
		look->found = 1;
	return 0;
}

/* @return true where a break may have taken pages between the decision to let it pass and the pin */
__noinline int raced(struct hf_pinning *pinning, __u32 parts)
{
	if (!pinning || !pinning->suspect || pinning->odp)
		return 0;
	/* One that was under way at entry has ended since, or is still there. Those that began later met the lease. */
	if (passed_total() != pinning->passed)
		return 1;
	if (parts && pinning->first.slot != HF_NO_SLOT && under_way(&pinning->first, pinning->start_ns))
		return 1;
	struct raced_look look = {.lease = pinning->lease, .before_ns = pinning->start_ns};

	if (parts > 1)
		bpf_loop(parts < HF_PARTS_MAX ? parts - 1 : HF_PARTS_MAX - 1, raced_step, &look, 0);
	return look.found;
}

/* The second look, where the first found the address space locked. The lease comes after the pin then: only protected if no break ran in between. */
static __always_inline void look_again(struct hf_pinning *pinning)
{
	__u64 passed = pinning->passed;

	if (pinning->lease)
		lease_end(pinning->lease, 1);
	pinning->lease = 0;
	walk_and_record(pinning);
	if (pinning->lease && !pinning->odp && (pinning->suspect || passed_total() != passed || flights()))
		pinning->reasons |= HF_REASON_LATE;
}

/* Takes the outcome over into the record. */
__noinline int settle(struct hf_pinning *pinning, __u64 umem)
{
	struct hf_lease *record;
	__u32 reasons;
	__u64 id;

	if (!pinning)
		return 0;
	if (pinning->reasons & HF_REASON_VMA_BUSY)
		look_again(pinning);
	id = pinning->lease;
	if (!id && (pinning->reasons & HF_REASON_VMA_BUSY)) {
		/* Nothing is known of its mappings: a record without parts, for the daemon to complete. */
		id = pinning->lease = new_id();
		record_put(pinning, 0);
	}
	record = bpf_map_lookup_elem(&hf_leases, &id);
	if (!record)
		return 0;
	reasons = record->reasons | pinning->reasons;
	if (raced(pinning, record->parts))
		reasons |= HF_REASON_RACED;
	record->umem = umem;
	record->reasons = reasons;
	if (!reasons || reasons == HF_REASON_LATE) {
		record->state = HF_STATE_PROTECTED;
	} else if (!(reasons & ~(__u32)HF_REASONS_POLICY)) {
		record->state = HF_STATE_OBSERVED;
	} else {
		record->state = HF_STATE_UNPROTECTED;
		COUNT(unprotected, 1);
	}
	bpf_map_update_elem(&hf_umems, &umem, &id, BPF_ANY);
	tell(reasons & HF_REASON_VMA_BUSY ? HF_EVENT_INCOMPLETE : HF_EVENT_REGISTERED, id);
	return 0;
}

static __always_inline int pin_return(__u64 umem)
{
	struct hf_pinning *pinning = pinning_of_thread(0);

	if (!pinning || !pinning->start_ns)
		return 0;
	if (umem >= (__u64)-MAX_ERRNO || !umem)
		lease_end(pinning->lease, 1);
	else
		settle(pinning, umem);
	pinning->start_ns = 0;
	return 0;
}

SEC("kprobe")
int hf_pin_entry(struct pt_regs *ctx)
{
	return pin_entry(PT_REGS_PARM1(ctx), PT_REGS_PARM2(ctx), PT_REGS_PARM3(ctx), PT_REGS_PARM4(ctx), 0);
}

SEC("kprobe")
int hf_pin_return(struct pt_regs *ctx)
{
	return pin_return(PT_REGS_RC(ctx));
}

SEC("kprobe")
int hf_odp_entry(struct pt_regs *ctx)
{
	return pin_entry(PT_REGS_PARM1(ctx), PT_REGS_PARM2(ctx), PT_REGS_PARM3(ctx), PT_REGS_PARM4(ctx), 1);
}

SEC("kprobe")
int hf_odp_return(struct pt_regs *ctx)
{
	return pin_return(PT_REGS_RC(ctx));
}

/* An implicit ODP region spans the address space: whatever file is mapped there is reachable, now or later. Said, since it can't be leased. */
SEC("kprobe")
int hf_odp_implicit_return(struct pt_regs *ctx)
{
	struct hf_pinning *pinning;
	struct hf_lease *record;
	__u64 umem = PT_REGS_RC(ctx);
	__u64 id;

	if (umem >= (__u64)-MAX_ERRNO || !umem)
		return 0;
	COUNT(registrations, 1);
	COUNT(unprotected, 1);
	id = new_id();
	pinning = pinning_of_thread(BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (pinning) {
		pinning->lease = id;
		pinning->device = 0;
		pinning->address = 0;
		pinning->length_bytes = ~0ull;
		pinning->start_ns = bpf_ktime_get_boot_ns();
		pinning->access = 0;
		pinning->reasons = HF_REASON_IMPLICIT_ODP;
		pinning->odp = 1;
		pinning->walk.parts = 0;
		record_put(pinning, 0);
		record = bpf_map_lookup_elem(&hf_leases, &id);
		if (record) {
			record->umem = umem;
			record->state = HF_STATE_UNPROTECTED;
			bpf_map_update_elem(&hf_umems, &umem, &id, BPF_ANY);
		}
		pinning->start_ns = 0;
	}
	tell(HF_EVENT_REGISTERED, id);
	return 0;
}

/* Drivers take the region from the adapter before they release its umem: from here on nothing reaches the pages. */
SEC("kprobe")
int hf_release(struct pt_regs *ctx)
{
	__u64 umem = PT_REGS_PARM1(ctx);
	__u64 *lease = umem ? bpf_map_lookup_elem(&hf_umems, &umem) : NULL;

	if (lease)
		lease_end(*lease, 0);
	return 0;
}

#endif
