// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Prints the report's page of a made-up machine: with faults ("bad") or without ("good"), with a history of denials and escapes.
#include <cstdio>
#include <string>

#include "../unit/qualify/machine.hpp"
#include "qualify/report.hpp"

namespace hf::qualify {
namespace {

Json breaker(const char* comm, int pid, const char* user) {
  return {{"comm", comm},
          {"pid", pid},
          {"uid", 1000},
          {"user", user},
          {"executable", std::string("/usr/bin/") + comm},
          {"command_line", {comm, "-r", "/mnt/pool"}}};
}

Json extent(std::uint64_t first, Json end) { return {{"first", first}, {"end", std::move(end)}}; }

Json denial(int number, const char* time, const char* operation, const char* path, Json who) {
  return {{"number", number},          {"time", time},
          {"operation", operation},    {"path", path},
          {"breaker", std::move(who)}, {"leases", {{{"id", 7}, {"pid", 4242}, {"comm", "kvcache"}}}}};
}

Json made_up_history() {
  Json denials = Json::array();
  for (int i = 0; i < 24; i++)
    denials.push_back(denial(i, fmt::format("2026-11-22T{:02}:{:02}:00.000Z", i, i * 7 % 60).c_str(), i % 3 ? "dedupe" : "truncate", "/mnt/pool/segment",
                             breaker(i % 3 ? "duperemove" : "logrotate", 900 + i, "backup")));
  Json escapes =
      Json::array({denial(1, "2026-11-22T15:30:00.000Z", "memory-failure", "/mnt/pool/<img src=x onerror=alert(1)>", breaker("kworker", 17, "root"))});
  const Json holder{{"pid", 4242}, {"uid", 1000}, {"comm", "kvcache"}, {"label", "shard 3"}};
  const std::uint64_t mib = 1 << 20;
  Json leases = Json::array();
  leases.push_back(
      {{"id", 7}, {"kind", "registration"}, {"state", "protected"}, {"asked", {extent(0, 24 * mib)}}, {"unprotected", Json::array()}, {"holder", holder}});
  leases.push_back({{"id", 8},
                    {"kind", "process"},
                    {"state", "protected"},
                    {"asked", {extent(16 * mib, 20 * mib), extent(40 * mib, 48 * mib)}},
                    {"unprotected", Json::array()},
                    {"holder", holder}});
  leases.push_back({{"id", 9},
                    {"kind", "static"},
                    {"state", "protected"},
                    {"asked", {extent(56 * mib, nullptr)}},
                    {"unprotected", Json::array()},
                    {"holder", {{"pid", 0}, {"comm", ""}, {"label", "configuration"}}}});
  leases.push_back({{"id", 10},
                    {"kind", "registration"},
                    {"state", "unprotected"},
                    {"asked", {extent(30 * mib, 34 * mib)}},
                    {"unprotected", {extent(30 * mib, 34 * mib)}},
                    {"holder", holder}});
  const Json file{{"path", "/mnt/pool/segment"},
                  {"filesystem", "xfs"},
                  {"dax", true},
                  {"protected", {extent(0, 24 * mib), extent(40 * mib, 48 * mib), extent(56 * mib, nullptr)}},
                  {"leases", leases},
                  {"leases_of_others", 1}};
  return {{"denials", denials}, {"escapes", escapes},
          {"older", true},      {"trouble", nullptr},
          {"leases", {file}},   {"registrations", {{{"id", 7}, {"device", "mlx5_0"}, {"plan", "odp"}}, {{"id", 10}, {"device", "mlx5_0"}, {"plan", "plain"}}}}};
}

std::string page(bool good) {
  Collected collected;
  auto& facts = collected.facts;
  facts = good_facts();
  if (!good) {
    facts.gate.seals = 0;
    facts.filesystem.files[0].hole_bytes = 8192;
    facts.neighbours.programs = {{Hazard::dedupe, "duperemove", "nightly.timer", "nightly.timer", "/usr/bin/duperemove -dr /mnt/pool"}};
    facts.adapters.push_back({.name = "rxe_a", .driver = "rdma_rxe", .transport = "RoCE", .link = "active"});
    facts.adapters.back().writer =
        facts.adapters.back().reader = {.plan = "refused", .reason = "FS-DAX wants ODP", .mend = "use another adapter", .tried = true};
  }
  return html(to_json(collected, judge(facts), "storage-17"), made_up_history());
}

}  // namespace
}  // namespace hf::qualify

int main(int argc, char** argv) {
  std::fputs(hf::qualify::page(argc > 1 && std::string(argv[1]) == "good").c_str(), stdout);
  return std::fflush(stdout) == 0 ? 0 : 1;
}
