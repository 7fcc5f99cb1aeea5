// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Events of leases are written as text at once: each is the same as the tree of Json would be.
#include "daemon/json.hpp"

#include <gtest/gtest.h>

#include "daemon/words.hpp"

namespace hf {
namespace {

Json text_or_null(const std::string& text) { return text.empty() ? Json() : Json(text); }

/// What docs/json.md says, but for the time.
Json tree_of(const char* event, const Lease& lease, bool found) {
  Json object{{"schema", "holdfast.event/1"},
              {"event", event},
              {"time", nullptr},
              {"lease", lease.id},
              {"kind", kind_word(lease.holder.kind)},
              {"state", state_word(lease.state)},
              {"reasons", reasons_json(lease.reasons)},
              {"holder", holder_json(lease)},
              {"files", Json::array()}};
  if (!lease.device.empty()) object["device"] = lease.device;
  for (const auto& file : lease.files)
    object["files"].push_back({{"path", text_or_null(file.path)},
                               {"file", file_key_json(file.key)},
                               {"extents", extents_json(file.extents)},
                               {"unprotected", extents_json(file.unprotected)}});
  if (found) object["found"] = true;
  return object;
}

void expect_same(const Lease& lease, bool found) {
  const auto text = lease_event_json("lease", lease, boot_time_ns(), found);
  auto parsed = Json::parse(text);
  EXPECT_EQ(parsed["time"].get<std::string>().size(), std::string("2025-01-31T12:00:00.123Z").size());
  parsed["time"] = nullptr;
  // Through text, where what is no UTF-8 is replaced.
  EXPECT_EQ(json_text(parsed), json_text(tree_of("lease", lease, found)));
}

TEST(LeaseEvent, IsWhatTheTreeWouldBe) {
  Lease lease;
  lease.id = ~0ull;
  expect_same(lease, false);
  lease.holder = {.kind = HF_LEASE_REGISTRATION, .tgid = 42, .start_ns = 1, .uid = 1000, .gid = 100, .comm = "a b", .label = ""};
  lease.state = HF_STATE_UNPROTECTED;
  lease.reasons = HF_REASON_RACED | HF_REASON_LATE;
  lease.device = "mlx5_0";
  auto& one = lease.file({.inode = 1, .device = 259u << 20 | 3, .generation = 7});
  one.path = "/pool/plain";
  one.extents.add({0, 4096});
  one.extents.add({8192, HF_RANGE_END});
  auto& two = lease.file({.inode = 2, .device = 1, .generation = 0});
  two.unprotected.add({5, 6});
  expect_same(lease, true);
}

TEST(LeaseEvent, QuotesWhatNamesMayHold) {
  for (const std::string name :
       {"quote\"", "back\\slash", "tab\t", "line\n", "\x01", "del\x7f", "caf\xc3\xa9", "\xff\xfe no UTF-8", "cut \xe2\x82", "/slash/"}) {
    Lease lease;
    lease.holder.comm = name;
    lease.holder.label = name;
    lease.file({.inode = 1, .device = 1, .generation = 1}).path = name;
    expect_same(lease, false);
  }
}

TEST(UtcText, IsTheDateOfTheCalendar) {
  EXPECT_EQ(utc_text(0), "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(utc_text(951'782'399'999'999'999), "2000-02-28T23:59:59.999Z");
  EXPECT_EQ(utc_text(951'782'400'000'000'000), "2000-02-29T00:00:00.000Z");
  EXPECT_EQ(utc_text(1'738'324'801'234'567'890), "2025-01-31T12:00:01.234Z");
}

}  // namespace
}  // namespace hf
