// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "daemon/orders.hpp"

#include <fcntl.h>

#include <asio/co_spawn.hpp>
#include <asio/redirect_error.hpp>
#include <asio/this_coro.hpp>
#include <asio/use_awaitable.hpp>
#include <algorithm>
#include <chrono>
#include <set>

#include "daemon/beside.hpp"
#include "daemon/notify.hpp"
#include "daemon/record.hpp"
#include "daemon/static_holds.hpp"
#include "daemon/words.hpp"
#include "kernel/file_facts.hpp"
#include "lease/seals.hpp"

namespace hf {
namespace {

constexpr auto kHoldsEvery = std::chrono::seconds(10);

std::string text_of(const Json& order, const char* name) {
  const auto found = order.find(name);
  return found != order.end() && found->is_string() ? found->get<std::string>() : std::string();
}

bool flag_of(const Json& order, const char* name) {
  const auto found = order.find(name);
  return found != order.end() && found->is_boolean() && found->get<bool>();
}

Status root_only(const Peer& peer, const char* what) {
  if (peer.root()) return {};
  return fail(EPERM, fmt::format("only root may {}", what), "Run it as root.");
}

Result<std::vector<std::string>> names_in(const Json& order, const char* name) {
  std::vector<std::string> names;
  const auto found = order.find(name);
  if (found == order.end()) return names;
  if (!found->is_array()) return fail(EINVAL, fmt::format("\"{}\" must be a list", name));
  for (const auto& entry : *found) {
    if (!entry.is_string()) return fail(EINVAL, fmt::format("\"{}\" must be a list of text", name));
    names.push_back(entry.get<std::string>());
  }
  return names;
}

Result<std::vector<SealException>> exceptions_in(const Json& order) {
  std::vector<SealException> exceptions;
  const auto found = order.find("except");
  if (found == order.end()) return exceptions;
  if (!found->is_array()) return fail(EINVAL, "\"except\" must be a list");
  for (const auto& entry : *found) {
    const auto user = entry.is_object() ? entry.find("uid") : entry.end();
    if (!entry.is_object() || (user != entry.end() && !user->is_number_unsigned())) return fail(EINVAL, "an exception is {\"uid\": N, \"program\": \"/...\"}");
    exceptions.push_back({user == entry.end() ? 0 : user->get<std::uint32_t>(), text_of(entry, "program")});
  }
  return exceptions;
}

Result<Configuration> read_configuration(const std::string& directory) {
  HF_TRY_ASSIGN(const auto sources, read_sources(directory));
  return check_configuration(sources, Names::local());
}

/// The static lease that the configuration's hold of a file is; those of maintenance windows are another matter.
const Lease* static_hold(const Core& core, const hf_file_key& key) {
  for (const auto* lease : core.table().on_file(key))
    if (lease->holder.kind == HF_LEASE_STATIC && lease->holder.tgid == 0) return lease;
  return nullptr;
}

}  // namespace

bool is_order(std::string_view text) {
  const auto order = Json::parse(text, nullptr, false);
  return order.is_object() && order.contains("do");
}

Status Orders::put_in_force(Configuration configuration) {
  HF_TRY(configuration.usable());
  HF_TRY(core_.guards().apply(std::move(configuration.policy)));
  if (applied) applied(core_.guards().policy());
  warnings_.clear();
  for (const auto& warning : configuration.warnings) warnings_.push_back(warning.text());
  for (const auto& remark : core_.guards().remarks()) warnings_.push_back(remark);
  for (const auto& warning : warnings_) log_line(Priority::kWarning, warning);
  look_for_holds();
  return {};
}

Status Orders::load() {
  auto configuration = read_configuration(directory_);
  if (!configuration) {
    (void)core_.guards().apply({});
    return tl::unexpected(configuration.error());
  }
  auto done = put_in_force(std::move(*configuration));
  if (!done) (void)core_.guards().apply({});
  return done;
}

asio::awaitable<Status> Orders::reload() {
  const auto read = [this] { return read_configuration(directory_); };
  auto configuration = co_await beside(pools_.survey, read);
  if (!configuration) co_return tl::unexpected(configuration.error());
  co_return put_in_force(std::move(*configuration));
}

void Orders::look_for_holds() {
  holds_again_ = true;
  if (holds_due_) holds_due_->cancel();
}

asio::awaitable<void> Orders::keep_holds() {
  holds_due_ = std::make_unique<asio::steady_timer>(co_await asio::this_coro::executor);
  asio::error_code error;
  for (;;) {
    while (std::exchange(holds_again_, false)) co_await hold_files();
    // Files may come, grow or be replaced later; where none are to be held, only another configuration or mount brings some.
    if (core_.guards().policy().holds.empty())
      holds_due_->expires_at(asio::steady_timer::time_point::max());
    else
      holds_due_->expires_after(kHoldsEvery);
    co_await holds_due_->async_wait(asio::redirect_error(asio::use_awaitable, error));
    holds_again_ = holds_again_ || !core_.guards().policy().holds.empty();
  }
}

asio::awaitable<void> Orders::hold_files() {
  const auto holds = core_.guards().policy().holds;
  std::vector<FoundFile> files;
  if (!holds.empty()) {
    const auto find = [&holds] { return find_held_files(holds); };
    files = co_await beside(pools_.survey, find);
  }
  std::set<hf_file_key> wanted;
  for (auto& file : files) {
    const auto seen = core_.gate().facts(file.file.get());
    if (!seen) continue;
    wanted.insert(seen->file);
    // Of a file that is being recalled it gives way, and comes back afterwards.
    if (static_hold(core_, seen->file) || core_.recalled(seen->file)) continue;
    // Another look may be on its way to hold it.
    if (!holding_.insert(seen->file).second) continue;
    const auto path = file.path;
    const auto held = co_await hold_file(std::move(file));
    holding_.erase(seen->file);
    auto& told = hold_troubles_[path];
    if (!held && told != held.error().message) log_line(Priority::kWarning, fmt::format("{} can't be held: {}", path, held.error().text()));
    told = held ? std::string() : held.error().message;
  }
  std::vector<LeaseId> over;
  for (const auto& [id, lease] : core_.table().leases()) {
    if (lease.holder.kind != HF_LEASE_STATIC || lease.holder.tgid != 0 || lease.files.empty()) continue;
    if (!wanted.contains(lease.files.front().key)) over.push_back(id);
  }
  for (const auto id : over) core_.withdraw(id);
}

asio::awaitable<Status> Orders::hold_file(FoundFile file) {
  AcquireRequest request{.peer = {}, .file = std::move(file.file), .settle = file.settle};
  request.label = "configuration";
  request.ranges.push_back({});
  request.kind = HF_LEASE_STATIC;
  const auto acquired = co_await acquire(core_, pools_, nullptr, std::move(request));
  if (!acquired) co_return tl::unexpected(acquired.error());
  co_return Status{};
}

/// Check first, write, then put in force: what is in the file is always what was accepted.
asio::awaitable<Status> Orders::change(ManagedChange wanted) {
  const auto path = directory_ + "/" + kManagedFile;
  const auto prepare = [&]() -> Result<Configuration> {
    HF_TRY_ASSIGN(auto sources, read_sources(directory_));
    auto managed = std::find_if(sources.begin(), sources.end(), [&](const SourceText& source) { return source.path == path; });
    if (managed == sources.end()) {
      sources.push_back({path, {}});
      std::sort(sources.begin() + (sources.size() > 1 && sources.front().path == directory_ + "/holdfast.toml" ? 1 : 0), sources.end(),
                [](const SourceText& a, const SourceText& b) { return a.path < b.path; });
      managed = std::find_if(sources.begin(), sources.end(), [&](const SourceText& source) { return source.path == path; });
    }
    HF_TRY_ASSIGN(managed->text, change_managed(managed->text, wanted));
    auto configuration = check_configuration(sources, Names::local());
    HF_TRY(configuration.usable());
    HF_TRY(write_managed(directory_, managed->text));
    return configuration;
  };
  auto configuration = co_await beside(pools_.survey, prepare);
  if (!configuration) co_return tl::unexpected(configuration.error());
  co_return put_in_force(std::move(*configuration));
}

asio::awaitable<Result<Json>> Orders::reload_order(const Peer& peer) {
  if (auto may = root_only(peer, "reload the configuration"); !may) co_return tl::unexpected(may.error());
  if (auto done = co_await reload(); !done) co_return tl::unexpected(done.error());
  co_return Json{{"schema", "holdfast.reload/1"}, {"warnings", warnings_}};
}

asio::awaitable<Result<Json>> Orders::qualified(const Peer& peer, const Json& order) {
  if (auto may = root_only(peer, "say that a mount was qualified"); !may) co_return tl::unexpected(may.error());
  if (!drift_) co_return fail(EOPNOTSUPP, "this holdfastd does not watch for drift");
  const auto path = text_of(order, "path");
  const auto failed = names_in(order, "failed");
  if (!failed) co_return tl::unexpected(failed.error());
  const auto& all = core_.guards().filesystems();
  const auto here = [&path](const auto& entry) { return std::find(entry.second.points.begin(), entry.second.points.end(), path) != entry.second.points.end(); };
  if (std::none_of(all.begin(), all.end(), here)) co_return fail(EOPNOTSUPP, fmt::format("no filesystem that Holdfast can guard is mounted on {}", path));
  if (auto done = co_await drift_->qualified(path, *failed); !done) co_return tl::unexpected(done.error());
  co_return Json{{"schema", "holdfast.qualified/1"}, {"path", path}, {"qualified", failed->empty()}};
}

asio::awaitable<Result<Json>> Orders::guard(const Peer& peer, const Json& order) {
  const bool unguard = text_of(order, "do") == "unguard";
  if (auto may = root_only(peer, unguard ? "exempt a filesystem" : "guard a filesystem"); !may) co_return tl::unexpected(may.error());
  const auto seals = names_in(order, "seals");
  if (!seals) co_return tl::unexpected(seals.error());
  if (const auto mask = seals_from_names(*seals); !mask) co_return tl::unexpected(mask.error());
  const auto exceptions = exceptions_in(order);
  if (!exceptions) co_return tl::unexpected(exceptions.error());
  const auto path = text_of(order, "path");
  const auto& all = core_.guards().filesystems();
  const auto there = [&path](const auto& entry) {
    return std::find(entry.second.points.begin(), entry.second.points.end(), path) != entry.second.points.end();
  };
  const auto found = std::find_if(all.begin(), all.end(), there);
  if (found == all.end())
    co_return fail(EOPNOTSUPP, fmt::format("no filesystem that Holdfast can guard is mounted on {}", path),
                   "It guards xfs, ext4, tmpfs and hugetlbfs, by the path that they are mounted on.");
  const auto device = found->first;
  ManagedChange wanted{.kind = unguard ? ManagedChange::Kind::unguard : ManagedChange::Kind::guard, .path = path, .seals = *seals, .exceptions = *exceptions};
  if (auto done = co_await change(std::move(wanted)); !done) co_return tl::unexpected(done.error());
  const auto& policy = core_.guards().of(device);
  std::size_t leases = 0;
  for (const auto& [id, lease] : core_.table().leases())
    leases += std::any_of(lease.files.begin(), lease.files.end(), [&](const LeasedFile& file) { return file.key.device == device; });
  co_return Json{{"schema", "holdfast.guard/1"},          {"path", path},     {"guarded", policy.guard},
                 {"seals", names_of_seals(policy.seals)}, {"leases", leases}, {"warnings", warnings_}};
}

asio::awaitable<Result<Json>> Orders::hold(const Peer& peer, const Json& order, const Fd& file) {
  const bool forget = text_of(order, "do") == "forget";
  if (auto may = root_only(peer, "hold a file for good"); !may) co_return tl::unexpected(may.error());
  const auto path = text_of(order, "path");
  ManagedChange wanted{.kind = forget ? ManagedChange::Kind::forget : ManagedChange::Kind::hold, .path = path, .settle = flag_of(order, "settle")};
  if (path.find_first_of("*?[\\") != std::string::npos)
    co_return fail(EINVAL, fmt::format("{} has letters that stand for others in the configuration", path), "Write a [[hold]] by hand: holdfast.toml(5).");
  if (!forget) {
    if (!file) co_return fail(EBADF, "no descriptor came with the order");
    // Held first: what can't be held is not to be written down.
    const auto seen = core_.gate().facts(file.get());
    if (!seen) co_return tl::unexpected(seen.error());
    if (!static_hold(core_, seen->file)) {
      FoundFile found{path, wanted.settle, Fd(::fcntl(file.get(), F_DUPFD_CLOEXEC, 0))};
      if (auto held = co_await hold_file(std::move(found)); !held) co_return tl::unexpected(held.error());
    }
  }
  if (auto done = co_await change(std::move(wanted)); !done) co_return tl::unexpected(done.error());
  co_return Json{{"schema", "holdfast.hold/1"}, {"path", path}, {"held", !forget}};
}

Result<Json> Orders::recall(const Peer& peer, const Json& order, const Fd& file) {
  const auto what = text_of(order, "do");
  const auto& policy = core_.guards().policy().recall;
  const bool in_group = policy.group && std::find(peer.groups.begin(), peer.groups.end(), *policy.group) != peer.groups.end();
  if (!peer.root() && !in_group)
    return fail(EPERM, "only root, or the group that the configuration names, may recall", "Set group in [recall], holdfast.toml(5).");
  if (what == "recall-status") return recalls_.status(peer);
  if (what == "recall-end") return recalls_.finish(peer);
  std::optional<Escalation> on_timeout;
  for (const auto step : {Escalation::deny, Escalation::fence, Escalation::kill})
    if (text_of(order, "on_timeout") == name(step)) on_timeout = step;
  if (!on_timeout && order.contains("on_timeout")) return fail(EINVAL, "\"on_timeout\" is none of deny, fence, kill");
  std::optional<std::uint64_t> wait_s;
  if (const auto found = order.find("wait_s"); found != order.end() && found->is_number_unsigned()) wait_s = found->get<std::uint64_t>();
  HF_TRY_ASSIGN(const auto rules, RecallRules::within(policy, wait_s, on_timeout, flag_of(order, "command")));
  const auto path = text_of(order, "path");
  if (file) {
    HF_TRY_ASSIGN(const auto seen, core_.gate().facts(file.get()));
    HF_TRY(admit_file(file_facts(seen, path)));
    return recalls_.begin(peer, seen.file, false, path, rules);
  }
  for (const auto& [device, filesystem] : core_.guards().filesystems())
    if (std::find(filesystem.points.begin(), filesystem.points.end(), path) != filesystem.points.end())
      return recalls_.begin(peer, {.inode = 0, .device = device, .generation = 0}, true, path, rules);
  return fail(EOPNOTSUPP, fmt::format("no filesystem that Holdfast can guard is mounted on {}", path),
              "Name a file, or the path that a filesystem is mounted on.");
}

/// What an administrator changed, or tried to, stands in the journal.
void Orders::note(const Peer& peer, const Json& order, const Result<Json>& done) const {
  Json more = order.is_object() ? order : Json::object();
  more.erase("do");
  more["done"] = done.has_value();
  if (!done) more["error"] = done.error().message;
  core_.record(note_entry(journal_kind::kConfiguration, text_of(order, "do"), std::move(more), {static_cast<std::uint32_t>(peer.pid), peer.uid, peer.comm}));
}

asio::awaitable<Result<std::string>> Orders::carry_out(const Peer& peer, std::string_view text, Fd file) {
  const auto order = Json::parse(text, nullptr, false);
  const auto what = text_of(order, "do");
  Result<Json> done =
      fail(EINVAL, fmt::format("no such order: {}", what), "There are: reload, guard, unguard, hold, forget, qualified, recall, recall-status, recall-end.");
  if (what == "reload")
    done = co_await reload_order(peer);
  else if (what == "guard" || what == "unguard")
    done = co_await guard(peer, order);
  else if (what == "hold" || what == "forget")
    done = co_await hold(peer, order, file);
  else if (what == "qualified")
    done = co_await qualified(peer, order);
  else if (what == "recall" || what == "recall-status" || what == "recall-end")
    done = recall(peer, order, file);
  if (!what.starts_with("recall")) note(peer, order, done);
  if (!done) co_return tl::unexpected(done.error());
  co_return json_text(*done);
}

}  // namespace hf
