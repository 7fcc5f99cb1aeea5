/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * The protocol between libholdfast (and the CLI) and holdfastd: frames over a Unix stream socket, in host byte order (both ends are this machine).
 *
 * Each frame is a header and `size` bytes of payload. A request has a cookie that its reply repeats. Frames with HF_WIRE_EVENT come without a request.
 * File descriptors travel by SCM_RIGHTS with the header's first byte. Bounded: a frame larger than HF_WIRE_MAX is an error and ends the connection.
 */
#ifndef HF_ABI_WIRE_H
#define HF_ABI_WIRE_H

#include "kern.h"

#define HF_WIRE_VERSION 1u
#define HF_WIRE_MAGIC 0x48465731u /* "HFW1" */
#define HF_WIRE_MAX (16u << 20)	  /* bytes of payload, either way */
#define HF_WIRE_RANGES_MAX 1024u  /* ranges in one acquire */
#define HF_SOCKET_DEFAULT "/run/holdfast/holdfast.sock"

enum hf_wire_kind {
	HF_WIRE_HELLO = 1,     /* -> hf_wire_hello; <- hf_wire_hello. First frame of a connection. */
	HF_WIRE_ACQUIRE = 2,   /* -> hf_wire_acquire + ranges, one descriptor; <- hf_wire_acquired or ERROR */
	HF_WIRE_RELEASE = 3,   /* -> hf_wire_release; <- OK or ERROR */
	HF_WIRE_RECLAIM = 4,   /* -> hf_wire_reclaim: after a daemon restart, the same process takes its lease up again; <- OK or ERROR */
	HF_WIRE_QUERY = 5,     /* -> JSON text {"query": NAME, ...}, or {"do": NAME, ...}; <- JSON, or ERROR */
	HF_WIRE_SUBSCRIBE = 6, /* -> hf_wire_subscribe; <- OK, then EVENTs */
	HF_WIRE_RECALL_ANSWER = 7, /* -> hf_wire_recall_answer: to HF_EVENT_RECALL or HF_EVENT_FENCE; <- OK or ERROR */
	HF_WIRE_OK = 16,
	HF_WIRE_ERROR = 17, /* <- hf_wire_error + text: what happened, to which file, by whom, what to do next */
	HF_WIRE_ACQUIRED = 18,
	HF_WIRE_JSON = 19,
	HF_WIRE_ACQUIRED_PIN = 21, /* <- hf_wire_acquired with one descriptor: to HF_WIRE_ACQUIRE_PIN */
	HF_WIRE_EVENT = 20, /* <- hf_wire_event for a holder; JSON for a watcher (subscription JSON) */
};

struct hf_wire_header {
	__u32 magic;
	__u32 size; /* of the payload, in bytes */
	__u32 kind; /* enum hf_wire_kind */
	__u32 pad;
	__u64 cookie;
};

struct hf_wire_hello {
	__u32 version;
	__u32 abi_version;
	char software[32];
};

struct hf_wire_range {
	__u64 offset_bytes;
	__u64 length_bytes; /* 0: to the end of the file as it is now */
};

#define HF_WIRE_ACQUIRE_SETTLE (1u << 0) /* allocate, zero, unshare the range first */
#define HF_WIRE_ACQUIRE_PIN (1u << 1)	 /* one range, under a lease of the whole file, bound by the kernel module holdfast-pin */
struct hf_wire_acquire {
	__u32 flags;
	__u32 ranges;
	char label[64]; /* for people: shown by `holdfast leases` */
};

struct hf_wire_acquired {
	__u64 lease;
	__u64 token; /* proves at RECLAIM that it is the same holder */
};

struct hf_wire_release {
	__u64 lease;
};

struct hf_wire_reclaim {
	__u64 lease;
	__u64 token;
};

#define HF_WIRE_RECALL_FENCED 1u  /* the memory can't be reached by any adapter any more: ends the lease of a process; a registration's ends with its umem */
#define HF_WIRE_RECALL_REFUSED 2u /* not now */
struct hf_wire_recall_answer {
	__u64 lease;
	__u32 answer;
	__u32 pad;
};

#define HF_WIRE_SUBSCRIBE_OWN (1u << 0) /* events of this connection's leases, as hf_wire_event */
#define HF_WIRE_SUBSCRIBE_ALL (1u << 1) /* every event, as JSON */
struct hf_wire_subscribe {
	__u32 flags;
	__u32 pad;
};

struct hf_wire_error {
	__s32 error; /* positive errno */
	__u32 text_bytes;
};

/** An event on a lease, for its holder. */
struct hf_wire_event {
	__u64 lease;
	__u64 time_ns; /* CLOCK_BOOTTIME */
	__u32 kind;    /* enum hf_event_kind */
	__u32 op;      /* enum hf_op */
	__u64 offset_bytes;
	__u64 length_bytes; /* ~0: to the end of the file */
	__s32 error;
	__u32 breaker_pid;
	__u32 breaker_tid;
	__u32 breaker_uid;
	__u64 deadline_ns; /* HF_EVENT_RECALL, HF_EVENT_FENCE: CLOCK_BOOTTIME, what happens after it is the administrator's choice; else 0 */
	__u64 lost; /* events that this connection missed before this one */
	char breaker_comm[16];
	char breaker_exe[256];
};

HF_ASSERT_SIZE(struct hf_wire_header, 24);
HF_ASSERT_SIZE(struct hf_wire_hello, 40);
HF_ASSERT_SIZE(struct hf_wire_range, 16);
HF_ASSERT_SIZE(struct hf_wire_acquire, 72);
HF_ASSERT_SIZE(struct hf_wire_acquired, 16);
HF_ASSERT_SIZE(struct hf_wire_event, 344);
HF_ASSERT_SIZE(struct hf_wire_recall_answer, 16);

#endif
