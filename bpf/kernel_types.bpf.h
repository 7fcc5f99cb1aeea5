/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The kernel's types, as far as Holdfast reads them. Offsets come from the running kernel's BTF (CO-RE), so only the names and kinds of fields matter
 * here, and no kernel headers are needed to build. A field that some kernels name otherwise stands in a type with a ___suffix.
 */
#ifndef HF_KERNEL_TYPES_BPF_H
#define HF_KERNEL_TYPES_BPF_H

typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;
typedef signed char __s8;
typedef short __s16;
typedef int __s32;
typedef long long __s64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;
typedef _Bool bool;
#define true 1
#define false 0
#define NULL ((void *)0)

/* uapi/linux/bpf.h, as far as it is used */
enum {
	BPF_ANY = 0,
	BPF_NOEXIST = 1,
};
enum bpf_map_type {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_LRU_HASH = 9,
	BPF_MAP_TYPE_RINGBUF = 27,
	BPF_MAP_TYPE_TASK_STORAGE = 29,
};
enum {
	BPF_F_NO_PREALLOC = 1,
	BPF_F_MMAPABLE = 1024,
	BPF_LOCAL_STORAGE_GET_F_CREATE = 1,
	BPF_F_USER_STACK = 256,
	BPF_F_USER_BUILD_ID = 2048,
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct pt_regs {
	unsigned long r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di, orig_ax, ip, cs, flags, sp, ss;
};

struct super_block {
	__u32 s_dev;
	unsigned long s_magic;
	unsigned char s_blocksize_bits;
};

typedef struct {
	__u32 val;
} kuid_t;
typedef struct {
	__u32 val;
} kgid_t;

typedef struct {
	int counter;
} atomic_t;

struct address_space;

struct inode {
	atomic_t i_count;
	struct address_space *i_mapping;
	kuid_t i_uid;
	unsigned long i_ino;
	struct super_block *i_sb;
	__u32 i_generation;
	__u32 i_flags;
	unsigned short i_mode;
	__u32 i_rdev;
	long long i_size;
};

struct qstr {
	const unsigned char *name;
};

struct dentry {
	struct dentry *d_parent;
	struct qstr d_name;
	struct inode *d_inode;
};

struct path {
	struct dentry *dentry;
};

struct file_operations {
	void *copy_file_range;
	void *remap_file_range;
};

struct xarray {
	void *xa_head;
};

struct xa_node {
	unsigned char shift;
	void *slots[64];
};

struct address_space {
	struct inode *host;
	struct xarray i_pages;
};

struct page {
	unsigned long index;
	unsigned long compound_head;
};

struct folio {
	unsigned long index;
	unsigned int _nr_pages;
};
/* 6.14 and before (mm: rename folio's count of pages) */
struct folio___older {
	unsigned int _folio_nr_pages;
};

enum pageflags {
	PG_head = 6,
};

struct file {
	struct inode *f_inode;
	unsigned int f_flags;
	long long f_pos;
	struct path f_path;
	const struct file_operations *f_op;
	void *private_data;
};

struct file_dedupe_range {
	__u64 src_offset;
	__u64 src_length;
};

struct iattr {
	unsigned int ia_valid;
	long long ia_size;
};

struct vm_area_struct {
	unsigned long vm_start;
	unsigned long vm_end;
	unsigned long vm_flags;
	unsigned long vm_pgoff;
	struct file *vm_file;
};

struct mm_struct {
	unsigned long arg_start;
	unsigned long arg_end;
	struct file *exe_file;
};

struct cred {
	kuid_t uid;
	kgid_t gid;
	kuid_t euid;
};

struct kernfs_node {
	struct kernfs_node *parent;
	const char *name;
};
/* 6.15 and later: read under RCU, so renamed (kernfs: Use RCU to access kernfs_node::parent) */
struct kernfs_node___rcu {
	struct kernfs_node *__parent;
};

struct cgroup {
	struct kernfs_node *kn;
};

struct css_set {
	struct cgroup *dfl_cgrp;
};

struct thread_info {
	__u32 status;
};

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
};

struct files_struct {
	struct fdtable *fdt;
};

struct task_struct {
	struct thread_info thread_info;
	unsigned int flags;
	int pid;
	int tgid;
	struct mm_struct *mm;
	struct task_struct *group_leader;
	struct task_struct *real_parent;
	__u64 start_boottime;
	const struct cred *cred;
	kuid_t loginuid;
	unsigned int sessionid;
	struct css_set *cgroups;
	struct files_struct *files;
	char comm[16];
};

#pragma clang attribute pop

#define S_IFMT 0170000
#define S_IFREG 0100000
#define S_IFBLK 0060000
#define S_IFCHR 0020000
#define S_DAX (1u << 13)
#define O_DIRECT 040000
#define O_APPEND 02000
#define MAY_WRITE 2
#define MAY_READ 4
#define ATTR_SIZE (1u << 3)
#define VM_MAYSHARE 0x80ul
#define VM_SHARED 0x08ul
#define PF_KTHREAD 0x00200000u
#define PF_IO_WORKER 0x00000010u
#define TS_COMPAT 0x0002u

#define XFS_SUPER_MAGIC 0x58465342u
#define EXT4_SUPER_MAGIC 0xEF53u
#define TMPFS_MAGIC 0x01021994u
#define HUGETLBFS_MAGIC 0x958458f6u

#define EUCLEAN 117
#define EBUSY 16
#define EINPROGRESS 115
#define ENOENT 2
#define EAGAIN 11
#define EINVAL 22
#define EEXIST 17
#define MAX_ERRNO 4095

#endif
