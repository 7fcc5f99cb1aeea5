/* SPDX-License-Identifier: GPL-2.0-only */
/* What differs between the kernels that holdfast-pin is for, 6.1 to 6.14. */
#ifndef HOLDFAST_PIN_COMPAT_H
#define HOLDFAST_PIN_COMPAT_H

#include <linux/memremap.h>
#include <linux/mm.h>
#include <linux/version.h>

/* From 6.15 on folio_is_longterm_pinnable() says no to FS-DAX, whatever the mapping. */
#define PIN_KERNEL_FITS (LINUX_VERSION_CODE < KERNEL_VERSION(6, 15, 0))

#if PIN_KERNEL_FITS
#include <linux/pfn_t.h>

/* 6.3: vm_flags_set() and its kin */
static inline void pin_vm_flags(struct vm_area_struct *vma, unsigned long set,
				unsigned long clear)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 3, 0)
	vm_flags_mod(vma, set, clear);
#else
	vma->vm_flags = (vma->vm_flags | set) & ~clear;
#endif
}

/* 6.5: without the array of mappings */
static inline long pin_remote(struct mm_struct *mm, unsigned long start,
			      unsigned long count, struct page **pages,
			      int *locked)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 5, 0)
	return pin_user_pages_remote(mm, start, count, FOLL_WRITE, pages, locked);
#else
	return pin_user_pages_remote(mm, start, count, FOLL_WRITE, pages, NULL,
				     locked);
#endif
}

/* 6.6: the order instead of enum page_entry_size */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 6, 0)
#define PIN_FAULT_SIZE unsigned int
#define PIN_FAULT_IS_PMD(size) ((size) == PMD_SHIFT - PAGE_SHIFT)
#else
#define PIN_FAULT_SIZE enum page_entry_size
#define PIN_FAULT_IS_PMD(size) ((size) == PE_SIZE_PMD)
#endif

/* 6.14: page_pgmap() */
static inline struct dev_pagemap *pin_pgmap(struct page *page)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 14, 0)
	return page_pgmap(page);
#else
	return page->pgmap;
#endif
}
#endif /* PIN_KERNEL_FITS */

#endif
