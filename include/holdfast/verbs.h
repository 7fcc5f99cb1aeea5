/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * libholdfast-verbs: registers mapped files for RDMA in whatever way the adapter and the file allow, under a lease, and fences them.
 *
 *	struct hf_session *session;
 *	struct ibv_mr *mr;
 *
 *	hf_connect(NULL, &session);
 *	void *memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
 *	int error = hf_reg_mr(session, pd, memory, length, IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE, NULL, &mr);
 *	if (error)
 *		fprintf(stderr, "%s\n", hf_verbs_error_text());
 *	...
 *	hf_dereg_mr(mr);
 *
 * Rules:
 *  - Functions that can fail return 0 on success and a negative errno on failure; outputs are untouched on failure. hf_verbs_error_text() says in words what
 *    the calling thread's last failure was and what to do about it.
 *  - The lease comes first: from before the pages are pinned until after they are let go, nothing moves them.
 *  - Functions may be called by several threads at once, not for the same region.
 *  - A child of fork() owns none of its parent's regions: every call answers -ECHILD there. Regions and leases stay with the parent.
 *  - End regions before the session they were registered with (hf_dereg_mr(), then hf_disconnect()).
 */
#ifndef HOLDFAST_VERBS_H
#define HOLDFAST_VERBS_H

#include <infiniband/verbs.h>

#include "holdfast.h"

#ifdef __cplusplus
extern "C" {
#endif

/** How a region is registered. */
enum hf_plan {
	HF_PLAN_NONE = 0,
	HF_PLAN_PLAIN = 1, /* pinned, under a lease */
	HF_PLAN_ODP = 2,   /* On-Demand Paging, under a lease: nothing is pinned, and the lease keeps every page reachable */
	HF_PLAN_PINNED = 3 /* pinned by the kernel module holdfast-pin, under a lease of the whole file: FS-DAX without ODP */
};

#define HF_REG_SETTLE (1u << 0)	  /* allocate, zero and unshare the bytes first, so that their layout can be held */
#define HF_REG_ODP (1u << 1)	  /* ODP where the adapter has it, also where the memory could be pinned */
#define HF_REG_NO_ODP (1u << 2)	  /* never ODP */
#define HF_REG_FD (1u << 3)	  /* hf_reg_options::fd is the file of every shared mapping in the region */

/**
 * Told while the layout is settled, and while holdfast-pin pins pages; on the thread that called hf_reg_mr().
 * @param done_bytes, total_bytes of the region
 * @return 0 to go on; anything else ends hf_reg_mr() with -ECANCELED. What was settled stays so.
 */
typedef int hf_settle_progress(uint64_t done_bytes, uint64_t total_bytes, void *context);

/** What hf_reg_mr() may be told; NULL or all zeroes for the usual. */
struct hf_reg_options {
	uint32_t flags; /* HF_REG_* */
	int32_t fd;	/* with HF_REG_FD: needed only for files that have no name that this process could open (memfd, unlinked, another mount namespace) */
	const char *label; /* for people, shown by `holdfast leases`: at most HF_LABEL_MAX bytes; may be NULL */
	hf_settle_progress *progress; /* may be NULL */
	void *progress_context;
};

/**
 * @brief Registers memory as ibv_reg_mr() does, with every file in it under a lease.
 * Finds the files that are mapped shared in [addr, addr + length), leases the mapped bytes of each (hf_acquire()), then registers by the first plan that the
 * adapter and the kernel take: plain on memory and tmpfs and hugetlbfs files; ODP where the adapter has it on FS-DAX and page-cache files; plain there
 * otherwise. Private mappings and anonymous memory are registered as they are: they are no file's pages.
 * The region may span several mappings and files; a file may have any number of regions.
 * @param session
 * @param pd as for ibv_reg_mr()
 * @param addr as for ibv_reg_mr()
 * @param length in bytes
 * @param access IBV_ACCESS_*; IBV_ACCESS_ON_DEMAND is the plan's business and not taken here
 * @param options may be NULL
 * @param mr set to the region; end it with hf_dereg_mr(), never with ibv_dereg_mr()
 * @return 0, or a negative errno
 * @errors EINVAL (arguments), ECHILD, EFAULT (not mapped, or not with that access), ERANGE (beyond the end of a file), EOPNOTSUPP (no plan: the text says why
 *	and what mends it), EUCLEAN (the layout isn't settled: HF_REG_SETTLE), EACCES, ENOENT (a file has no name here: HF_REG_FD), ECANCELED, ENOMEM, and those of
 *	hf_acquire() and ibv_reg_mr()
 */
HF_API HF_MUST_CHECK int hf_reg_mr(struct hf_session *session, struct ibv_pd *pd, void *addr, size_t length, int access,
				   const struct hf_reg_options *options, struct ibv_mr **mr);

/**
 * @brief Deregisters a region of hf_reg_mr(), then ends its leases.
 * @param mr may be NULL; gone afterwards unless the errno is EBUSY or EINVAL (memory windows are bound to it), ECHILD or ENOENT
 * @return 0, or a negative errno
 * @errors ENOENT (not a region of hf_reg_mr()), ECHILD, those of ibv_dereg_mr()
 */
HF_API int hf_dereg_mr(struct ibv_mr *mr);

/**
 * @brief By which plan a region is registered.
 * @param mr
 * @return enum hf_plan; HF_PLAN_NONE where it is not a region of hf_reg_mr()
 */
HF_API uint32_t hf_mr_plan(const struct ibv_mr *mr);

/**
 * @brief The number of a region's lease, as events and `holdfast leases` have it.
 * @param mr
 * @param index 0 for the first file in the region, 1 for the second, ...
 * @return the number; 0 where there is none
 */
HF_API uint64_t hf_mr_lease_id(const struct ibv_mr *mr, size_t index);

/**
 * @brief The word for a plan: "plain", "odp", "pinned".
 * @param plan enum hf_plan
 * @return a constant string; "none" for HF_PLAN_NONE, "unknown" for a number that this library doesn't know
 */
HF_API const char *hf_plan_name(uint32_t plan);

/** How a region is made unreachable, in the order of preference. */
enum hf_fence {
	HF_FENCE_REREG_DOMAIN = 1, /* it moves to a protection domain without queue pairs, and stays registered */
	HF_FENCE_REREG_ACCESS = 2, /* it loses its remote access, and stays registered */
	HF_FENCE_DEREG = 3,	   /* it is gone, with its leases, as after hf_dereg_mr() */
	HF_FENCE_QUEUE_PAIRS = 4   /* the given queue pairs go to the error state */
};
#define HF_FENCE_BIT(fence) (1u << (fence))

/** What hf_fence_mr() may be told; NULL or all zeroes for the usual. */
struct hf_fence_options {
	uint32_t kinds; /* HF_FENCE_BIT()s that may be used; 0: all that hit this region only (1 to 3) */
	uint32_t queue_pair_count;
	struct ibv_qp **queue_pairs; /* for HF_FENCE_QUEUE_PAIRS */
};

/** What came of a fence. */
struct hf_fence_report {
	uint32_t fence;	  /* enum hf_fence */
	uint32_t pad;
	char proof[256];  /* how it was done and proved */
	char reach[256];  /* whom it hits */
};

/**
 * @brief Makes a region unreachable from the wire, and proves it.
 * Takes the first kind that the adapter offers and that can be proved: with queue pairs of its own on the same adapter the library reaches the region before
 * the fence, and is answered with a remote access error after. No byte of the region changes through the adapter once it has returned 0 (for
 * HF_FENCE_QUEUE_PAIRS: through these queue pairs). The layout stays leased until hf_dereg_mr();
 * a region that was fenced by HF_FENCE_DEREG is gone with its leases: don't use it any more.
 * A connection that uses the region afterwards gets an error and is broken by it: that is what a fence is for.
 * @param mr a region of hf_reg_mr(); its memory must still be mapped
 * @param options may be NULL
 * @param report filled in; may be NULL
 * @param report_bytes sizeof(*report): lets the structure grow without a new function
 * @return 0, or a negative errno: then the region must be taken for reachable
 * @errors EINVAL, ECHILD, ENOENT (not a region of hf_reg_mr()), EOPNOTSUPP (the adapter offers none of these kinds), EBUSY (memory windows may be bound to the
 *	region), ENETDOWN (no port is up to prove it by), ENOTRECOVERABLE (done, but not proved; where HF_FENCE_DEREG was
 *	among the kinds, hf_mr_plan() tells whether the region is still there), EACCES (the process changed its credentials since it opened the
 *	adapter)
 */
HF_API HF_MUST_CHECK int hf_fence_mr(struct ibv_mr *mr, const struct hf_fence_options *options, struct hf_fence_report *report, size_t report_bytes);

/**
 * @brief The word for a kind of fence: "rereg-domain", "rereg-access", "dereg", "queue-pairs".
 * @param fence enum hf_fence
 * @return a constant string; "unknown" for a number that this library doesn't know
 */
HF_API const char *hf_fence_name(uint32_t fence);

/**
 * @brief What the calling thread's last failure in this library was: what happened, and what to do next, on a second line.
 * @return text that stays until the thread's next call; "" where nothing failed yet
 */
HF_API const char *hf_verbs_error_text(void);

#ifdef __cplusplus
}
#endif

#endif
