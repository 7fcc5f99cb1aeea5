/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* Where the fields of the shared types are, as the compiler that includes this sees it. */
#ifndef HF_TESTS_LAYOUT_H
#define HF_TESTS_LAYOUT_H

#include <stddef.h>

#include "decide.h"
#include "wire.h"

struct layout {
	const char *name;
	size_t bytes;
};

#define SIZE(type) {"sizeof " #type, sizeof(struct type)}
#define OFFSET(type, field) {#type "::" #field, offsetof(struct type, field)}

/* The last field of each type, and those behind which a compiler might pad. */
#define HF_LAYOUT \
	{SIZE(hf_file_key), SIZE(hf_slot), SIZE(hf_file), SIZE(hf_chunk_key), SIZE(hf_chunk), SIZE(hf_mount), SIZE(hf_lease), SIZE(hf_device), SIZE(hf_part_key), \
	 SIZE(hf_part), SIZE(hf_lifecycle_event), SIZE(hf_ancestor), SIZE(hf_denial), SIZE(hf_meta), SIZE(hf_call), SIZE(hf_facts), SIZE(hf_question), \
	 SIZE(hf_answer), SIZE(hf_wire_header), SIZE(hf_wire_hello), SIZE(hf_wire_range), SIZE(hf_wire_acquire), SIZE(hf_wire_acquired), \
	 SIZE(hf_wire_release), SIZE(hf_wire_reclaim), SIZE(hf_wire_subscribe), SIZE(hf_wire_error), SIZE(hf_wire_event), \
	 OFFSET(hf_file_key, generation), OFFSET(hf_slot, holder), OFFSET(hf_file, merged), OFFSET(hf_file, slots), OFFSET(hf_chunk_key, index), \
	 OFFSET(hf_lease, kind), OFFSET(hf_lease, odp), OFFSET(hf_lease, comm), OFFSET(hf_lease, device), OFFSET(hf_lease, first), OFFSET(hf_part, magic), \
	 OFFSET(hf_part, flags), OFFSET(hf_denial, first), OFFSET(hf_denial, syscall_nr), OFFSET(hf_denial, comm), OFFSET(hf_denial, ancestor), \
	 OFFSET(hf_denial, stack), OFFSET(hf_meta, version), OFFSET(hf_call, record), OFFSET(hf_call, device), OFFSET(hf_call, part), OFFSET(hf_facts, flags), \
	 OFFSET(hf_question, first), OFFSET(hf_answer, lease_first), OFFSET(hf_wire_header, cookie), OFFSET(hf_wire_event, breaker_exe)}

#endif
