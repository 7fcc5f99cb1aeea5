/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The pinned maps, and the globals that the gate reads on its fast path. Keys and values are abi/kern.h's. */
#ifndef HF_MAPS_BPF_H
#define HF_MAPS_BPF_H

#define HF_MAX_LEASES (1 << 20)
#define HF_MAX_CHUNKS (1 << 19) /* enough for as many leases in pairs: a file's second one takes a chunk */
#define HF_MAX_DEVICES 1024

/* Mapped by the daemon, which writes its own fields without touching the others; hf_facts and hf_request are one answer and one question at a time. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct hf_meta);
} hf_meta SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct hf_control);
} hf_control SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct hf_fast);
} hf_fast SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct hf_facts);
} hf_facts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct hf_call);
} hf_request SEC(".maps");

/* Not preallocated: a machine with a handful of leases pays for a handful. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, HF_MAX_LEASES);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct hf_file_key);
	__type(value, struct hf_file);
} hf_files SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, HF_MAX_CHUNKS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct hf_chunk_key);
	__type(value, struct hf_chunk);
} hf_chunks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct hf_mount);
} hf_mounts SEC(".maps");

/* Who may hold, and whom the seals don't bind; written by the daemon. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct hf_listed);
	__type(value, __u32);
} hf_listed SEC(".maps");

/* Thread group of a maintenance window's command → when it started, in clock ticks (10 ms) of CLOCK_BOOTTIME, as /proc tells it. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, __u64);
} hf_windows SEC(".maps");

/* uid → registrations with a record. Entries stay: one for each user who ever registered. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, __u64);
} hf_users SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, HF_MAX_LEASES);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, struct hf_lease);
} hf_leases SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, HF_MAX_LEASES);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct hf_part_key);
	__type(value, struct hf_part);
} hf_parts SEC(".maps");

/* Names of adapters. Entries stay, since leases refer to them: one for each name that an adapter ever had. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, HF_MAX_DEVICES);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct hf_device);
} hf_devices SEC(".maps");

/* struct ib_umem * → lease id */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, HF_MAX_LEASES);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, __u64);
} hf_umems SEC(".maps");

/* The look at the mappings under a registration. */
struct walk {
	__u64 at; /* next address to look at */
	__u64 end;
	__u32 parts;
	__u32 tgid;
	__u32 observe_only;
	__u32 over_quota;
	__u32 owner; /* uid of the file's owner */
	/* what the callback saw of the mapping at `at` */
	__u32 is_file;
	__u64 vma_end;
	__u32 writer;
	__u32 page_shift;
	struct hf_part part;
};

/* A thread's pinning call between its entry and its return. It holds the walk too: a program's stack has 512 bytes for all its calls. */
struct hf_pinning {
	__u64 lease; /* 0: no file-backed part was found */
	__u64 device;
	__u64 address;
	__u64 length_bytes;
	__u64 start_ns; /* 0: no call is under way */
	__u64 passed;	/* hf_fast::passed at entry */
	__u32 access;
	__u32 suspect; /* a break that overlaps was under way at entry */
	__u32 reasons;
	__u32 odp;
	struct hf_part first; /* as it goes into the record; where walk.parts is not 0 */
	struct walk walk;
};
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct hf_pinning);
} hf_pinnings SEC(".maps");

/* A range-touching operation between the hook that saw it start and its return, by thread and side (enum hf_side). */
struct hf_flight_key {
	__u64 thread;
	__u32 side;
	__u32 pad;
};
struct hf_flight {
	struct hf_file_key file;
	__u64 first;
	__u64 end;
	__u64 start_ns;
};
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct hf_flight_key);
	__type(value, struct hf_flight);
} hf_flights SEC(".maps");

/* What the current operation of a thread is, left by the hook at its entry for file_permission. */
enum hf_side {
	HF_SIDE_FROM = 0, /* the file that is read: MAY_READ */
	HF_SIDE_INTO = 1, /* the file that is changed: MAY_WRITE */
	HF_SIDE_SIZE = 2, /* notify_change(), which may run inside one of the others */
	HF_SIDES = 3,
};
struct hf_hint {
	__u32 op;     /* of the HF_SIDE_INTO; 0 = none */
	__u32 judged; /* bit 1 << side: file_permission has seen this side */
	__u64 detail;
	__u64 file[2];
	__u64 first[2];
	__u64 end[2];
};
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct hf_hint);
} hf_hints SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 << 20);
} hf_denials SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} hf_escapes SEC(".maps");

/* Files whose breaks are told whether leased or not: the count of those who asked. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct hf_file_key);
	__type(value, __u64);
} hf_traced SEC(".maps");

/* What the tripwire last told of a thread, so that an operation of a thousand extents is told once. */
struct hf_tripped {
	struct hf_file_key file;
	__u64 time_ns;
	__u64 chokes; /* bits 1 << enum hf_choke */
};
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u64);
	__type(value, struct hf_tripped);
} hf_tripped SEC(".maps");

/* Apart from the denials, so that a flood of those costs no registration its event. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} hf_lifecycle SEC(".maps");

/* Set by the loader. */
const volatile struct hf_span hf_spans[HF_SPANS];
/* Tests only: decide as if every hint had been missed. */
const volatile bool hf_drop_hints;

static __always_inline struct hf_meta *meta(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&hf_meta, &zero);
}

static __always_inline struct hf_fast *fast(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&hf_fast, &zero);
}

static __always_inline __u64 passed_total(void)
{
	struct hf_fast *f = fast();

	return f ? f->passed : 0;
}

static __always_inline __u64 flights(void)
{
	struct hf_fast *f = fast();

	return f ? f->flights : 0;
}

static __always_inline struct hf_control *control(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&hf_control, &zero);
}

#define COUNT(field, n)                                            \
	do {                                                       \
		struct hf_meta *meta_ = meta();                    \
		if (meta_)                                         \
			__sync_fetch_and_add(&meta_->field, (n));  \
	} while (0)

static __always_inline __u32 filter_index(__u64 inode, __u32 device)
{
	__u64 h = (inode ^ ((__u64)device << 32)) * 0x9e3779b97f4a7c15ull;

	return (h >> 48) & (HF_FILTER_SIZE - 1);
}

static __always_inline __u32 sealed_index(__u32 device)
{
	return (device ^ (device >> 20)) & (HF_SEALED_SIZE - 1);
}

/* @return false where the file surely has no leased slot */
static __always_inline bool may_be_leased(__u64 inode, __u32 device)
{
	struct hf_fast *f = fast();

	return !f || f->filter[filter_index(inode, device)];
}

/* @return false where the file surely has no leased slot and its filesystem no seal */
static __always_inline bool may_be_held(__u64 inode, __u32 device)
{
	struct hf_fast *f = fast();

	return !f || (f->filter[filter_index(inode, device)] | f->sealed[sealed_index(device)]);
}

static __always_inline bool supported_magic(__u32 magic)
{
	return magic == XFS_SUPER_MAGIC || magic == EXT4_SUPER_MAGIC || magic == TMPFS_MAGIC || magic == HUGETLBFS_MAGIC;
}

/* @param inode a pointer that the verifier trusts (an LSM or fentry argument, or reached from one) */
static __always_inline void key_of(struct inode *inode, struct hf_file_key *key)
{
	key->inode = inode->i_ino;
	key->device = inode->i_sb->s_dev;
	key->generation = inode->i_generation;
}

#endif
