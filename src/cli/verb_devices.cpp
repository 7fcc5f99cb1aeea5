// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// holdfast devices: what each RDMA adapter can do, by trying, and how files can be registered on it. Asks nothing of holdfastd.
#include <cstdio>

#include "cli/answers.hpp"
#include "cli/cli.hpp"
#include "cli/terminal.hpp"
#include "rdma/adapter.hpp"
#include "rdma/mount_plans.hpp"
#include "rdma/trials.hpp"

namespace hf::cli {

namespace {

struct DevicesOptions {
  std::string adapter;
};

struct Found {
  rdma::Adapter adapter;
  std::vector<rdma::Trial> trials;
  std::vector<rdma::MountPlan> mounts;
};

Result<Found> look_at(const std::string& name, const std::vector<rdma::MountFacts>& mounts) {
  HF_TRY_ASSIGN(const auto context, rdma::open_adapter(name));
  HF_TRY_ASSIGN(auto adapter, rdma::describe(context.get()));
  Found found{.adapter = std::move(adapter), .trials = rdma::try_adapter(context.get()), .mounts = {}};
  const rdma::ProtectionDomain domain(ibv_alloc_pd(context.get()));
  if (!domain) return sys_error(errno, "ibv_alloc_pd", name);
  for (const auto& mount : mounts) found.mounts.push_back(rdma::try_mount(domain.get(), mount));
  return found;
}

Json text_or_null(const std::string& text) { return text.empty() ? Json() : Json(text); }

Json works_json(const rdma::Trial& trial) { return trial.verdict == rdma::Verdict::untried ? Json() : Json(trial.verdict == rdma::Verdict::works); }

Json plan_json(const rdma::PlanFound& found) {
  Json plan{{"plan", found.tried || found.plan != rdma::Plan::refused ? Json(rdma::plan_word(found.plan)) : Json()}};
  plan["reason"] = text_or_null(found.reason);
  plan["mend"] = text_or_null(found.mend);
  return plan;
}

Json adapter_json(const Found& found) {
  const auto& [adapter, trials, mounts] = found;
  const auto& limits = adapter.limits;
  Json object{{"name", adapter.name},
              {"driver", text_or_null(adapter.driver)},
              {"firmware", text_or_null(adapter.firmware)},
              {"transport", text_or_null(adapter.transport)},
              {"link", text_or_null(adapter.link)},
              {"network_device", text_or_null(adapter.network_device)},
              {"odp_claims", adapter.odp_claims},
              {"limits",
               {{"region_bytes", limits.region_bytes},
                {"regions", limits.regions},
                {"windows", limits.windows},
                {"queue_pairs", limits.queue_pairs},
                {"domains", limits.domains},
                {"page_sizes", limits.page_sizes}}}};
  object["can"] = Json::object();
  for (const auto& trial : trials) object["can"][trial.id] = {{"works", works_json(trial)}, {"detail", text_or_null(trial.detail)}};
  object["mounts"] = Json::array();
  for (const auto& mount : mounts)
    object["mounts"].push_back({{"mount", mount.mount.point},
                                {"filesystem", mount.mount.filesystem},
                                {"backing", rdma::backing_word(mount.backing)},
                                {"writer", plan_json(mount.writer)},
                                {"reader", plan_json(mount.reader)}});
  return object;
}

Json unobserved_json(const std::vector<rdma::Unobserved>& list) {
  auto out = Json::array();
  for (const auto& one : list) out.push_back({{"id", one.id}, {"what", one.what}, {"why", one.why}, {"present", one.present}});
  return out;
}

/// "rc: send receive write; uc: none; ud: send": what works, by what stands before the last dot.
std::string by_transport(const std::vector<rdma::Trial>& trials, const std::string& subject) {
  std::string out;
  for (const char* transport : {"rc", "uc", "ud"}) {
    std::string list;
    bool any = false;
    for (const auto* trial : rdma::trials_of(trials, subject + "." + transport)) {
      any = true;
      if (trial->verdict == rdma::Verdict::works) list += " " + trial->id.substr(trial->id.rfind('.') + 1);
    }
    if (any) out += fmt::format("{}{}:{}", out.empty() ? "" : "; ", transport, list.empty() ? " nothing" : list);
  }
  return out;
}

/// One trial in words.
std::string trial_text(const Terminal& terminal, const rdma::Trial& trial) {
  const std::string detail = trial.detail.empty() ? "" : ": " + trial.detail;
  switch (trial.verdict) {
    case rdma::Verdict::works:
      return terminal.paint(Colour::kGreen, "works") + detail;
    case rdma::Verdict::fails:
      return "no" + detail;
    case rdma::Verdict::untried:
      break;
  }
  return terminal.paint(Colour::kYellow, "not tried") + detail;
}

void print_adapter(const Terminal& terminal, const Found& found) {
  const auto& adapter = found.adapter;
  Facts facts;
  facts.add("adapter", fmt::format("{}{}, {}, {}{}", adapter.name, adapter.driver.empty() ? "" : " (" + adapter.driver + ")", adapter.transport, adapter.link,
                                   adapter.network_device.empty() ? "" : " on " + adapter.network_device));
  const bool unlimited = adapter.limits.region_bytes == UINT64_MAX;
  facts.add("limits",
            fmt::format("{} regions of {}, {} queue pairs, {} windows", adapter.limits.regions,
                        unlimited ? "any size" : "at most " + size_text(adapter.limits.region_bytes), adapter.limits.queue_pairs, adapter.limits.windows));
  facts.add("plain", by_transport(found.trials, "plain"));
  const bool odp = rdma::works(found.trials, "odp.register");
  facts.add("ODP", odp ? by_transport(found.trials, "odp") + (rdma::works(found.trials, "odp.implicit") ? "; implicit regions" : "") : "no");
  for (const auto& trial : found.trials) {
    if (trial.id.starts_with("plain.") || trial.id.starts_with("odp.")) continue;
    facts.add(trial.id, trial_text(terminal, trial));
  }
  std::printf("%s\n", facts.text(terminal).c_str());
  // What the adapter claims and does not do is worth a line.
  for (const auto& claim : adapter.odp_claims) {
    for (const auto* trial : rdma::trials_of(found.trials, "odp." + claim))
      if (trial->verdict == rdma::Verdict::fails) std::printf("  The adapter claims ODP for %s, but: %s\n\n", claim.c_str(), trial->detail.c_str());
  }
  for (const auto* trial : rdma::trials_of(found.trials, "plain"))
    if (trial->verdict == rdma::Verdict::untried) {
      std::printf("  Operations were not tried: %s\n\n", trial->detail.c_str());
      break;
    }

  Table table({"MOUNT", "FILESYSTEM", "MEMORY", "TO WRITE", "TO READ"});
  std::string notes, last;
  const auto word = [](const rdma::PlanFound& plan) { return plan.tried || plan.plan == rdma::Plan::pinned ? std::string(rdma::plan_word(plan.plan)) : "?"; };
  for (const auto& mount : found.mounts) {
    table.row({mount.mount.point, mount.mount.filesystem, std::string(rdma::backing_word(mount.backing)), word(mount.writer), word(mount.reader)});
    for (const auto* plan : {&mount.writer, &mount.reader}) {
      if (plan->reason.empty() || plan->reason == last) continue;
      last = plan->reason;
      notes += fmt::format("{}: {}\n{}", mount.mount.point, printable(plan->reason), plan->mend.empty() ? "" : "  " + plan->mend + "\n");
    }
  }
  if (!table.empty()) std::printf("%s\n", table.text(terminal).c_str());
  if (!notes.empty()) std::printf("%s\n", notes.c_str());
}

int show(const Cli& cli, const DevicesOptions& options) {
  auto names = rdma::adapter_names();
  if (!names) return complain(names.error());
  if (!options.adapter.empty()) names = std::vector{options.adapter};
  const auto mounts = rdma::holdable_mounts();
  if (!mounts) return complain(mounts.error());
  const auto unobserved = rdma::unobserved_pins();
  const Terminal terminal = Terminal::of(stdout);
  auto list = Json::array();
  int status = kOk;
  for (const auto& name : *names) {
    const auto found = look_at(name, *mounts);
    if (!found) {
      status = complain(found.error());
      continue;
    }
    if (cli.json)
      list.push_back(adapter_json(*found));
    else
      print_adapter(terminal, *found);
  }
  if (cli.json) {
    std::printf("%s\n", dump({{"schema", "holdfast.devices/1"}, {"adapters", std::move(list)}, {"not_observed", unobserved_json(unobserved)}}, 2).c_str());
    return status;
  }
  if (names->empty()) std::printf("This machine has no RDMA adapter.\n\n");
  std::printf("Pinned in other ways, which Holdfast does not observe:\n");
  for (const auto& one : unobserved)
    std::printf("  %s%s: %s\n", one.what.c_str(), one.present ? "" : " (not in use here, as far as can be seen)", one.why.c_str());
  return status;
}

}  // namespace

void add_devices(CLI::App& app, Cli& cli) {
  auto options = std::make_shared<DevicesOptions>();
  CLI::App* verb = app.add_subcommand("devices", "Try what each RDMA adapter can do, and how files can be registered on it");
  verb->add_option("ADAPTER", options->adapter, "Only this one");
  add_json(*verb, cli);
  verb->footer(
      "Everything is tried on scratch memory and on unnamed scratch files, which are gone afterwards.\n"
      "Plans: plain (pinned, under a lease), odp (On-Demand Paging, under a lease), refused (the reason stands below).\n\n"
      "Examples:\n  holdfast devices\n  holdfast devices mlx5_0\n"
      "  holdfast devices --json | jq '.adapters[] | {name, odp: .can[\"odp.rc.write\"].works}'");
  verb->callback([&cli, options] { cli.run = [&cli, options] { return show(cli, *options); }; });
}

}  // namespace hf::cli
