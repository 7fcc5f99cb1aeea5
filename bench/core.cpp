// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// hf-bench-core: the pure core. As a Google Benchmark, for time; with --run CASE N, for whoever counts instructions (bench/instructions).
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "decide.h"
#include "lease/extents.hpp"
#include "lease/table.hpp"

namespace {

using hf::Extent;
using hf::ExtentSet;
using hf::Lease;
using hf::LeaseTable;

constexpr std::uint64_t kPage = 4096;

/// Sets a case up, and gives what is measured: one operation for each call.
struct Case {
  const char* name;
  std::function<std::function<void()>()> make;
};

std::function<void()> decide(std::uint32_t slots_used) {
  auto slots = std::vector<hf_slot>(HF_CHUNK_SLOTS);
  for (std::uint32_t i = 0; i < slots_used; i++) slots[i] = {.state = 1, .first = 2 * i * kPage, .end = (2 * i + 1) * kPage, .holder = i + 1};
  return [slots = std::move(slots), slots_used] {
    // Beside them all: every slot is looked at.
    hf_question question{.op = HF_OP_PUNCH, .task = 1, .first = (2 * slots_used + 10) * kPage, .end = (2 * slots_used + 11) * kPage, .window = 0, .flags = 0};
    benchmark::DoNotOptimize(question);
    hf_answer answer{};
    hf_decide_slots(&question, slots.data(), HF_CHUNK_SLOTS, &answer);
    benchmark::DoNotOptimize(answer);
  };
}

ExtentSet many_extents(std::uint64_t count) {
  ExtentSet set;
  for (std::uint64_t i = 0; i < count; i++) set.add({2 * i * kPage, (2 * i + 1) * kPage});
  return set;
}

std::function<void()> overlaps(std::uint64_t count) {
  return [set = many_extents(count), count, at = std::uint64_t{0}]() mutable {
    at = (at + 7919) % count;
    benchmark::DoNotOptimize(set.overlaps(Extent{(2 * at + 1) * kPage, (2 * at + 2) * kPage}));
  };
}

Lease lease_of(std::uint64_t id) {
  Lease lease;
  lease.id = id;
  lease.holder.tgid = static_cast<std::uint32_t>(1 + id % 1000);
  lease.holder.start_ns = 1;
  lease.holder.uid = 1000;
  lease.state = HF_STATE_PROTECTED;
  lease.file({.inode = id, .device = 1, .generation = 0}).extents.add({0, kPage});
  return lease;
}

LeaseTable table_of(std::uint64_t count) {
  LeaseTable table;
  for (std::uint64_t id = 1; id <= count; id++) static_cast<void>(table.add(lease_of(id)));
  return table;
}

std::function<void()> add_and_remove(std::uint64_t others) {
  return [table = table_of(others), id = others + 1]() mutable {
    benchmark::DoNotOptimize(table.add(lease_of(id)));
    benchmark::DoNotOptimize(table.remove(id));
  };
}

std::function<void()> who_holds(std::uint64_t others) {
  return [table = table_of(others), at = std::uint64_t{0}, others]() mutable {
    at = at % others + 1;
    benchmark::DoNotOptimize(table.touched({.inode = at, .device = 1, .generation = 0},
                                           {.op = HF_OP_TRUNCATE, .task = 7, .first = 0, .end = HF_RANGE_END, .window = 0, .flags = 0}));
  };
}

const std::vector<Case>& cases() {
  static const std::vector<Case> all{
      {"decide/1", [] { return decide(1); }},
      {"decide/full-chunk", [] { return decide(HF_CHUNK_SLOTS); }},
      {"extents/overlaps/1", [] { return overlaps(1); }},
      {"extents/overlaps/10000", [] { return overlaps(10'000); }},
      {"table/add-remove/1", [] { return add_and_remove(1); }},
      {"table/add-remove/100000", [] { return add_and_remove(100'000); }},
      {"table/who-holds/1", [] { return who_holds(1); }},
      {"table/who-holds/100000", [] { return who_holds(100'000); }},
  };
  return all;
}

int run(const std::string& name, std::uint64_t count) {
  for (const auto& each : cases()) {
    if (name != each.name) continue;
    const auto operation = each.make();
    for (std::uint64_t i = 0; i < count; i++) operation();
    return 0;
  }
  fmt::print(stderr, "hf-bench-core: no case \"{}\"\n", name);
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 4 && !std::strcmp(argv[1], "--run")) return run(argv[2], std::strtoull(argv[3], nullptr, 10));
  if (argc == 2 && !std::strcmp(argv[1], "--list")) {
    for (const auto& each : cases()) fmt::print("{}\n", each.name);
    return 0;
  }
  for (const auto& each : cases())
    benchmark::RegisterBenchmark(each.name, [&each](benchmark::State& state) {
      const auto operation = each.make();
      for (auto _ : state) operation();
    });
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
