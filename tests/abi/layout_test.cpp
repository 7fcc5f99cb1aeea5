// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// The shared types have one layout in C and in C++, without padding that nobody wrote down, and the values that outlive a program stay what they are.
#include <gtest/gtest.h>

#include <cstdint>
#include <type_traits>

extern "C" {
#include "layout.h"
const layout* layout_in_c(size_t* count);
}

namespace {

TEST(AbiLayout, CAndCxxAgree) {
  const layout in_cxx[] = HF_LAYOUT;
  size_t count = 0;
  const layout* in_c = layout_in_c(&count);
  ASSERT_EQ(count, std::size(in_cxx));
  for (size_t i = 0; i < count; i++) {
    EXPECT_STREQ(in_c[i].name, in_cxx[i].name);
    EXPECT_EQ(in_c[i].bytes, in_cxx[i].bytes) << in_c[i].name;
  }
}

// Keys with padding would compare unequal in the kernel's hash maps; values with it would leak the stack to user space.
template <class... Type>
constexpr bool kWithoutPadding = (std::has_unique_object_representations_v<Type> && ...);

static_assert(kWithoutPadding<hf_file_key, hf_slot, hf_file, hf_chunk_key, hf_chunk, hf_mount, hf_lease, hf_device, hf_part_key, hf_part, hf_lifecycle_event,
                              hf_ancestor, hf_denial, hf_meta, hf_call, hf_facts, hf_question, hf_answer>);
static_assert(kWithoutPadding<hf_wire_header, hf_wire_hello, hf_wire_range, hf_wire_acquire, hf_wire_acquired, hf_wire_release, hf_wire_reclaim,
                              hf_wire_subscribe, hf_wire_error, hf_wire_event>);

TEST(AbiLayout, TheWireKeepsItsSizes) {
  EXPECT_EQ(sizeof(hf_wire_header), 24u);
  EXPECT_EQ(sizeof(hf_wire_hello), 40u);
  EXPECT_EQ(sizeof(hf_wire_range), 16u);
  EXPECT_EQ(sizeof(hf_wire_acquire), 72u);
  EXPECT_EQ(sizeof(hf_wire_acquired), 16u);
  EXPECT_EQ(sizeof(hf_wire_release), 8u);
  EXPECT_EQ(sizeof(hf_wire_reclaim), 16u);
  EXPECT_EQ(sizeof(hf_wire_subscribe), 8u);
  EXPECT_EQ(sizeof(hf_wire_error), 8u);
  EXPECT_EQ(sizeof(hf_wire_event), 344u);
}

/// What an entry of a hash map takes from the kernel's allocator: struct htab_elem and the allocator's own link (bpf_mem_alloc_init()) come to key and value.
template <class Key, class Value>
constexpr std::size_t kEntryBytes = 48 + sizeof(Key) + (sizeof(Value) + 7) / 8 * 8 + 8;

TEST(AbiLayout, EntriesFitTheirClassOfTheKernelsAllocator) {
  // kmalloc() has classes of 96, 128, 192 and 256 bytes, and one byte too many is paid as the next.
  EXPECT_LE((kEntryBytes<hf_file_key, hf_file>), 128u);
  EXPECT_LE((kEntryBytes<std::uint64_t, hf_lease>), 192u);
  EXPECT_LE((kEntryBytes<hf_part_key, hf_part>), 128u);
  EXPECT_LE((kEntryBytes<hf_chunk_key, hf_chunk>), 256u);
}

TEST(AbiLayout, SmallFieldsHoldAllTheirValues) {
  EXPECT_EQ(HF_SLOTS, HF_INLINE_SLOTS + HF_CHUNKS * HF_CHUNK_SLOTS);
  EXPECT_LT(HF_SLOTS, HF_NO_SLOT);
  EXPECT_EQ(decltype(hf_part::slot)(HF_NO_SLOT), HF_NO_SLOT);
  EXPECT_EQ(decltype(hf_part::flags)(HF_PART_WHOLE), HF_PART_WHOLE);
  EXPECT_EQ(decltype(hf_part::reasons)(HF_REASON_RANGE_UNKNOWN), HF_REASON_RANGE_UNKNOWN);
  EXPECT_EQ(decltype(hf_lease::parts)(HF_PARTS_MAX), HF_PARTS_MAX);
}

TEST(AbiLayout, OperationsKeepTheirValues) {
  // In pinned maps and in journals: a new operation goes at the end.
  EXPECT_EQ(HF_OP_TRUNCATE, 1);
  EXPECT_EQ(HF_OP_PUNCH, 2);
  EXPECT_EQ(HF_OP_ZERO, 3);
  EXPECT_EQ(HF_OP_COLLAPSE, 4);
  EXPECT_EQ(HF_OP_INSERT, 5);
  EXPECT_EQ(HF_OP_UNSHARE, 6);
  EXPECT_EQ(HF_OP_WRITE_ZEROES, 7);
  EXPECT_EQ(HF_OP_FALLOCATE_NEW, 8);
  EXPECT_EQ(HF_OP_REFLINK, 9);
  EXPECT_EQ(HF_OP_REFLINK_FROM, 10);
  EXPECT_EQ(HF_OP_DEDUPE, 11);
  EXPECT_EQ(HF_OP_DEDUPE_FROM, 12);
  EXPECT_EQ(HF_OP_COPY, 13);
  EXPECT_EQ(HF_OP_COPY_FROM, 14);
  EXPECT_EQ(HF_OP_EXCHANGE, 15);
  EXPECT_EQ(HF_OP_SWAP_EXTENTS, 16);
  EXPECT_EQ(HF_OP_MOVE_EXTENTS, 17);
  EXPECT_EQ(HF_OP_SWAP_BOOT, 18);
  EXPECT_EQ(HF_OP_MIGRATE, 19);
  EXPECT_EQ(HF_OP_ATTRIBUTES, 20);
  EXPECT_EQ(HF_OP_VERITY, 21);
  EXPECT_EQ(HF_OP_LAYOUT_CALL, 22);
  EXPECT_EQ(HF_OP_DIRECT_WRITE, 23);
  EXPECT_EQ(HF_OP_LOOP_ATTACH, 24);
}

TEST(AbiLayout, LeaseKindsAndStatesKeepTheirValues) {
  EXPECT_EQ(HF_LEASE_REGISTRATION, 1);
  EXPECT_EQ(HF_LEASE_PROCESS, 2);
  EXPECT_EQ(HF_LEASE_STATIC, 3);
  EXPECT_EQ(HF_STATE_PINNING, 1);
  EXPECT_EQ(HF_STATE_PROTECTED, 2);
  EXPECT_EQ(HF_STATE_OBSERVED, 3);
  EXPECT_EQ(HF_STATE_UNPROTECTED, 4);
  EXPECT_EQ(HF_STATE_NO_FILE, 5);
}

}  // namespace
