// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Fuzzes decide(), the reading of fallocate and truncate calls, and the rounding, against the same said with 128-bit numbers, which cannot overflow.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "decide.h"
#include "lease/extents.hpp"

namespace {

__extension__ typedef unsigned __int128 Wide;

#define REQUIRE(condition)                                                                \
  do {                                                                                    \
    if (!(condition)) {                                                                   \
      std::fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                       \
    }                                                                                     \
  } while (0)

/// Numbers out of the input; zeroes when it is used up.
class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : data_(data), left_(size) {}
  bool empty() const { return left_ == 0; }
  template <class Number>
  Number take() {
    Number number{};
    const std::size_t bytes = std::min(sizeof number, left_);
    if (bytes) std::memcpy(&number, data_, bytes);
    data_ += bytes;
    left_ -= bytes;
    return number;
  }
  /// Small, near the end of what 64 bits hold, or anything: so that ranges meet each other.
  __u64 offset() {
    switch (take<std::uint8_t>() % 4) {
      case 0:
        return take<std::uint8_t>();
      case 1:
        return HF_RANGE_END - take<std::uint8_t>();
      case 2:
        return __u64{take<std::uint8_t>()} << 12;
      default:
        return take<__u64>();
    }
  }

 private:
  const std::uint8_t* data_;
  std::size_t left_;
};

/// One past the last byte of [first, end), where an end of HF_RANGE_END is past every byte that there is.
bool meet(__u64 a, __u64 a_end, __u64 b, __u64 b_end) { return std::max(a, b) < std::min(a_end, b_end); }

void check_fallocate(Input& input) {
  const __u32 mode = input.take<std::uint8_t>() % 4 ? 1u << (input.take<std::uint8_t>() % 32) | (input.take<std::uint8_t>() & 5) : input.take<__u32>();
  const __u64 offset = input.offset();
  const __u64 length = input.offset();
  hf_question question{};
  question.task = 77;
  const __u32 op = hf_question_fallocate(mode, offset, length, &question);
  const Wide end = std::min<Wide>(Wide{offset} + length, HF_RANGE_END);

  REQUIRE(op == question.op && question.task == 77);
  // A shift begins a page before, in which XFS drops the block there from the page cache.
  const bool shifts = op == HF_OP_COLLAPSE || op == HF_OP_INSERT;
  REQUIRE(question.first == (!shifts ? offset : offset > 4096 ? offset - 4096 : 0) && question.end >= question.first);
  const __u32 kinds = mode & ~5u;  // without the flags that go along with any of them
  if (kinds == 0) {
    REQUIRE(op == HF_OP_NONE && question.end == question.first);
    return;
  }
  REQUIRE(op != HF_OP_NONE);
  const bool ranged = op == HF_OP_PUNCH || op == HF_OP_ZERO || op == HF_OP_UNSHARE || op == HF_OP_WRITE_ZEROES;
  REQUIRE(question.end == (ranged ? static_cast<__u64>(end) : HF_RANGE_END));
  // More than one kind, or one that nobody knows, is never taken for something that is known.
  const bool known = kinds == 0x02 || kinds == 0x08 || kinds == 0x10 || kinds == 0x20 || kinds == 0x40 || kinds == 0x80;
  REQUIRE(known == (op != HF_OP_FALLOCATE_NEW));
  REQUIRE((op == HF_OP_PUNCH) == (kinds == 0x02) && (op == HF_OP_COLLAPSE) == (kinds == 0x08) && (op == HF_OP_ZERO) == (kinds == 0x10));
  REQUIRE((op == HF_OP_INSERT) == (kinds == 0x20) && (op == HF_OP_UNSHARE) == (kinds == 0x40) && (op == HF_OP_WRITE_ZEROES) == (kinds == 0x80));
}

void check_truncate(Input& input) {
  const __u64 new_size = input.offset();
  const __u64 size = input.offset();
  hf_question question{};
  hf_range_truncate(new_size, size, &question);
  REQUIRE(question.first == new_size);
  REQUIRE(question.end == (new_size < size ? HF_RANGE_END : new_size));
}

void check_round_out(Input& input) {
  const __u32 shift = input.take<std::uint8_t>() % 64;
  const __u64 first = input.offset();
  const __u64 end = input.offset();
  if (first >= end) return;
  __u64 page_first = first;
  __u64 page_end = end;
  hf_round_out(&page_first, &page_end, shift);
  const Wide page = Wide{1} << shift;
  const Wide up = (Wide{end} + page - 1) / page * page;
  REQUIRE(page_first == static_cast<__u64>(first / page * page));
  REQUIRE(page_end == (up > HF_RANGE_END ? HF_RANGE_END : static_cast<__u64>(up)));

  const hf::ExtentSet rounded = hf::ExtentSet{{first, end}}.round_out(shift);
  REQUIRE(rounded == (hf::ExtentSet{{page_first, page_end}}));
  REQUIRE(rounded.contains(hf::Extent{first, end}));
  REQUIRE(rounded.round_out(shift) == rounded);
}

void check_decide(Input& input) {
  hf_question question{};
  question.op = input.take<std::uint8_t>() % 40;
  question.task = input.take<std::uint8_t>() % 4;
  question.first = input.offset();
  question.end = input.offset();
  const __u32 seals = input.take<std::uint8_t>() % 4 ? 0 : input.take<__u32>();
  std::vector<hf_slot> slots(1 + input.take<std::uint8_t>() % HF_CHUNK_SLOTS);
  for (hf_slot& slot : slots) {
    const std::uint8_t kind = input.take<std::uint8_t>() % 8;
    slot.state = kind == 0 ? 0 : kind == 1 ? HF_SLOT_FILLING | input.take<std::uint8_t>() : kind;
    slot.first = input.offset();
    slot.end = input.offset();
    slot.holder = input.take<std::uint8_t>() % 4;
  }

  bool own = false;
  bool other = false;
  for (const hf_slot& slot : slots) {
    if (slot.state == 0 || slot.state & HF_SLOT_FILLING || !meet(question.first, question.end, slot.first, slot.end)) continue;
    (slot.holder != 0 && slot.holder == question.task ? own : other) = true;
  }
  const __u32 by_lease = own ? HF_EDEADLK : other ? HF_ETXTBSY : 0;

  hf_answer answer{};
  const auto count = static_cast<__u32>(slots.size());
  hf_decide_slots(&question, slots.data(), count, &answer);
  REQUIRE(answer.error == by_lease);
  if (answer.error) {
    // The extent that it names is one of the slots, it meets the question, and it is of the holder that it names.
    REQUIRE(std::any_of(slots.begin(), slots.end(), [&](const hf_slot& slot) {
      return slot.state && !(slot.state & HF_SLOT_FILLING) && slot.first == answer.lease_first && slot.end == answer.lease_end && slot.holder == answer.holder;
    }));
    REQUIRE(meet(question.first, question.end, answer.lease_first, answer.lease_end));
    REQUIRE((answer.error == HF_EDEADLK) == (answer.holder != 0 && answer.holder == question.task));
  } else {
    REQUIRE(answer.holder == 0 && answer.lease_first == 0 && answer.lease_end == 0);
  }

  // The order of the slots changes which one is named, never the error.
  std::vector<hf_slot> reversed(slots.rbegin(), slots.rend());
  hf_answer backwards{};
  hf_decide_slots(&question, reversed.data(), count, &backwards);
  REQUIRE(backwards.error == answer.error);

  const bool sealed = question.first < question.end && question.op < 32 && (Wide{seals} >> question.op) & 1;
  hf_decide_seals(&question, seals, &answer);
  REQUIRE(answer.error == (by_lease ? by_lease : sealed ? HF_ETXTBSY : 0u));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  while (!input.empty()) {
    switch (input.take<std::uint8_t>() % 4) {
      case 0:
        check_fallocate(input);
        break;
      case 1:
        check_truncate(input);
        break;
      case 2:
        check_round_out(input);
        break;
      default:
        check_decide(input);
        break;
    }
  }
  return 0;
}
