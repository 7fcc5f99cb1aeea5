/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * libholdfast: asks holdfastd to hold a file's layout still, and tells when someone tries to change it.
 *
 *	struct hf_session *session;
 *	struct hf_lease_handle *lease;
 *	struct hf_range range = {0, 1 << 20};
 *
 *	int error = hf_connect(NULL, &session);
 *	if (!error)
 *		error = hf_acquire(session, fd, &range, 1, 0, "my buffers", &lease);
 *	...	truncate(), punch, reflink and the like of that range are refused now, whoever tries
 *	hf_disconnect(session);	ends its leases too
 *
 * Rules of the whole library:
 *  - Functions that can fail return 0 (or a count) on success and a negative errno on failure; outputs are untouched on failure.
 *    hf_error_text() says in words what the last failure of a session was and what to do about it.
 *  - A session may be used by several threads at once; hf_disconnect() comes after their last call.
 *  - A child of fork() doesn't own its parent's session: every call but hf_disconnect() answers -ECHILD there. Leases stay with the parent.
 *  - When holdfastd is restarted, leases stand (the kernel keeps them) and the session takes them up again by itself, in its next call or
 *    when its event descriptor becomes readable. Only a lease that could not be taken up is reported, as HF_LEASE_EVENT_LOST.
 *  - The library starts no thread, installs no signal handler, raises no SIGPIPE, prints nothing and keeps nothing outside its sessions.
 *    Its descriptors are close-on-exec.
 */
#ifndef HOLDFAST_HOLDFAST_H
#define HOLDFAST_HOLDFAST_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define HF_API __attribute__((visibility("default")))
#define HF_MUST_CHECK __attribute__((warn_unused_result))
#else
#define HF_API
#define HF_MUST_CHECK
#endif

/** A connection to holdfastd with the leases that were acquired through it. */
struct hf_session;

/** A lease that this process holds; owned by its session, ended by hf_release() or hf_disconnect(). */
struct hf_lease_handle;

/** Bytes of a file. */
struct hf_range {
	uint64_t offset_bytes;
	uint64_t length_bytes; /* 0: to the end of the file as it is now */
};

#define HF_RANGES_MAX 1024u	/* ranges in one lease */
#define HF_LABEL_MAX 63u	/* bytes in a label, without the final NUL */
#define HF_LENGTH_TO_END UINT64_MAX /* hf_lease_event::length_bytes of an operation that touches everything from its offset on */

#define HF_ACQUIRE_SETTLE (1u << 0) /* allocate, zero and unshare the ranges first, so that their layout can be held */

#define HF_TIMEOUT_DEFAULT_MS 10000 /* bound of every call, see hf_set_timeout() */

/** What a breaker tried to do; the numbers never change. hf_operation_name() has the word for each. */
enum hf_operation {
	HF_OPERATION_NONE = 0,
	HF_OPERATION_TRUNCATE = 1,
	HF_OPERATION_PUNCH = 2,
	HF_OPERATION_ZERO = 3,
	HF_OPERATION_COLLAPSE = 4,
	HF_OPERATION_INSERT = 5,
	HF_OPERATION_UNSHARE = 6,
	HF_OPERATION_WRITE_ZEROES = 7,
	HF_OPERATION_FALLOCATE_NEW = 8, /* a fallocate mode newer than this Holdfast */
	HF_OPERATION_REFLINK = 9,	/* into the file */
	HF_OPERATION_REFLINK_FROM = 10, /* out of the file */
	HF_OPERATION_DEDUPE = 11,
	HF_OPERATION_DEDUPE_FROM = 12,
	HF_OPERATION_COPY = 13,
	HF_OPERATION_COPY_FROM = 14,
	HF_OPERATION_EXCHANGE = 15,
	HF_OPERATION_SWAP_EXTENTS = 16,
	HF_OPERATION_MOVE_EXTENTS = 17,
	HF_OPERATION_SWAP_BOOT = 18,
	HF_OPERATION_MIGRATE = 19,
	HF_OPERATION_ATTRIBUTES = 20,
	HF_OPERATION_VERITY = 21,
	HF_OPERATION_LAYOUT_CALL = 22,	/* one of the calls above, seen without its details */
	HF_OPERATION_DIRECT_WRITE = 23, /* a write with O_DIRECT to a file in the page cache */
	HF_OPERATION_LOOP_ATTACH = 24	/* a loop device is put on the file */
};

enum hf_lease_event_kind {
	HF_LEASE_EVENT_DENIED = 1,   /* someone tried to break the lease and was refused; the layout is as it was */
	HF_LEASE_EVENT_ESCAPED = 2,  /* the layout of leased bytes changed all the same: stop using the memory */
	HF_LEASE_EVENT_LOST = 3,     /* the lease ended without hf_release(): the layout may change from now on */
	HF_LEASE_EVENT_RECLAIMED = 4, /* holdfastd was away; the lease stood throughout, but denials in between were not told here */
	HF_LEASE_EVENT_RECALL = 5,   /* an administrator wants the file: stop using the memory, deregister it, hf_release(); until deadline_ns */
	HF_LEASE_EVENT_FENCE = 6,    /* the wait is over: make the memory unreachable now, then hf_release() or hf_recall_answer() */
	HF_LEASE_EVENT_RECALL_OVER = 7 /* the recall has ended: go on where the lease stands, lease the file again where it was let go. Not told by a
					  holdfastd that was restarted in the recall */
};

/** Something that happened to a lease. */
struct hf_lease_event {
	uint64_t lease_id;	/* as hf_lease_id() gives it */
	uint64_t time_ns;	/* CLOCK_BOOTTIME */
	uint32_t kind;		/* enum hf_lease_event_kind; ignore kinds that you don't know */
	uint32_t operation;	/* enum hf_operation; 0 where nothing was tried */
	uint64_t offset_bytes;	/* what the operation touches */
	uint64_t length_bytes;	/* HF_LENGTH_TO_END: everything from the offset on */
	int32_t error;		/* positive errno: the breaker's (denied), or why the lease could not be kept (lost) */
	uint32_t breaker_pid;	/* process */
	uint32_t breaker_tid;	/* thread */
	uint32_t breaker_uid;
	uint64_t deadline_ns;	/* CLOCK_BOOTTIME; RECALL and FENCE: when the administrator's next step follows. Else 0. */
	uint64_t lost_events;	/* events of this session that were dropped before this one, for want of reading */
	char breaker_comm[16];	/* NUL-terminated, as all names here */
	char breaker_exe[256];	/* path of the executable; "" where unknown */
};

/**
 * @brief Connects to holdfastd.
 * @param socket_path path of its Unix socket; NULL: the environment's HOLDFAST_SOCKET (ignored in set-user-ID programs), else /run/holdfast/holdfast.sock
 * @param session set to the new session; end it with hf_disconnect()
 * @return 0, or a negative errno
 * @errors EINVAL (session is NULL), ENAMETOOLONG (socket_path), ENOENT or ECONNREFUSED (holdfastd isn't running), EACCES (not permitted to use
 *	the socket), EPROTO (what answers is not holdfastd),
 *	EPROTONOSUPPORT (holdfastd is of a release that this library can't talk to), ETIMEDOUT, ENOMEM, EMFILE, ENFILE
 */
HF_API HF_MUST_CHECK int hf_connect(const char *socket_path, struct hf_session **session);

/**
 * @brief Ends the session and every lease of it; their handles are gone as well.
 * Never waits: a lease may stand for a moment longer (hf_release() waits for its end). In a child of fork() it only closes the child's descriptors: the parent's session and leases go on.
 * @param session may be NULL
 */
HF_API void hf_disconnect(struct hf_session *session);

/**
 * @brief Bounds the time that each later call of the session may take.
 * @param session
 * @param timeout_ms milliseconds, 1 or more; HF_TIMEOUT_DEFAULT_MS unless set
 * @return 0, or a negative errno
 * @errors EINVAL, ECHILD
 */
HF_API int hf_set_timeout(struct hf_session *session, int timeout_ms);

/**
 * @brief Acquires a lease: from its return on, operations that would change the layout of these bytes are refused, whoever issues them.
 * The descriptor names the file, so that no rename or symbolic link can come between; it may be closed afterwards.
 * @param session
 * @param fd descriptor of a regular file, opened for writing (or owned by the caller: a mere reader may not block the owner)
 * @param ranges bytes to hold; NULL with count 0: the whole file as it is now. They must lie inside the file and not overlap.
 * @param count how many, at most HF_RANGES_MAX
 * @param flags 0 or HF_ACQUIRE_SETTLE
 * @param label for people, shown by `holdfast leases`: at most HF_LABEL_MAX bytes; may be NULL
 * @param lease set to the handle; end it with hf_release()
 * @return 0, or a negative errno; hf_error_text() says why and what mends it
 * @errors EINVAL (arguments; ranges overlap; not a regular file), ERANGE (a range reaches beyond the end of the file), ENODATA (the file is empty),
 *	E2BIG (too many ranges), EBADF, EISDIR, EACCES (the caller could not have written the file), EOPNOTSUPP (a filesystem or a kind of file whose
 *	layout can't be held), EUCLEAN (the layout isn't settled: holes, unwritten or shared extents; see HF_ACQUIRE_SETTLE), EAGAIN (the layout
 *	changed meanwhile), ENOSPC or EDQUOT (no room for another lease, or quota), EBUSY (the session watches), ENOTCONN (holdfastd went away and
 *	did not come back in time), ETIMEDOUT (a lease that holdfastd grants afterwards is given back), ECHILD, ENOMEM. Others come from holdfastd
 *	as they are.
 */
HF_API HF_MUST_CHECK int hf_acquire(struct hf_session *session, int fd, const struct hf_range *ranges, size_t count, uint32_t flags,
				    const char *label, struct hf_lease_handle **lease);

/**
 * @brief Acquires a lease of a whole file on FS-DAX, and has the kernel module holdfast-pin bind bytes of it, for adapters without ODP.
 * What hf_reg_mr() of libholdfast-verbs does with it is all that most programs want. The descriptor is filled (HOLDFAST_PIN_FILL of holdfast_pin.h), then
 * mapped shared from offset 0 on: a region can be made over that mapping. While descriptor, mapping or region are there, nothing that touches the layout of
 * the file is allowed to anybody, beside the range neither; the lease ends with the last of them, whenever hf_release() is called.
 * @param session
 * @param fd descriptor of a regular file on FS-DAX, opened for reading and writing; its layout must be settled (HF_ACQUIRE_SETTLE of hf_acquire())
 * @param range bytes to bind, rounded out to pages; a length of 0: to the end of the file
 * @param label as for hf_acquire()
 * @param lease set to the handle
 * @param pin_fd set to a descriptor of the binding, closed on exec; the caller's
 * @return 0, or a negative errno; hf_error_text() says why and what mends it
 * @errors those of hf_acquire(); EOPNOTSUPP (not on FS-DAX, or no such module), EACCES (the descriptor can't do both, read and write), EAGAIN (an operation on
 *	the file was under way)
 */
HF_API HF_MUST_CHECK int hf_acquire_pin(struct hf_session *session, int fd, const struct hf_range *range, const char *label,
					struct hf_lease_handle **lease, int *pin_fd);

/**
 * @brief Ends a lease. The handle is gone afterwards, whatever the result (as with close(2)), except for ECHILD.
 * Where holdfastd can't be told now, it is told when it is back; the range stays leased until then.
 * @param lease may be NULL
 * @return 0 (also for a lease that was lost before), or a negative errno
 * @errors ENOTCONN, ETIMEDOUT, ECHILD
 */
HF_API int hf_release(struct hf_lease_handle *lease);

enum hf_recall_answer_kind {
	HF_RECALL_FENCED = 1, /* no adapter can reach the memory any more: the lease ends, as by hf_release() */
	HF_RECALL_REFUSED = 2 /* not now: the lease stands, and the administrator is told */
};

/**
 * @brief Answers HF_LEASE_EVENT_RECALL or HF_LEASE_EVENT_FENCE. hf_release() is an answer, too, and the best one.
 * Events of a recall also come for registrations of this process, with the number of the registration's lease (`holdfast registrations`). Such a lease
 * ends with its registration only (ibv_dereg_mr()), whatever is answered.
 * @param session of the process that holds the lease
 * @param lease_id as the event has it
 * @param answer enum hf_recall_answer_kind
 * @return 0, or a negative errno; after HF_RECALL_FENCED the handle still wants its hf_release(), which has nothing left to do
 * @errors EINVAL, ENOENT (no such lease of this process, or it is not being recalled), ENOTCONN, ETIMEDOUT, ECHILD, ENOMEM
 */
HF_API HF_MUST_CHECK int hf_recall_answer(struct hf_session *session, uint64_t lease_id, uint32_t answer);

/**
 * @brief The number under which `holdfast leases` and events show a lease.
 * @param lease
 * @return the number; 0 if lease is NULL
 */
HF_API uint64_t hf_lease_id(const struct hf_lease_handle *lease);

/**
 * @brief A descriptor to poll for POLLIN: readable when hf_next_event() or hf_next_watch_event() should be called.
 * It stays the same for the session's life, across restarts of holdfastd. It belongs to the session: don't read, modify or close it. It may be
 * readable without an event (a restarted holdfastd, a reply to another thread).
 * @param session
 * @return the descriptor, or a negative errno
 * @errors EINVAL, ECHILD
 */
HF_API int hf_event_fd(struct hf_session *session);

/**
 * @brief Takes the next event of this session's leases; never waits.
 * Up to 1024 events wait; then the oldest are dropped and counted in hf_lease_event::lost_events.
 * @param session
 * @param event filled in
 * @param event_bytes sizeof(*event): lets the structure grow without a new function
 * @return 1: there was one; 0: none now; or a negative errno
 * @errors EINVAL, ECHILD
 */
HF_API HF_MUST_CHECK int hf_next_event(struct hf_session *session, struct hf_lease_event *event, size_t event_bytes);

/**
 * @brief Asks to hear of every event on this machine, as `holdfast watch` does; a session that watches can't acquire leases.
 * @param session
 * @return 0, or a negative errno
 * @errors EBUSY (the session holds leases), EPERM or EACCES, ENOTCONN, ETIMEDOUT, ECHILD, ENOMEM
 */
HF_API HF_MUST_CHECK int hf_watch(struct hf_session *session);

/**
 * @brief Takes the next event of a session that watches, as a JSON object; never waits.
 * {"event":"reconnected"} comes from the library: holdfastd was away, and events in between are in its journal, not here.
 * {"event":"dropped","count":N}: N events were dropped for want of reading.
 * @param session
 * @param json set to NUL-terminated text; free it with hf_free()
 * @return 1: there was one; 0: none now; or a negative errno
 * @errors EINVAL (also: hf_watch() was not called), ECHILD, ENOMEM
 */
HF_API HF_MUST_CHECK int hf_next_watch_event(struct hf_session *session, char **json);

/**
 * @brief Asks holdfastd a question in JSON, as the queries of `holdfast` do.
 * @param session
 * @param request {"query":"status"}, "leases", "registrations", "denials", or "why" with a descriptor
 * @param fd of the file that the question is about; -1: none
 * @param json set to the answer: NUL-terminated text; free it with hf_free()
 * @return 0, or a negative errno
 * @errors EINVAL, EPERM or EACCES, EMSGSIZE (request longer than 16 MiB), ENOTCONN, ETIMEDOUT, ECHILD, ENOMEM. Others come from holdfastd as they are.
 */
HF_API HF_MUST_CHECK int hf_query(struct hf_session *session, const char *request, int fd, char **json);

/**
 * @brief Frees text that the library gave out.
 * @param text may be NULL
 */
HF_API void hf_free(char *text);

/**
 * @brief Copies the text of the session's last failure: what happened, and what to do next, on a second line.
 * A failure of another thread in the same session may have replaced it.
 * @param session
 * @param text filled in, cut where it doesn't fit, always NUL-terminated; may be NULL where text_bytes is 0
 * @param text_bytes its size
 * @return length of the whole text in bytes without the NUL (0: nothing failed yet), as snprintf(3)
 */
HF_API size_t hf_error_text(struct hf_session *session, char *text, size_t text_bytes);

/**
 * @brief The word for an operation: "truncate", "punch", ...
 * @param operation enum hf_operation
 * @return a constant string; "unknown" for a number that this library doesn't know
 */
HF_API const char *hf_operation_name(uint32_t operation);

/**
 * @brief The version of the library at run time, "MAJOR.MINOR.PATCH".
 * @return a constant string
 */
HF_API const char *hf_version(void);

#ifdef __cplusplus
}
#endif

#endif
