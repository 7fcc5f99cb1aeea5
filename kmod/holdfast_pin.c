// SPDX-License-Identifier: GPL-2.0-only
/*
 * holdfast-pin: a view of a file on FS-DAX that an RDMA adapter without
 * On-Demand Paging can register, for Linux 6.1 to 6.14.
 *
 * A binding holds a range of a file. It pins the file's pages (short-term pins,
 * which FS-DAX takes), and its mapping shows them through a character device,
 * which long-term pinning takes. Where pages are pinned, XFS and ext4 wait for
 * them in every operation that may change the layout, holding the inode's locks.
 * That must never begin. So a binding is made only for a lease of the whole file
 * that the gate enforces: this module asks the gate itself, in the kernel, and
 * from that answer on the lease lasts until this module ends it.
 *
 * A binding, from bind to end:
 *
 *   bind (holdfastd): keeper mapping, then the gate's word; nothing is pinned yet
 *   fill (the user):  pins the pages through the keeper mapping
 *   map (the user):   the view; memory regions are made over it
 *   release:          last descriptor and mapping are gone; a work item drops our
 *                     pins and sleeps, without a thread, until no page has another
 *   end:              keeper mapping away, lease over, file let go
 *
 * The keeper mapping maps the file in a mm of this module's own for as long as
 * anything may be pinned: dax_layout_busy_page_range() looks at no page of a file
 * that nobody maps, and the blocks of pinned pages would be freed.
 *
 * Locking: pin->lock serializes bind and fill of one binding. It is taken before
 * any mmap_lock, so neither mmap nor a fault takes it: they see a binding that is
 * complete (pin->filled, release and acquire) and doesn't change any more. From
 * release on there is the work item only.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/module.h>
#include "compat.h"

#define PIN_HAS_ALL (IS_ENABLED(CONFIG_FS_DAX) && IS_ENABLED(CONFIG_64BIT) && \
		     IS_ENABLED(CONFIG_BPF_LSM) && IS_ENABLED(CONFIG_MMU_NOTIFIER) && \
		     IS_ENABLED(CONFIG_TRANSPARENT_HUGEPAGE))

#if !PIN_KERNEL_FITS || !PIN_HAS_ALL

static int __init pin_init(void)
{
	if (!PIN_KERNEL_FITS)
		pr_err("no use from Linux 6.15 on, which pins no FS-DAX page for long, whatever the mapping: use an adapter with ODP\n");
	else
		pr_err("this kernel lacks one of FS_DAX, BPF_LSM, MMU_NOTIFIER, TRANSPARENT_HUGEPAGE, 64BIT\n");
	return -EOPNOTSUPP;
}

static void __exit pin_exit(void)
{
}

#else

#include <linux/capability.h>
#include <linux/dax.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/huge_mm.h>
#include <linux/kthread.h>
#include <linux/miscdevice.h>
#include <linux/mman.h>
#include <linux/mmu_notifier.h>
#include <linux/mutex.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/security.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/wait_bit.h>
#include <linux/workqueue.h>
#include "holdfast_pin.h"

#define PIN_BATCH 512UL	/* pages that are pinned or dropped at a time */

struct pin {
	struct holdfast_pin_view view;	/* first: the observer looks for it here */
	struct mutex lock;		/* bind and fill */
	struct file *file;		/* NULL: not bound */
	u64 lease;
	unsigned long npages;
	unsigned long keeper;		/* address of the keeper mapping */
	struct mmu_interval_notifier notifier;	/* ... and who tells of its end */

	struct mm_struct *mm;		/* whose RLIMIT_MEMLOCK pays, and who maps */
	struct page **pages;
	unsigned long filled;		/* of npages, pinned */
	struct dev_pagemap *pgmap;

	struct address_space *view_mapping;
	struct work_struct poison;
	struct work_struct end;
	bool dropped;			/* our own pins are gone */
	unsigned long idle;		/* so many pages were seen without pins since */
	struct wait_bit_queue_entry wait;
};

static struct workqueue_struct *pin_wq;
static struct mm_struct *keeper_mm;	/* of the process that loaded the module */

/* ---- the gate ---- */

static bool gate_says(struct pin *pin, unsigned int command)
{
	return security_file_ioctl(pin->file, command, pin->lease) == -EUCLEAN;
}

/* ---- the keeper mapping ---- */

struct keeper_map {
	struct work_struct work;
	struct pin *pin;
	long result;
};

/*
 * The loader's memory is of no use once it has exited: what it had mapped goes
 * before the first binding. mm_users is 1 then, our own.
 */
static void keeper_clean(void)
{
	static bool clean;

	if (clean || atomic_read(&keeper_mm->mm_users) > 1)
		return;
	clean = true;
	vm_munmap(0, TASK_SIZE);
}

/* In a worker, since vm_mmap() maps into the caller's own mm. */
static void keeper_map_work(struct work_struct *work)
{
	struct keeper_map *map = container_of(work, struct keeper_map, work);
	struct pin *pin = map->pin;
	unsigned long addr;

	kthread_use_mm(keeper_mm);
	keeper_clean();
	/* MAP_SYNC: a block is on stable storage before its page can be pinned. */
	addr = vm_mmap(pin->file, 0, pin->npages << PAGE_SHIFT,
		       PROT_READ | PROT_WRITE, MAP_SHARED_VALIDATE | MAP_SYNC,
		       pin->view.first_byte);
	kthread_unuse_mm(keeper_mm);
	map->result = IS_ERR_VALUE(addr) ? (long)addr : 0;
	if (!map->result)
		pin->keeper = addr;
}

/* In a worker. */
static void keeper_unmap(struct pin *pin)
{
	kthread_use_mm(keeper_mm);
	WARN_ON_ONCE(vm_munmap(pin->keeper, pin->npages << PAGE_SHIFT));
	kthread_unuse_mm(keeper_mm);
	pin->keeper = 0;
}

static void keeper_unmap_work(struct work_struct *work)
{
	keeper_unmap(container_of(work, struct keeper_map, work)->pin);
}

static long keeper_do(struct pin *pin, work_func_t func)
{
	struct keeper_map map = { .pin = pin };

	INIT_WORK_ONSTACK(&map.work, func);
	queue_work(pin_wq, &map.work);
	flush_work(&map.work);	/* one mapping of one file: no fault, no I/O */
	destroy_work_on_stack(&map.work);
	return map.result;
}

/* ---- memory failure ---- */

/*
 * memory_failure() unmaps a page from the mappings of its file. The view is none
 * of them, but the keeper mapping is, so its invalidation is the occasion to look.
 * The view's user then gets SIGBUS from pin_fault().
 */
static void pin_poison_work(struct work_struct *work)
{
	struct pin *pin = container_of(work, struct pin, poison);
	/* Pairs with pin_fill_batch(): the pages that it counts are there. */
	unsigned long filled = smp_load_acquire(&pin->filled);
	unsigned long i;

	for (i = 0; i < filled; i++) {
		if (PageHWPoison(pin->pages[i]))
			unmap_mapping_range(pin->view_mapping,
					    (loff_t)i << PAGE_SHIFT, PAGE_SIZE, 1);
		if (!(i % PIN_BATCH))
			cond_resched();
	}
}

static bool pin_invalidate(struct mmu_interval_notifier *notifier,
			   const struct mmu_notifier_range *range,
			   unsigned long seq)
{
	struct pin *pin = container_of(notifier, struct pin, notifier);

	mmu_interval_set_seq(notifier, seq);
	queue_work(pin_wq, &pin->poison);
	return true;
}

static const struct mmu_interval_notifier_ops pin_notifier_ops = {
	.invalidate = pin_invalidate,
};

/* ---- the end ---- */

static void pin_drop(struct pin *pin)
{
	unsigned long at, n;

	for (at = 0; at < pin->filled; at += n) {
		n = min(pin->filled - at, PIN_BATCH);
		unpin_user_pages(pin->pages + at, n);
		cond_resched();
	}
	pin->dropped = true;
}

/* FS-DAX pages have one reference of their own before 6.15. */
static bool page_idle(struct page *page)
{
	return page_ref_count(page) == 1;
}

/* Called for every wake-up of the bucket, with its lock held. */
static int pin_wake(struct wait_queue_entry *entry, unsigned int mode, int flags,
		    void *arg)
{
	struct pin *pin = container_of(entry, struct pin, wait.wq_entry);
	struct wait_bit_key *key = arg;

	if (key->flags != pin->wait.key.flags || key->bit_nr != pin->wait.key.bit_nr)
		return 0;
	/* Off the list before it is queued: once queued, the work may free pin. */
	list_del_init(&entry->entry);
	queue_work(pin_wq, &pin->end);
	return 1;
}

/*
 * The kernel wakes waiters for &page->_refcount when it falls to 1, as XFS and ext4
 * wait for it themselves.
 *
 * Return: true where the page is idle; false where the work is, or will be, queued.
 */
static bool pin_wait_idle(struct pin *pin, struct page *page)
{
	struct wait_queue_head *head = __var_waitqueue(&page->_refcount);
	unsigned long flags;
	bool mine;

	if (page_idle(page))
		return true;
	pin->wait.key = (struct wait_bit_key){ .flags = &page->_refcount,
					       .bit_nr = -1 };
	init_waitqueue_func_entry(&pin->wait.wq_entry, pin_wake);
	INIT_LIST_HEAD(&pin->wait.wq_entry.entry);
	add_wait_queue(head, &pin->wait.wq_entry);
	/* Pairs with the fully ordered decrement before waitqueue_active(). */
	smp_mb();
	if (!page_idle(page))
		return false;
	spin_lock_irqsave(&head->lock, flags);
	mine = !list_empty(&pin->wait.wq_entry.entry);
	list_del_init(&pin->wait.wq_entry.entry);
	spin_unlock_irqrestore(&head->lock, flags);
	return mine;
}

/*
 * Nobody has the view any more, so nothing can newly pin a page through it, and a
 * page that was seen idle needs no second look.
 */
static void pin_end_work(struct work_struct *work)
{
	struct pin *pin = container_of(work, struct pin, end);

	if (!pin->dropped)
		pin_drop(pin);
	for (; pin->idle < pin->filled; pin->idle++) {
		if (!pin_wait_idle(pin, pin->pages[pin->idle]))
			return;
		if (!(pin->idle % PIN_BATCH))
			cond_resched();
	}

	mmu_interval_notifier_remove(&pin->notifier);
	cancel_work_sync(&pin->poison);
	keeper_unmap(pin);
	/* Until here every operation that would have waited was refused. */
	gate_says(pin, HOLDFAST_PIN_GATE_END);
	if (pin->pgmap)
		put_dev_pagemap(pin->pgmap);
	if (pin->mm) {
		account_locked_vm(pin->mm, pin->npages, false);
		mmdrop(pin->mm);
	}
	fput(pin->file);
	kvfree(pin->pages);
	kfree(pin);
	module_put(THIS_MODULE);	/* pin_exit() waits for us to return */
}

/* ---- bind: holdfastd ---- */

static struct file *pin_file(const struct holdfast_pin_bind *bind)
{
	struct file *file = fget(bind->fd);
	struct inode *inode;
	int error = 0;

	if (!file)
		return ERR_PTR(-EBADF);
	inode = file_inode(file);
	if (!S_ISREG(inode->i_mode) || !IS_DAX(inode))
		error = -EOPNOTSUPP;
	else if (!(file->f_mode & FMODE_READ) || !(file->f_mode & FMODE_WRITE))
		error = -EACCES;
	else if (bind->offset_bytes + bind->length_bytes >
		 round_up(i_size_read(inode), PAGE_SIZE))
		error = -EFBIG;	/* a fault there would be a SIGBUS */
	if (!error)
		return file;
	fput(file);
	return ERR_PTR(error);
}

static int pin_bind_locked(struct pin *pin, const struct holdfast_pin_bind *bind)
{
	struct file *file;
	long error;

	if (pin->file)
		return -EBUSY;
	file = pin_file(bind);
	if (IS_ERR(file))
		return PTR_ERR(file);
	pin->file = file;
	pin->lease = bind->lease;
	pin->npages = bind->length_bytes >> PAGE_SHIFT;
	pin->view.inode = (u64)(unsigned long)file_inode(file);
	pin->view.first_byte = bind->offset_bytes;
	pin->view.length_bytes = bind->length_bytes;
	error = keeper_do(pin, keeper_map_work);
	if (error)
		goto no_keeper;
	error = mmu_interval_notifier_insert(&pin->notifier, keeper_mm, pin->keeper,
					     bind->length_bytes, &pin_notifier_ops);
	if (error)
		goto no_notifier;
	/* Last, since the lease is ours from then on. */
	error = -ENOLCK;
	if (!gate_says(pin, HOLDFAST_PIN_GATE_BIND))
		goto no_lease;
	__module_get(THIS_MODULE);	/* until the end of pin_end_work() */
	/* For the observer, which looks at the rest of the view after it. */
	smp_store_release(&pin->view.magic, HOLDFAST_PIN_MAGIC);
	return 0;

no_lease:
	mmu_interval_notifier_remove(&pin->notifier);
	cancel_work_sync(&pin->poison);
no_notifier:
	keeper_do(pin, keeper_unmap_work);
no_keeper:
	pin->file = NULL;
	fput(file);
	return error;
}

static long pin_bind(struct pin *pin, const void __user *arg)
{
	struct holdfast_pin_bind bind;
	int error;

	if (copy_from_user(&bind, arg, sizeof(bind)))
		return -EFAULT;
	if (bind.flags || !bind.length_bytes || !PAGE_ALIGNED(bind.offset_bytes) ||
	    !PAGE_ALIGNED(bind.length_bytes) || bind.offset_bytes > MAX_LFS_FILESIZE ||
	    bind.length_bytes > MAX_LFS_FILESIZE - bind.offset_bytes)
		return -EINVAL;
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (mutex_lock_killable(&pin->lock))
		return -EINTR;
	error = pin_bind_locked(pin, &bind);
	mutex_unlock(&pin->lock);
	return error;
}

/* ---- fill: the user ---- */

/* The first call says whose the binding is: his limit pays, his cgroup has the memory. */
static int pin_settle_owner(struct pin *pin)
{
	int error;

	if (pin->mm)
		return pin->mm == current->mm ? 0 : -EPERM;
	error = account_locked_vm(current->mm, pin->npages, true);
	if (error)
		return error;
	pin->pages = kvmalloc_array(pin->npages, sizeof(*pin->pages),
				    GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!pin->pages) {
		account_locked_vm(current->mm, pin->npages, false);
		return -ENOMEM;
	}
	mmgrab(current->mm);
	pin->mm = current->mm;
	return 0;
}

/* All pages are of one FS-DAX device, which stays while we have its pagemap. */
static bool pin_pages_fit(struct pin *pin, struct page **pages, long n)
{
	long i;

	for (i = 0; i < n; i++) {
		if (!is_zone_device_page(pages[i]))
			return false;
		if (!pin->pgmap)
			pin->pgmap = get_dev_pagemap(page_to_pfn(pages[i]), NULL);
		if (!pin->pgmap || pin->pgmap->type != MEMORY_DEVICE_FS_DAX ||
		    pin_pgmap(pages[i]) != pin->pgmap)
			return false;
	}
	return true;
}

static int pin_fill_batch(struct pin *pin, unsigned long count)
{
	struct super_block *sb = file_inode(pin->file)->i_sb;
	struct page **pages = pin->pages + pin->filled;
	int locked = 1;
	long n;

	/*
	 * A fault on a frozen filesystem sleeps with the mmap_lock, which here is
	 * every binding's. While we have this, no freeze gets as far as faults.
	 */
	if (!sb_start_write_trylock(sb))
		return -EAGAIN;
	n = mmap_read_lock_killable(keeper_mm);
	if (!n) {
		n = pin_remote(keeper_mm, pin->keeper + (pin->filled << PAGE_SHIFT),
			       count, pages, &locked);
		if (locked)
			mmap_read_unlock(keeper_mm);
		if (!n)
			n = -EFAULT;
	}
	sb_end_write(sb);
	if (n < 0)
		return n;
	if (!pin_pages_fit(pin, pages, n)) {
		unpin_user_pages(pages, n);
		return -EOPNOTSUPP;
	}
	/* What mmap and faults see is there from here on. */
	smp_store_release(&pin->filled, pin->filled + n);
	return 0;
}

static int pin_fill_locked(struct pin *pin, unsigned long count)
{
	unsigned long left;
	int error;

	if (!pin->file)
		return -ENXIO;
	error = pin_settle_owner(pin);
	while (!error && count && pin->filled < pin->npages) {
		unsigned long before = pin->filled;

		if (signal_pending(current))
			return -EINTR;
		left = min(count, pin->npages - before);
		error = pin_fill_batch(pin, min(left, PIN_BATCH));
		count -= pin->filled - before;
		cond_resched();
	}
	return error;
}

static long pin_fill(struct pin *pin, void __user *arg)
{
	struct holdfast_pin_fill fill;
	unsigned long count;
	int error;

	if (copy_from_user(&fill, arg, sizeof(fill)))
		return -EFAULT;
	count = fill.bytes ? DIV_ROUND_UP(fill.bytes, PAGE_SIZE) : ULONG_MAX;
	if (mutex_lock_killable(&pin->lock))
		return -EINTR;
	error = pin_fill_locked(pin, count);
	fill.filled_bytes = (u64)pin->filled << PAGE_SHIFT;
	mutex_unlock(&pin->lock);
	if (copy_to_user(arg, &fill, sizeof(fill)))
		return -EFAULT;
	return error;
}

/* ---- the view ---- */

static bool pin_complete(struct pin *pin)
{
	/* Pairs with pin_fill_batch(). */
	return pin->npages && smp_load_acquire(&pin->filled) == pin->npages;
}

static vm_fault_t pin_fault(struct vm_fault *vmf)
{
	struct pin *pin = vmf->vma->vm_file->private_data;
	struct page *page;

	if (vmf->pgoff >= pin->npages)
		return VM_FAULT_SIGBUS;
	page = pin->pages[vmf->pgoff];
	if (PageHWPoison(page))
		return VM_FAULT_HWPOISON;
	/* PFN_DEV | PFN_MAP makes a devmap entry, which GUP turns into its page. */
	return vmf_insert_mixed(vmf->vma, vmf->address,
				__pfn_to_pfn_t(page_to_pfn(page), PFN_DEV | PFN_MAP));
}

static vm_fault_t pin_huge_fault(struct vm_fault *vmf, PIN_FAULT_SIZE size)
{
	struct vm_area_struct *vma = vmf->vma;
	struct pin *pin = vma->vm_file->private_data;
	unsigned long start = vmf->address & PMD_MASK;
	unsigned long first, pfn, i;

	if (!PIN_FAULT_IS_PMD(size) || start < vma->vm_start ||
	    start + PMD_SIZE > vma->vm_end)
		return VM_FAULT_FALLBACK;
	first = vma->vm_pgoff + ((start - vma->vm_start) >> PAGE_SHIFT);
	if (first >= pin->npages || pin->npages - first < PTRS_PER_PMD)
		return VM_FAULT_FALLBACK;
	pfn = page_to_pfn(pin->pages[first]);
	if (!IS_ALIGNED(pfn, PTRS_PER_PMD))
		return VM_FAULT_FALLBACK;
	for (i = 0; i < PTRS_PER_PMD; i++)
		if (page_to_pfn(pin->pages[first + i]) != pfn + i ||
		    PageHWPoison(pin->pages[first + i]))
			return VM_FAULT_FALLBACK;
	return vmf_insert_pfn_pmd(vmf, __pfn_to_pfn_t(pfn, PFN_DEV | PFN_MAP),
				  vma->vm_flags & VM_WRITE);
}

/*
 * No *_mkwrite: a mapping that needs dirty tracking is refused for long-term pins.
 * Splits and moves of a mapping need no help: a fault goes by its page offset.
 */
static const struct vm_operations_struct pin_vm_ops = {
	.fault = pin_fault,
	.huge_fault = pin_huge_fault,
};

static int pin_mmap(struct file *filp, struct vm_area_struct *vma)
{
	struct pin *pin = filp->private_data;

	if (!pin_complete(pin))
		return -ENXIO;
	if (pin->mm != current->mm || (vma->vm_flags & VM_EXEC))
		return -EPERM;
	if (!(vma->vm_flags & VM_SHARED) || vma->vm_pgoff >= pin->npages ||
	    vma_pages(vma) > pin->npages - vma->vm_pgoff)
		return -EINVAL;
	pin_vm_flags(vma, VM_MIXEDMAP | VM_DONTEXPAND | VM_DONTCOPY | VM_DONTDUMP,
		     VM_MAYEXEC);
	vma->vm_ops = &pin_vm_ops;
	return 0;
}

/* ---- the device ---- */

static int pin_open(struct inode *inode, struct file *filp)
{
	struct pin *pin;

	filp->private_data = NULL;	/* misc_open() left its own there */
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	pin = kzalloc(sizeof(*pin), GFP_KERNEL_ACCOUNT);
	if (!pin)
		return -ENOMEM;
	mutex_init(&pin->lock);
	INIT_WORK(&pin->end, pin_end_work);
	INIT_WORK(&pin->poison, pin_poison_work);
	pin->view_mapping = inode->i_mapping;
	/* As device-dax does: huge faults come to DAX mappings only. */
	inode->i_flags |= S_DAX;
	filp->private_data = pin;
	return 0;
}

static int pin_release(struct inode *inode, struct file *filp)
{
	struct pin *pin = filp->private_data;

	if (pin->file)
		queue_work(pin_wq, &pin->end);
	else
		kfree(pin);
	return 0;
}

static long pin_ioctl(struct file *filp, unsigned int command, unsigned long arg)
{
	switch (command) {
	case HOLDFAST_PIN_BIND:
		return pin_bind(filp->private_data, (void __user *)arg);
	case HOLDFAST_PIN_FILL:
		return pin_fill(filp->private_data, (void __user *)arg);
	}
	return -ENOTTY;
}

static const struct file_operations pin_fops = {
	.owner = THIS_MODULE,
	.open = pin_open,
	.release = pin_release,
	.unlocked_ioctl = pin_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.mmap = pin_mmap,
	.get_unmapped_area = thp_get_unmapped_area,
};

static struct miscdevice pin_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "holdfast-pin",
	.fops = &pin_fops,
	.mode = 0600,
};

static int __init pin_init(void)
{
	int error;

	if (!current->mm) {
		pr_err("load it from user space: a mm is needed to keep files mapped in\n");
		return -EOPNOTSUPP;
	}
	pin_wq = alloc_workqueue("holdfast_pin", WQ_UNBOUND, 0);
	if (!pin_wq)
		return -ENOMEM;
	keeper_mm = current->mm;
	mmget(keeper_mm);
	error = misc_register(&pin_device);
	if (error) {
		destroy_workqueue(pin_wq);
		mmput(keeper_mm);
	}
	return error;
}

static void __exit pin_exit(void)
{
	misc_deregister(&pin_device);
	destroy_workqueue(pin_wq);	/* waits for the last pin_end_work() */
	mmput(keeper_mm);
}

#endif

module_init(pin_init);
module_exit(pin_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Views of FS-DAX files that adapters without ODP can register, under a lease of Holdfast's gate");
