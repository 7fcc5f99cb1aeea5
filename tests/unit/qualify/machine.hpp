// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// A made-up machine: a root folder for what is read of files, and facts of one where everything is as it should be.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "lease/seals.hpp"
#include "qualify/checks.hpp"

namespace hf::qualify {

class Root {
 public:
  Root() {
    std::string pattern = (std::filesystem::temp_directory_path() / "holdfast-qualify-XXXXXX").string();
    path = ::mkdtemp(pattern.data());
  }
  ~Root() { std::filesystem::remove_all(path); }
  Root(const Root&) = delete;
  Root& operator=(const Root&) = delete;

  void write(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories(std::filesystem::path(path + name).parent_path());
    std::ofstream(path + name) << text;
  }
  void link(const std::string& name, const std::string& target) const {
    std::filesystem::create_directories(std::filesystem::path(path + name).parent_path());
    std::filesystem::create_symlink(target, path + name);
  }
  std::string read(const std::string& name) const {
    std::ifstream file(path + name);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  bool has(const std::string& name) const { return std::filesystem::exists(path + name); }

  std::string path;
};

inline Facts good_facts() {
  Facts facts;
  facts.time = "2026-11-23T01:00:00Z";
  facts.kernel.support = {
      .root = true, .btf = true, .bpf_lsm = true, .bpffs = true, .tracefs = true, .release = "7.3.4", .lsm_list = "lockdown,bpf", .lockdown = "none"};
  facts.kernel.ftrace_enabled = true;
  for (const auto& source : break_sources()) facts.kernel.sources.push_back({&source, true});
  auto& fs = facts.filesystem;
  fs.point = "/mnt/pool";
  fs.source = "/dev/pmem0";
  fs.type = "xfs";
  fs.flags = "rw,relatime";
  fs.options = "rw,attr2,dax=always,inode64,noquota";
  fs.device = kernel_device(259, 0);
  fs.supported = true;
  fs.kind = kDax;
  fs.dax_capable = true;
  fs.dax_file = true;
  fs.reflink = true;
  fs.realtime = false;
  fs.zoned = false;
  fs.stripe_bytes = 2 << 20;
  FileState file{.path = "/mnt/pool/segment", .leased = true, .size_bytes = 64 << 20};
  file.known = true;
  file.align_bytes = 2 << 20;
  fs.files = {file};
  AdapterFacts adapter{.name = "mlx5_0", .driver = "mlx5_core", .firmware = "20.1", .transport = "RoCE", .link = "active"};
  adapter.region_bytes = 1ull << 40;
  adapter.odp = true;
  adapter.fence = true;
  adapter.fence_detail = "fence.rereg-domain";
  adapter.writer = adapter.reader = {.plan = "odp", .reason = "", .mend = "", .tried = true};
  facts.adapters = {adapter};
  facts.memlock_bytes = UINT64_MAX;
  facts.needed_bytes = 64 << 20;
  auto& gate = facts.gate;
  gate.state.armed = true;
  gate.state.version = "0.1.0";
  gate.state.hooks = {"hf_file_ioctl", "hf_file_permission"};
  gate.daemon = true;
  gate.daemon_version = gate.version = "0.1.0";
  gate.policy = MountPolicy{};
  gate.guarded = true;
  gate.seals = seals_from_names(std::vector<std::string>{"reflink", "dedupe", "exchange", "loop"}).value();
  facts.proof = {.asked = true, .error = "", .trials = 200, .seconds = 20};
  return facts;
}

inline Finding finding(const Facts& facts, const std::string& id) {
  for (auto& one : judge(facts))
    if (one.id == id) return one;
  ADD_FAILURE() << "no check " << id;
  return {};
}

inline bool says(const std::vector<std::string>& lines, const std::string& part) {
  for (const auto& line : lines)
    if (line.find(part) != std::string::npos) return true;
  return false;
}

}  // namespace hf::qualify
