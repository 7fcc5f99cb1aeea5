/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How the page cache is cut into folios. A folio that has pinned pages can't be split: what takes away a part of it takes away all of it
 * (truncate_inode_partial_folio(), invalidate_inode_pages2_range()), and with it leased bytes beside the range that was asked for.
 *
 * A folio of leased pages stays what it is while they are pinned, so a look without locks finds it right.
 */
#ifndef HF_FOLIO_BPF_H
#define HF_FOLIO_BPF_H

#define PAGE_SHIFT 12
#define HUGE_PAGE_SHIFT 21 /* of x86-64 and of arm64 with 4 KiB pages */

/* An XArray's nodes, as <linux/xarray.h> has them: 64 slots, entries that end in binary 10 are nodes, or the number of the slot that has the entry. */
#define XA_SLOTS 64
#define XA_LEVELS 11
#define XA_NODE_MIN 4096

/* @param folio a struct folio *, or its first struct page * */
static __always_inline __u64 folio_pages(const void *folio)
{
	const struct folio *newer = folio;
	const struct folio___older *older = folio;
	unsigned long flags = 0; /* the first word of both, in every kernel */

	bpf_probe_read_kernel(&flags, sizeof(flags), folio);
	if (!(flags >> bpf_core_enum_value(enum pageflags, PG_head) & 1))
		return 1;
	if (bpf_core_field_exists(older->_folio_nr_pages))
		return BPF_CORE_READ(older, _folio_nr_pages);
	return BPF_CORE_READ(newer, _nr_pages);
}

/* @return the entry of the page cache for this page: a folio, or 0 for none, for a swapped page and for DAX */
static __always_inline unsigned long cached_folio(struct address_space *mapping, __u64 page)
{
	unsigned long entry = (unsigned long)BPF_CORE_READ(mapping, i_pages.xa_head);

	for (int level = 0; level < XA_LEVELS; level++) {
		struct xa_node *node = (void *)(entry - 2);
		void **slots;
		__u64 at;

		if ((entry & 3) != 2)
			break;
		if (entry <= XA_NODE_MIN)
			return 0;
		at = page >> (BPF_CORE_READ(node, shift) & 63);
		if (!level && at >= XA_SLOTS)
			return 0;
		at &= XA_SLOTS - 1;
		slots = __builtin_preserve_access_index(&node->slots[0]);
		if (bpf_probe_read_kernel(&entry, sizeof(entry), slots + at))
			return 0;
		if ((entry & 3) == 2 && entry >> 2 < XA_SLOTS && bpf_probe_read_kernel(&entry, sizeof(entry), slots + (entry >> 2)))
			return 0;
	}
	return entry & 3 ? 0 : entry;
}

struct span {
	__u64 first;
	__u64 end;
};

/* Widens a range to the whole of the folio that has this page of it. */
static __always_inline void take_folio_in(struct address_space *mapping, __u64 page, struct span *span)
{
	void *folio = (void *)cached_folio(mapping, page);
	__u64 first, end;

	if (!folio)
		return;
	first = BPF_CORE_READ((struct folio *)folio, index);
	end = first + folio_pages(folio);
	/* Freed and used anew meanwhile: then it had no pinned page. */
	if (page < first || page >= end)
		return;
	first <<= PAGE_SHIFT;
	end <<= PAGE_SHIFT;
	if (first < span->first)
		span->first = first;
	if (end > span->end)
		span->end = end;
}

/*
 * Widens a range of a file to the folios that it cuts.
 * @return true where that made it larger
 */
static __noinline bool widen_to_folios(struct address_space *mapping, struct span *span)
{
	struct inode *inode = BPF_CORE_READ(mapping, host);
	__u64 first = span->first, end = span->end;

	if (first >= end || BPF_CORE_READ(inode, i_flags) & S_DAX || BPF_CORE_READ(inode, i_sb, s_magic) == HUGETLBFS_MAGIC)
		return false;
	if (first)
		take_folio_in(mapping, first >> PAGE_SHIFT, span);
	if (end < HF_RANGE_END)
		take_folio_in(mapping, (end - 1) >> PAGE_SHIFT, span);
	return span->first < first || span->end > end;
}

#endif
