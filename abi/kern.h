/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * What the kernel side (bpf/) and the daemon share: keys and values of the pinned maps, and events.
 *
 * Every type is defined here and nowhere else, with fixed widths, explicit padding and its size asserted. The maps are pinned and outlive the daemon,
 * so a change of any of them is a change of HF_ABI_VERSION: a daemon refuses the pins of another version instead of guessing.
 */
#ifndef HF_ABI_KERN_H
#define HF_ABI_KERN_H

#if defined(__bpf__)
/* The BPF objects bring their own fixed-width types (bpf/kernel_types.bpf.h). */
#else
#include <linux/types.h>
#endif

#define HF_ABI_VERSION 6u
#define HF_META_MAGIC 0x48464d31u /* "HFM1" */

#define HF_RANGE_END (~0ull) /* an end that means: to the end of the file and all that may follow */

/** What a breaker tries to do. The catalogue (src/catalog) names each and says what it breaks. Values are stable: they are in pinned maps and in the journal. */
enum hf_op {
	HF_OP_NONE = 0,
	HF_OP_TRUNCATE = 1,	 /* any way to set a smaller size: notify_change() with ATTR_SIZE */
	HF_OP_PUNCH = 2,	 /* FALLOC_FL_PUNCH_HOLE, MADV_REMOVE, FS_IOC_UNRESVSP */
	HF_OP_ZERO = 3,		 /* FALLOC_FL_ZERO_RANGE, FS_IOC_ZERO_RANGE */
	HF_OP_COLLAPSE = 4,	 /* FALLOC_FL_COLLAPSE_RANGE */
	HF_OP_INSERT = 5,	 /* FALLOC_FL_INSERT_RANGE */
	HF_OP_UNSHARE = 6,	 /* FALLOC_FL_UNSHARE_RANGE */
	HF_OP_WRITE_ZEROES = 7,	 /* FALLOC_FL_WRITE_ZEROES */
	HF_OP_FALLOCATE_NEW = 8, /* a fallocate mode that this Holdfast does not know: refused to be safe */
	HF_OP_REFLINK = 9,	 /* FICLONE, FICLONERANGE: the destination */
	HF_OP_REFLINK_FROM = 10, /* ... the source: its extents become shared, and the next write moves them */
	HF_OP_DEDUPE = 11,	 /* FIDEDUPERANGE: the destination */
	HF_OP_DEDUPE_FROM = 12,	 /* ... the source */
	HF_OP_COPY = 13,	 /* copy_file_range() into the file, where the filesystem may share extents instead */
	HF_OP_COPY_FROM = 14,	 /* ... out of it */
	HF_OP_EXCHANGE = 15,	 /* XFS_IOC_EXCHANGE_RANGE, XFS_IOC_COMMIT_RANGE */
	HF_OP_SWAP_EXTENTS = 16, /* XFS_IOC_SWAPEXT (xfs_fsr) */
	HF_OP_MOVE_EXTENTS = 17, /* EXT4_IOC_MOVE_EXT (e4defrag) */
	HF_OP_SWAP_BOOT = 18,	 /* EXT4_IOC_SWAP_BOOT */
	HF_OP_MIGRATE = 19,	 /* EXT4_IOC_MIGRATE */
	HF_OP_ATTRIBUTES = 20,	 /* FS_IOC_SETFLAGS, FS_IOC_FSSETXATTR, file_setattr() */
	HF_OP_VERITY = 21,	 /* FS_IOC_ENABLE_VERITY */
	HF_OP_LAYOUT_CALL = 22,	 /* one of the calls above whose details the gate could not see: refused on the whole file */
	HF_OP_DIRECT_WRITE = 23, /* a write with O_DIRECT to a file in the page cache: drops the pages of its range */
	HF_OP_LOOP_ATTACH = 24,	 /* LOOP_SET_FD, LOOP_CHANGE_FD, LOOP_CONFIGURE of the file: a loop device's discards reach no hook */
	HF_OP_COUNT = 25,
};

/** A function in the kernel through which layouts are broken, whatever the cause: where the tripwire is. Values are stable: they are in the journal. */
enum hf_choke {
	HF_CHOKE_NONE = 0,
	HF_CHOKE_TRUNCATE_PAGES = 1,	/* truncate_inode_pages_range(): page cache and FS-DAX entries */
	HF_CHOKE_INVALIDATE_PAGES = 2,	/* invalidate_inode_pages2_range(): what a direct write, or copy-on-write under DAX, drops */
	HF_CHOKE_INVALIDATE_FOLIO = 3,	/* folio_unmap_invalidate(): ... and uncached buffered I/O */
	HF_CHOKE_SHMEM = 4,		/* shmem_undo_range() */
	HF_CHOKE_HUGETLB = 5,		/* remove_inode_hugepages() */
	HF_CHOKE_XFS_UNMAP = 6,		/* __xfs_bunmapi(): extents leave the data fork */
	HF_CHOKE_XFS_SHARE = 7,		/* xfs_reflink_remap_blocks(): extents of the source become shared */
	HF_CHOKE_XFS_SWAP = 8,		/* xfs_swap_extents() */
	HF_CHOKE_EXT4_REMOVE = 9,	/* ext4_ext_remove_space() */
	HF_CHOKE_EXT4_SWAP = 10,	/* ext4_swap_extents() */
	HF_CHOKE_EXT4_SHIFT = 11,	/* ext4_ext_shift_extents() */
	HF_CHOKE_EXT4_INDIRECT = 12,	/* ext4_ind_remove_space() */
	HF_CHOKE_POISON_DAX = 13,	/* mf_dax_kill_procs(): a memory failure under FS-DAX */
	HF_CHOKE_POISON_PAGE = 14,	/* generic_, shmem_, hugetlbfs_error_remove_folio(): one in the page cache */
	HF_CHOKE_COUNT = 15,
};

/** The identity of a file as the kernel sees it; the same for every path, mount and descriptor that reaches it. */
struct hf_file_key {
	__u64 inode;	  /* inode::i_ino */
	__u32 device;	  /* super_block::s_dev: major << 20 | minor */
	__u32 generation; /* inode::i_generation: tells a reused inode number from the file that was leased */
};

/**
 * One leased extent of one file, written by the observer and the daemon's BPF calls without locks, read by the gate.
 * state: 0 = free; HF_SLOT_FILLING = being written, protects nothing yet; otherwise the count of leases that it stands for
 * (more than one only after a merge, when the file has no free slot left).
 */
struct hf_slot {
	__u64 state;
	__u64 first;  /* first byte, rounded down to the page that backs it */
	__u64 end;    /* one past the last byte, rounded up likewise */
	__u32 holder; /* thread group that holds it; 0 after a merge of several holders' */
	__u32 flags;  /* HF_SLOT_* */
};
#define HF_SLOT_FILLING (1ull << 63)
#define HF_SLOT_WINDOW (1u << 0) /* the hold of a maintenance window: the command whose thread group is `holder` passes, with its children */
#define HF_SLOT_WHOLE (1u << 1)	 /* the file as a whole, whatever its size: also against operations that move no byte, but wait for pins (holdfast-pin) */

/* Most files have one lease. A chunk's entry fills 256 bytes of the kernel's allocator, with the 80 that a hash map adds. */
#define HF_INLINE_SLOTS 1
#define HF_CHUNK_SLOTS 5
#define HF_CHUNKS 15
#define HF_SLOTS (HF_INLINE_SLOTS + HF_CHUNKS * HF_CHUNK_SLOTS) /* exact extents a file; past that neighbouring ones merge */

/** A leased file: the map hf_files. An entry may be empty (all slots free): empty ones are swept by the daemon. */
struct hf_file {
	__u32 chunks; /* high-water mark: how many overflow chunks may exist */
	__u32 merged; /* leases that share a slot for want of a free one */
	struct hf_slot slots[HF_INLINE_SLOTS];
};

/** Further extents of a file with more than HF_INLINE_SLOTS: the map hf_chunks. */
struct hf_chunk_key {
	struct hf_file_key file;
	__u32 index;
	__u32 pad;
};
struct hf_chunk {
	struct hf_slot slots[HF_CHUNK_SLOTS];
};

/**
 * A filesystem with leases or a policy: the map hf_mounts, keyed by super_block::s_dev. One without an entry has hf_control::default_flags and no seals.
 * The daemon writes it through HF_CALL_MOUNT, which leaves `leases` alone.
 */
struct hf_mount {
	__u32 leases; /* occupied slots on this filesystem */
	__u32 seals;  /* bit 1 << enum hf_op: refused on every file */
	__u32 flags;  /* HF_MOUNT_* */
	__u32 window; /* thread group of a maintenance window over the whole filesystem: all is sealed for everybody else; 0 = none */
};
#define HF_MOUNT_EXEMPT (1u << 0)	  /* not guarded: registrations get no lease */
#define HF_MOUNT_READERS_LEASED (1u << 1) /* a registration that only reads gets a lease, where its descriptor could have written */
#define HF_MOUNT_READERS_REFUSED (1u << 2)
#define HF_MOUNT_ODP_OBSERVED (1u << 3)	  /* an ODP registration gets no lease */
#define HF_MOUNT_ODP_REFUSED (1u << 4)
#define HF_MOUNT_OWN_BUSY (1u << 5)	  /* a holder that would break its own lease gets ETXTBSY like everybody else, not EDEADLK */
#define HF_MOUNT_OWN_ALLOWED (1u << 6)	  /* ... may */
#define HF_MOUNT_HOLDERS_LISTED (1u << 7) /* only root and those in hf_listed may hold */
#define HF_MOUNT_HOLDERS_OWNER (1u << 8)  /* ... and the file's owner */

/** Who is an exception: the map hf_listed, whose values mean nothing. */
enum hf_list {
	HF_LIST_HOLDER_USER = 1,  /* id: uid */
	HF_LIST_HOLDER_GROUP = 2, /* id: gid; a registration shows its process's own group only, not supplementary ones */
	HF_LIST_UNSEALED = 3,	  /* id: effective uid whom the seals don't bind; with `program`: while it runs that */
};
struct hf_listed {
	__u32 device; /* super_block::s_dev */
	__u32 list;   /* enum hf_list */
	__u32 id;
	__u32 pad;
	struct hf_file_key program; /* all zeroes: any */
};

enum hf_lease_kind {
	HF_LEASE_REGISTRATION = 1, /* the pin of an RDMA registration, seen by the observer */
	HF_LEASE_PROCESS = 2,	   /* a process that asked through libholdfast */
	HF_LEASE_STATIC = 3,	   /* the administrator's */
};

enum hf_lease_state {
	HF_STATE_PINNING = 1,	  /* the lease stands, the kernel is still pinning */
	HF_STATE_PROTECTED = 2,	  /* every file-backed byte is leased */
	HF_STATE_OBSERVED = 3,	  /* no lease, by policy: a read-only registration */
	HF_STATE_UNPROTECTED = 4, /* reasons say why */
	HF_STATE_NO_FILE = 5,	  /* anonymous memory only: nothing to protect (not kept in the map) */
	HF_STATE_BOUND = 6,	  /* protected, and the kernel module holdfast-pin relies on it: only that ends it */
};

/** Why a registration, or a part of one, is not protected: bits of hf_lease::reasons and hf_part::reasons, which has 16. */
enum hf_reason {
	HF_REASON_READ_ONLY = 1 << 0,	    /* policy: a reader may not block the file's owner */
	HF_REASON_RACED = 1 << 1,	    /* a break that the gate had let pass was under way while the pages were pinned */
	HF_REASON_FILESYSTEM = 1 << 2,	    /* not a filesystem whose layout the gate can hold */
	HF_REASON_VMA_BUSY = 1 << 3,	    /* the mapping could not be looked at in the kernel; user space completes it */
	HF_REASON_TOO_MANY_PARTS = 1 << 4,  /* more than HF_PARTS_MAX mappings in one registration */
	HF_REASON_NO_ROOM = 1 << 5,	    /* a map is full */
	HF_REASON_IMPLICIT_ODP = 1 << 6,    /* an implicit ODP region spans the whole address space */
	HF_REASON_NOT_WRITER = 1 << 7,	    /* the mapping's descriptor was not open for writing */
	HF_REASON_LATE = 1 << 8,	    /* leased some time after the pin: its past is unknown */
	HF_REASON_MISSED_RETURN = 1 << 9,   /* the end of the pinning call was not seen */
	HF_REASON_EXEMPT = 1 << 10,	    /* policy: the filesystem is not guarded */
	HF_REASON_ODP = 1 << 11,	    /* policy: ODP registrations are only observed here */
	HF_REASON_NOT_ALLOWED = 1 << 12,    /* policy: this user, or this kind of registration, gets no lease here */
	HF_REASON_RANGE_UNKNOWN = 1 << 13,  /* it was there before the gate: which bytes of which file is not known */
};

#define HF_REASONS_POLICY (HF_REASON_READ_ONLY | HF_REASON_EXEMPT | HF_REASON_ODP) /* observed on purpose, not by failure */

#define HF_PARTS_MAX 1024 /* of one lease; as many ranges as one acquire may have: wire.h */
#define HF_COMM_LEN 16
#define HF_DEVICE_LEN 32

/** A contiguous range of one file under a lease. */
struct hf_part {
	struct hf_file_key file;
	__u64 first;   /* as asked for, before rounding */
	__u64 end;
	__u32 magic;   /* super_block::s_magic */
	__u16 reasons; /* enum hf_reason; 0 = leased */
	__u8 slot;     /* index of the slot, HF_NO_SLOT where none was taken */
	__u8 flags;    /* HF_PART_* */
};
#define HF_NO_SLOT 0xffu
#define HF_PART_DAX (1u << 0)	 /* inode::i_flags & S_DAX */
#define HF_PART_MERGED (1u << 1) /* shares its slot with a neighbour: protected range is wider than asked for */
#define HF_PART_WINDOW (1u << 2) /* the hold of a maintenance window */
#define HF_PART_WHOLE (1u << 3)	 /* the slot holds the whole file, whatever `first` and `end` say; a part with these bytes alone is beside it */

/** One lease and its holder: the map hf_leases, keyed by id. Its first range is in it, further ones are in hf_parts. */
struct hf_lease {
	__u64 umem;	    /* struct ib_umem *, for a registration; a key, never followed */
	__u64 address;	    /* start of the registered range in the holder's address space */
	__u64 length_bytes;
	__u64 since_ns;	    /* CLOCK_BOOTTIME */
	__u64 holder_start; /* task_struct::start_boottime of the holder: tells a reused pid */
	__u32 tgid;
	__u32 tid;
	__u32 uid;
	__u32 gid;
	__u32 access; /* IB_ACCESS_* as given */
	__u32 reasons;
	__u16 parts;
	__u16 device; /* number of ib_device::name in hf_devices; 0 = none */
	__u8 kind;  /* enum hf_lease_kind */
	__u8 state; /* enum hf_lease_state */
	__u8 odp;   /* 1: On-Demand Paging, nothing is pinned */
	__u8 counted; /* 1: counts towards its user's quota */
	char comm[HF_COMM_LEN];
	struct hf_part first; /* where parts is not 0 */
};

/** The name of an adapter, padded with NULs: the map hf_devices, keyed by a number that comes of it. Written once and never changed: leases refer to it. */
struct hf_device {
	char name[HF_DEVICE_LEN]; /* ib_device::name */
} __attribute__((aligned(8)));

/** A range of a lease but the first: the map hf_parts. */
struct hf_part_key {
	__u64 lease;
	__u32 index; /* from 1 on */
	__u32 pad;
};

enum hf_event_kind {
	HF_EVENT_DENIAL = 1,
	HF_EVENT_REGISTERED = 2, /* the pinning call returned; hf_leases has the record */
	HF_EVENT_RELEASED = 3,
	HF_EVENT_INCOMPLETE = 4, /* a registration that user space must complete */
	HF_EVENT_ESCAPE = 5,	 /* leased bytes were broken */
	HF_EVENT_TRACED = 6,	 /* bytes of a traced file were broken */
	HF_EVENT_QUOTA = 32,	 /* a registration without a record: its user has as many as the quota allows. `uid`, `tgid` and `comm` say whose. */
	/* Of the daemon, to holders (hf_wire_event): */
	HF_EVENT_RECALL = 33,	    /* an administrator asks for the lease */
	HF_EVENT_FENCE = 34,	    /* ... and now for the memory to be made unreachable */
	HF_EVENT_RECALL_OVER = 35,  /* the recall has ended, and the lease stands */
};

/** Ring buffer hf_lifecycle: a hint to look at hf_leases; losing one loses nothing, since the daemon scans when `lifecycle_lost` moves. */
struct hf_lifecycle_event {
	__u32 kind; /* enum hf_event_kind */
	__u32 tgid;
	__u64 lease;
	__u64 time_ns;
	__u32 uid;
	__u32 pad;
	char comm[HF_COMM_LEN];
};

#define HF_NAME_LEN 256 /* NAME_MAX and a NUL */
#define HF_PATH_LEN 512 /* at least one whole name; further ones while they surely fit */
#define HF_ARGV_LEN 256
#define HF_STACK_DEPTH 32
#define HF_ANCESTORS 8

struct hf_ancestor {
	__u32 tgid;
	__u32 uid;
	char comm[HF_COMM_LEN];
};

/**
 * Ring buffer hf_denials: one refusal with all of the breaker that would be gone with a short-lived process.
 * Paths are stored from the leaf up: components separated by '/', reversed order ("file/dir/..."), cut where the buffer ends (HF_CUT_* says so); the
 * daemon turns them round. They end at the root of the filesystem, not of the namespace.
 */
struct hf_denial {
	__u32 kind; /* HF_EVENT_DENIAL */
	__u32 op;   /* enum hf_op */
	__u64 time_ns; /* CLOCK_BOOTTIME */
	struct hf_file_key file;
	__u64 first; /* the range that the operation touches */
	__u64 end;
	__u64 lease_first; /* the leased extent that refused it */
	__u64 lease_end;
	__s32 error; /* positive errno that the breaker gets */
	__u32 lease_holder;
	__u32 magic; /* super_block::s_magic */
	__u32 task_flags; /* task_struct::flags: PF_KTHREAD 0x200000, PF_IO_WORKER 0x10 */
	__u32 tgid;
	__u32 tid;
	__u32 uid;
	__u32 gid;
	__u32 euid;
	__u32 loginuid;
	__u32 sessionid;
	__u32 compat; /* 1: a 32-bit system call */
	__s64 syscall_nr;
	__u64 syscall_args[6];
	__u64 start_ns; /* task_struct::start_boottime of the thread group's leader */
	__u64 cgroup_id;
	__u64 detail; /* fallocate mode, ioctl command, new size, ... as the operation has it */
	__u32 cut;    /* HF_CUT_* */
	__u32 stack_bytes;
	__u32 argv_bytes;
	__u32 ancestors;
	char comm[HF_COMM_LEN];
	char leader_comm[HF_COMM_LEN];
	char file_path[HF_PATH_LEN];
	char exe_path[HF_PATH_LEN];
	char cgroup_path[HF_PATH_LEN];
	char argv[HF_ARGV_LEN]; /* NUL-separated, as in /proc/PID/cmdline */
	struct hf_ancestor ancestor[HF_ANCESTORS]; /* parent first */
	__u64 stack[HF_STACK_DEPTH];
};
#define HF_CUT_FILE (1u << 0)
#define HF_CUT_EXE (1u << 1)
#define HF_CUT_CGROUP (1u << 2)
#define HF_CUT_ARGV (1u << 3)

/** One frame of a program's stack: struct bpf_stack_build_id of <linux/bpf.h>, by its layout. */
struct hf_user_frame {
	__s32 status; /* 1: build_id and offset; 2: ip */
	__u8 build_id[20];
	__u64 address; /* offset in the file of that build id, or the instruction pointer */
};

/**
 * Ring buffer hf_escapes: a break of a leased range, or of a traced file, that went through one of the choke points. Apart from the denials, so that a flood
 * of those costs no escape its event.
 */
struct hf_escape {
	struct hf_denial breaker; /* kind ESCAPE or TRACED; op: from the gate's hint, else NONE; error 0; lease_*: the leased extent; no file_path */
	__u32 choke;		  /* enum hf_choke */
	__u32 user_stack_bytes;
	__u64 passed_ns; /* CLOCK_BOOTTIME: when the gate saw this very operation begin, 0 where it did not. Leases that began later were raced by it. */
	struct hf_user_frame user_stack[HF_STACK_DEPTH];
};

/** Counters and the version of what is pinned: the array map hf_meta, one element. Only ever grows while the pins live. */
struct hf_meta {
	__u32 magic;
	__u32 abi_version;
	__u64 object_digest; /* of the BPF object that is loaded: an upgrade of the same ABI is told by it */
	__u64 next_id;
	__u64 denials;
	__u64 denials_lost; /* refused all the same, but the event found the buffer full */
	__u64 lifecycle_lost;
	__u64 registrations; /* seen since the gate was armed, with file-backed memory or not */
	__u64 unprotected;
	__u64 hints_missed; /* decided from the call stack because the operation's own hook was skipped */
	__u64 passed;	    /* range-touching operations let through */
	__u64 escapes;	    /* breaks of leased ranges seen by the tripwire; of a thread on one file, those within a tenth of a second count as one */
	__u64 escapes_lost; /* events of these that found the buffer full: there is one for each choke point passed */
	__u64 tripwire_blind; /* choke points passed of which the inode could not be told */
	char version[32];   /* of the Holdfast that armed the gate */
};

/** Requests to the BPF programs that the daemon runs (BPF_PROG_RUN of a syscall program, the request in the map hf_request): one writer's code for observer and daemon. */
enum hf_call_op {
	HF_CALL_LEASE_BEGIN = 1, /* new id and record; in: record, without device and first; device. out: id */
	HF_CALL_LEASE_PART = 2,	 /* add a part: in: id, part, holder; out: slot, reasons */
	HF_CALL_LEASE_COMMIT = 3, /* in: id, state, reasons */
	HF_CALL_LEASE_END = 4,	 /* in: id. Who asks knows of its end: no HF_EVENT_RELEASED tells it */
	HF_CALL_SWEEP = 5,	 /* in: part.file: drop the file's entry if it is empty; -EEXIST: it is not */
	HF_CALL_RACED = 6,	 /* in: part: is a break that overlaps it under way? out: raced */
	HF_CALL_TRACE_BEGIN = 7, /* in: part.file: report its breaks as HF_EVENT_TRACED */
	HF_CALL_TRACE_END = 8,	 /* in: part.file */
	HF_CALL_MOUNT = 9,	 /* in: id (s_dev), mount.seals, .flags, .window: the policy of a filesystem from now on */
	HF_CALL_LEASE_OPEN = 10, /* LEASE_BEGIN and LEASE_PART of the first part in one; out: id, 0 where it did not begin */
	HF_CALL_LEASE_READ = 11, /* in: id, index; out: record, device and, where record.parts > index, that part */
};
struct hf_call {
	__u32 op;
	__s32 result; /* 0 or negative errno */
	__u64 id;
	__u32 raced; /* out, LEASE_PART: 1 = a break that overlaps the part may be under way; ask with HF_CALL_RACED until it is not */
	__u32 page_shift; /* in, LEASE_PART: of the pages that back the file */
	__u32 index;	  /* in, LEASE_READ */
	__u32 pad;
	struct hf_lease record;
	struct hf_device device;
	struct hf_part part;
	struct hf_mount mount;
};

/** What the gate reads on its fast path: the array map hf_fast, one element. */
#define HF_FILTER_SIZE 65536u
#define HF_SEALED_SIZE 64u
struct hf_fast {
	__u64 flights; /* range-touching operations under way, about (a missed return hook leaves one too many): return hooks cost one load when 0 */
	__u64 passed;  /* range-touching operations that ran to their end */
	__u32 sealed[HF_SEALED_SIZE]; /* filesystems with seals or a window, by a hash of the device: 0 = the file's surely has none */
	__u32 filter[HF_FILTER_SIZE]; /* leased slots by a hash of device and inode: 0 = the file surely has none */
};

/** A kernel function through which file_permission is reached by an operation that moves blocks; its bytes, from /proc/kallsyms. */
struct hf_span {
	__u64 first;
	__u64 end;
	__u32 op; /* enum hf_op: what the stack says where the hint is missing */
	__u32 pad;
};
#define HF_SPANS 7

/** What the daemon tells the BPF programs: the array map hf_control, one element. */
struct hf_control {
	__u32 daemon_tgid;	  /* who may ask HF_IOCTL_FACTS */
	__u32 device_name_offset; /* offsetof(struct ib_device, name) from ib_core's BTF; 0 while ib_core is not loaded */
	__u32 adders;		  /* lease calls that are taking a slot now */
	__u32 sweeping;		  /* an empty file entry is being dropped: adders wait, bounded */
	__u32 default_flags;	  /* HF_MOUNT_* of filesystems without an entry in hf_mounts */
	__u32 xfs_inode_offset;	  /* offsetof(struct xfs_inode, i_vnode) from xfs' BTF; 0 while it is not loaded */
	__u64 user_registrations; /* how many registrations of one user get a record; 0 = as many as there is room for. Root's don't count. */
	__u32 windows;		  /* maintenance windows that are open, over files or filesystems: entries of hf_windows */
	__u32 pin_device;	  /* dev_t of /dev/holdfast-pin; 0 while the module is not loaded */
	__u64 complete;		  /* digest of pins and modules when a daemon last saw that no hook is missing; 0 = none has */
};

/** What the gate knows of an open file, asked for through the ioctl HF_IOCTL_FACTS by the daemon: the map hf_facts, one element. */
struct hf_facts {
	struct hf_file_key file;
	__u64 size_bytes;
	__u32 magic;
	__u32 mode;	   /* inode::i_mode */
	__u32 block_shift; /* super_block::s_blocksize_bits */
	__u32 flags;	   /* HF_PART_DAX */
	__u32 valid;
	__u32 pad;
};
#define HF_IOCTL_FACTS 0x48460001u /* only ever seen by the gate, which answers it with EUCLEAN; no driver gets it */

#define HF_ASSERT_SIZE(type, bytes) _Static_assert(sizeof(type) == (bytes), #type " has another size than its readers expect")
#ifdef __cplusplus
#undef HF_ASSERT_SIZE
#define HF_ASSERT_SIZE(type, bytes) static_assert(sizeof(type) == (bytes), #type " has another size than its readers expect")
#endif
HF_ASSERT_SIZE(struct hf_file_key, 16);
HF_ASSERT_SIZE(struct hf_slot, 32);
HF_ASSERT_SIZE(struct hf_file, 8 + 32 * HF_INLINE_SLOTS);
HF_ASSERT_SIZE(struct hf_chunk_key, 24);
HF_ASSERT_SIZE(struct hf_mount, 16);
HF_ASSERT_SIZE(struct hf_listed, 32);
HF_ASSERT_SIZE(struct hf_lease, 128);
HF_ASSERT_SIZE(struct hf_part_key, 16);
HF_ASSERT_SIZE(struct hf_part, 40);
HF_ASSERT_SIZE(struct hf_device, HF_DEVICE_LEN);
HF_ASSERT_SIZE(struct hf_lifecycle_event, 48);
HF_ASSERT_SIZE(struct hf_denial, 2480);
HF_ASSERT_SIZE(struct hf_user_frame, 32);
HF_ASSERT_SIZE(struct hf_escape, 2480 + 16 + 32 * HF_STACK_DEPTH);
HF_ASSERT_SIZE(struct hf_meta, 136);
HF_ASSERT_SIZE(struct hf_call, 248);
HF_ASSERT_SIZE(struct hf_facts, 48);
HF_ASSERT_SIZE(struct hf_control, 48);

#endif
