/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * What the kernel module holdfast-pin shares with holdfastd, libholdfast-verbs and the
 * gate. See docs/pin-module.md.
 *
 * holdfastd opens HOLDFAST_PIN_DEVICE once for each binding, binds it, and passes the
 * descriptor on. Its receiver fills it, then maps it: the mapping shows the file's own
 * pages, and a plain memory region may be made over it. The binding lasts until
 * descriptor and mappings are closed and nothing pins a page of it.
 */
#ifndef HOLDFAST_PIN_H
#define HOLDFAST_PIN_H

#if !defined(__bpf__)
#include <linux/ioctl.h>
#include <linux/types.h>
#endif

#define HOLDFAST_PIN_DEVICE "/dev/holdfast-pin"

/* The bytes of a file that are to be held, and the lease that keeps the whole file's layout. */
struct holdfast_pin_bind {
	__s32 fd;	/* a regular file on FS-DAX, open for reading and writing */
	__u32 flags;	/* 0 */
	__u64 offset_bytes;	/* both of whole pages */
	__u64 length_bytes;
	__u64 lease;	/* hf_lease::id: of all of the file, nothing older being under way */
};

/* Pins `bytes` more of the bound bytes, for the one process that will map them. */
struct holdfast_pin_fill {
	__u64 bytes;		/* 0: all that is left */
	__u64 filled_bytes;	/* out: of the binding so far, also where the call failed */
};

#define HOLDFAST_PIN_BIND _IOW('H', 0x50, struct holdfast_pin_bind)
#define HOLDFAST_PIN_FILL _IOWR('H', 0x51, struct holdfast_pin_fill)

/*
 * The module's calls of the gate, by security_file_ioctl() on the file, with the lease's
 * id: the gate answers them with EUCLEAN, and nothing else does.
 *
 * BIND: does this lease hold all of the file? From now on it ends by END only.
 * END: nothing pins the file through the binding any more.
 */
#define HOLDFAST_PIN_GATE_BIND 0x48460002u
#define HOLDFAST_PIN_GATE_END 0x48460003u

/* What the private data of a bound descriptor begins with, for the observer. */
struct holdfast_pin_view {
	__u64 magic;	/* HOLDFAST_PIN_MAGIC once it is bound */
	__u64 inode;	/* struct inode * */
	__u64 first_byte;
	__u64 length_bytes;
};

#define HOLDFAST_PIN_MAGIC 0x6e69705f66646c68ull /* "hldf_pin" */

#endif
