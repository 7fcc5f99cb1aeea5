// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include <sys/statfs.h>

#include "qualify/collect.hpp"
#include "rdma/adapter.hpp"
#include "rdma/mount_plans.hpp"
#include "rdma/trials.hpp"

namespace hf::qualify {

namespace {

PlanFacts plan_facts(const rdma::PlanFound& found) {
  return {.plan = std::string(rdma::plan_word(found.plan)), .reason = found.reason, .mend = found.mend, .tried = found.tried};
}

void take_fence(const std::vector<rdma::Trial>& trials, AdapterFacts& facts) {
  for (const char* way : {"fence.rereg-domain", "fence.rereg-access", "fence.dereg"})
    for (const auto* trial : rdma::trials_of(trials, "fence")) {
      if (trial->id != way) continue;
      if (trial->verdict == rdma::Verdict::works && !facts.fence.value_or(false)) {
        facts.fence = true;
        facts.fence_detail = trial->id;
      } else if (trial->verdict == rdma::Verdict::fails && !facts.fence) {
        facts.fence = false;
      } else if (!facts.fence) {
        facts.fence_detail = trial->detail;
      }
    }
}

Result<AdapterFacts> look_at(const std::string& name, const rdma::MountFacts& mount) {
  HF_TRY_ASSIGN(const auto context, rdma::open_adapter(name));
  HF_TRY_ASSIGN(const auto adapter, rdma::describe(context.get()));
  const auto trials = rdma::try_adapter(context.get());
  const rdma::ProtectionDomain domain(ibv_alloc_pd(context.get()));
  if (!domain) return sys_error(errno, "ibv_alloc_pd", name);
  const auto plans = rdma::try_mount(domain.get(), mount);
  AdapterFacts facts{.name = adapter.name, .driver = adapter.driver, .firmware = adapter.firmware, .transport = adapter.transport, .link = adapter.link};
  facts.region_bytes = adapter.limits.region_bytes;
  facts.odp = rdma::works(trials, "odp.register");
  take_fence(trials, facts);
  facts.writer = plan_facts(plans.writer);
  facts.reader = plan_facts(plans.reader);
  return facts;
}

}  // namespace

std::vector<AdapterFacts> collect_adapters(const FilesystemFacts& filesystem, std::string& trouble) {
  std::vector<AdapterFacts> list;
  const auto names = rdma::adapter_names();
  if (!names) {
    trouble = names.error().message;
    return list;
  }
  rdma::MountFacts mount{.point = filesystem.point, .filesystem = filesystem.type, .magic = 0};
  struct statfs fs {};
  if (filesystem.supported && ::statfs(filesystem.point.c_str(), &fs) == 0) mount.magic = static_cast<std::uint32_t>(fs.f_type);
  for (const auto& name : *names) {
    auto facts = look_at(name, mount);
    if (!facts) facts = AdapterFacts{.name = name, .writer = {.plan = "refused", .reason = facts.error().message, .mend = "rdma link show", .tried = false}};
    list.push_back(std::move(*facts));
  }
  return list;
}

}  // namespace hf::qualify
