/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the daemon asks of the kernel side, by BPF_PROG_RUN: leases that are not registrations, and sweeping. One request, one answer: struct hf_call. */
#ifndef HF_CALLS_BPF_H
#define HF_CALLS_BPF_H

static __always_inline int call_begin(struct hf_call *call)
{
	__u64 id = new_id();

	call->id = id;
	call->record.parts = 0;
	call->record.device = device_number(&call->device);
	return bpf_map_update_elem(&hf_leases, &id, &call->record, BPF_NOEXIST);
}

static __always_inline int call_part(__u64 id, struct hf_part *part, __u32 holder, __u32 page_shift)
{
	struct hf_control *c = control();
	struct hf_lease *record;
	struct hf_part_key key = {.lease = id};
	int error;

	record = bpf_map_lookup_elem(&hf_leases, &id);
	if (!part || !record)
		return -ENOENT;
	part->reasons = 0;
	part->slot = HF_NO_SLOT;
	if (record->parts >= HF_PARTS_MAX) {
		part->reasons = HF_REASON_TOO_MANY_PARTS;
		return -EAGAIN;
	}
	if (!adder_enter(c))
		return -EBUSY;
	error = slot_take(part, holder, page_shift);
	adder_leave(c);
	if (error)
		return error;
	/* A registration that the daemon completes may have been released meanwhile. */
	record = bpf_map_lookup_elem(&hf_leases, &id);
	key.index = record ? record->parts : 0;
	if (!record)
		error = -ENOENT;
	else if (!key.index)
		record->first = *part;
	else
		error = bpf_map_update_elem(&hf_parts, &key, part, BPF_ANY);
	if (error) {
		slot_give_back(part);
		return error;
	}
	record->parts++;
	return 0;
}

/* As of now: no lock is held, so that a record that changes meanwhile may be seen half changed, and is told of by its event. */
static __always_inline int call_read(struct hf_call *call, __u64 id)
{
	struct hf_part_key key = {.lease = id, .index = call->index};
	struct hf_lease *record = bpf_map_lookup_elem(&hf_leases, &id);
	struct hf_device *device;
	struct hf_part *part;
	__u32 number;

	if (!record)
		return -ENOENT;
	call->record = *record;
	number = record->device;
	device = number ? bpf_map_lookup_elem(&hf_devices, &number) : NULL;
	if (device)
		call->device = *device;
	if (key.index >= record->parts)
		return 0;
	if (!key.index) {
		call->part = record->first;
		return 0;
	}
	part = bpf_map_lookup_elem(&hf_parts, &key);
	if (!part)
		return -ENOENT;
	call->part = *part;
	return 0;
}

struct sweep {
	struct hf_file_key key;
	__u32 used;
	__u32 pad;
};

static long sweep_chunk(__u32 index, struct sweep *sweep)
{
	struct hf_chunk_key key = {.file = sweep->key, .index = index};

	bpf_map_delete_elem(&hf_chunks, &key);
	return 0;
}

static long sweep_slot(__u32 index, struct sweep *sweep)
{
	struct hf_slot *slot = slot_at(&sweep->key, index);

	if (slot && slot->state)
		sweep->used = 1;
	return 0;
}

static __always_inline int call_sweep(struct hf_file_key *file)
{
	struct hf_control *c = control();
	struct hf_file *found;
	__u32 chunks;
	int error = 0;

	if (!c || !file)
		return -EINVAL;
	struct sweep sweep = {.key = *file};

	if (__sync_val_compare_and_swap(&c->sweeping, 0, 1))
		return -EBUSY;
	/* Adders that come now wait; one that is in already has us stop. */
	if (__sync_fetch_and_add(&c->adders, 0)) {
		error = -EBUSY;
	} else {
		found = bpf_map_lookup_elem(&hf_files, &sweep.key);
		/* No adder is in, so the mark stands still. */
		chunks = found && found->chunks < HF_CHUNKS ? found->chunks : HF_CHUNKS;
		bpf_loop(HF_INLINE_SLOTS + chunks * HF_CHUNK_SLOTS, sweep_slot, &sweep, 0);
		if (sweep.used) {
			error = -EEXIST;
		} else {
			bpf_loop(HF_CHUNKS, sweep_chunk, &sweep, 0);
			bpf_map_delete_elem(&hf_files, &sweep.key);
		}
	}
	__sync_lock_test_and_set(&c->sweeping, 0);
	return error;
}

/* The filter counts a traced file like a leased one: the tripwire looks no further than that. */
static __always_inline int call_trace(struct hf_file_key *file, int n)
{
	struct hf_fast *f = fast();
	__u64 *known, count = 1;

	if (!file || !f)
		return -EINVAL;
	struct hf_file_key key = *file;

	known = bpf_map_lookup_elem(&hf_traced, &key);
	if (n < 0 && !known)
		return -ENOENT;
	if (known && *known + n)
		count = *known + n;
	else if (n < 0)
		count = 0;
	if (count ? bpf_map_update_elem(&hf_traced, &key, &count, BPF_ANY) : bpf_map_delete_elem(&hf_traced, &key))
		return -EAGAIN;
	__sync_fetch_and_add(&f->filter[filter_index(key.inode, key.device)], n);
	return 0;
}

/* The request stands in the map hf_request, which only the one daemon writes: a pointer into a map may go to helpers, one into a context may not. */
SEC("syscall")
int hf_call(void *ctx)
{
	__u32 zero = 0;
	struct hf_call *call = bpf_map_lookup_elem(&hf_request, &zero);
	struct hf_lease *known;
	__u64 id;
	int result = -EINVAL;

	if (!call)
		return 0;
	id = call->id;
	call->raced = 0;
	switch (call->op) {
	case HF_CALL_LEASE_BEGIN:
		result = call_begin(call);
		break;
	case HF_CALL_LEASE_PART:
		result = call_part(id, &call->part, call->record.tgid, call->page_shift);
		call->raced = under_way(&call->part, ~0ull);
		break;
	case HF_CALL_LEASE_OPEN:
		result = call_begin(call);
		if (result) {
			call->id = 0;
			break;
		}
		id = call->id;
		result = call_part(id, &call->part, call->record.tgid, call->page_shift);
		call->raced = under_way(&call->part, ~0ull);
		break;
	case HF_CALL_LEASE_COMMIT:
		known = bpf_map_lookup_elem(&hf_leases, &id);
		if (known && known->state == HF_STATE_BOUND) {
			result = -EBUSY;
		} else if (known) {
			known->state = call->record.state;
			known->reasons = call->record.reasons;
			result = 0;
		} else {
			result = -ENOENT;
		}
		break;
	case HF_CALL_LEASE_END:
		known = bpf_map_lookup_elem(&hf_leases, &id);
		result = known && known->state == HF_STATE_BOUND ? -EINPROGRESS : lease_end(id, 1);
		break;
	case HF_CALL_LEASE_READ:
		result = call_read(call, id);
		break;
	case HF_CALL_SWEEP:
		result = call_sweep(&call->part.file);
		break;
	case HF_CALL_RACED:
		call->raced = under_way(&call->part, ~0ull);
		result = 0;
		break;
	case HF_CALL_MOUNT:
		result = call_mount((__u32)id, &call->mount);
		break;
	case HF_CALL_TRACE_BEGIN:
		result = call_trace(&call->part.file, 1);
		break;
	case HF_CALL_TRACE_END:
		result = call_trace(&call->part.file, -1);
		break;
	}
	call->result = result;
	return 0;
}

#endif
