// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// The facts as a whole: what holdfastd says, what the parts found, who else writes, and the probe.
#include "qualify/collect.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <ctime>
#include <set>

#include "daemon/configuration.hpp"
#include "journal/entry.hpp"
#include "journal/history.hpp"
#include "journal/journal.hpp"
#include "qualify/digest.hpp"
#include "qualify/mount_state.hpp"
#include "qualify/scratch.hpp"
#include "qualify/soak.hpp"
#include "qualify/system_files.hpp"
#include "rdma/adapter.hpp"

namespace hf::qualify {

namespace {

constexpr std::size_t kExamples = 5;         // lines of evidence of one kind
constexpr std::size_t kDenialsShown = 1000;  // on the page, which a browser has to draw
constexpr std::size_t kEscapesShown = 1000;

std::string now_text() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  char text[32];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc)};
}

std::string text_at(const Json& object, const char* name) {
  const auto found = object.is_object() ? object.find(name) : object.end();
  return object.is_object() && found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}
std::uint64_t number_at(const Json& object, const char* name) {
  if (!object.is_object()) return 0;
  const auto found = object.find(name);
  return found != object.end() && found->is_number_unsigned() ? found->get<std::uint64_t>() : 0;
}
const Json& list_at(const Json& object, const char* name) {
  static const Json nothing = Json::array();
  if (!object.is_object()) return nothing;
  const auto found = object.find(name);
  return found != object.end() && (found->is_array() || found->is_object()) ? *found : nothing;
}

bool on_device(const Json& file, std::uint32_t device) { return text_at(list_at(file, "file"), "device") == device_text(device); }

/// The rows of an answer to {"query": "history"}, of the journal itself where no daemon answers.
Result<Json> history_of(holdfast::Session* session, const HistoryQuery& wanted) {
  if (session)
    return query(*session, {{"query", "history"},
                            {"file", wanted.file},
                            {"device", wanted.device},
                            {"without", wanted.without},
                            {"kinds", wanted.kinds},
                            {"newest", wanted.newest},
                            {"limit", wanted.limit}});
  HF_TRY_ASSIGN(const auto page, read_history(kJournalPath, wanted));
  Json events = Json::array();
  for (const auto& row : page.rows) events.push_back(Json::parse(history_json(row), nullptr, false));
  return Json{{"events", std::move(events)}, {"more", page.more}};
}

/// The newest of a kind that happened on this mount, but for what the probe did. What holdfastd remembers, where there is no journal to be read.
Past past_of(const FilesystemFacts& fs, holdfast::Session* session, std::string_view kind, std::size_t limit) {
  Past past;
  const HistoryQuery wanted{
      .file = fs.point, .device = device_text(fs.device), .without = kScratchPaths, .kinds = {std::string(kind)}, .newest = true, .limit = limit};
  const auto answer = history_of(session, wanted);
  if (!answer) {
    past.trouble = answer.error().message;
    const auto name = std::string(kind) + "s";
    const auto remembered = session ? query(*session, {{"query", name}, {"limit", 4096}}) : Json();
    if (!remembered) return past;
    for (const auto& event : list_at(*remembered, name.c_str()))
      if (on_device(event, fs.device) && text_at(event, "path").find(kScratchFolder) == std::string::npos) past.events.push_back(event);
    return past;
  }
  const auto boot = NodeIdentity::of_this_machine().boot;
  for (const auto& row : list_at(*answer, "events")) {
    Json event = list_at(row, "data");
    // What another filesystem was, mounted below this one; device numbers tell it for as long as the machine is not booted anew.
    if (!event.is_object() || (text_at(row, "boot") == boot && !on_device(event, fs.device))) continue;
    event["time"] = text_at(row, "time");
    past.events.push_back(std::move(event));
  }
  past.older = answer->value("more", false);
  return past;
}

void take_history(Collected& all, holdfast::Session* session) {
  const auto take = [session](const Json& question, Json& into) {
    if (auto answer = query(*session, question)) into = std::move(*answer);
  };
  if (session) {
    take({{"query", "leases"}}, all.leases);
    take({{"query", "registrations"}}, all.registrations);
  }
  all.denials = past_of(all.facts.filesystem, session, journal_kind::kDenial, kDenialsShown);
  all.escapes = past_of(all.facts.filesystem, session, journal_kind::kEscape, kEscapesShown);
}

void ask_daemon(Collected& all, const Connect& connect) {
  auto& gate = all.facts.gate;
  auto session = connect();
  if (!session) {
    gate.daemon_error = session.error().message;
    take_history(all, nullptr);
    return;
  }
  const auto status = query(*session, {{"query", "status"}});
  if (!status) {
    gate.daemon_error = status.error().message;
    return;
  }
  gate.daemon = true;
  gate.daemon_version = text_at(*status, "version");
  const auto& counters = list_at(*status, "gate");
  gate.object = text_at(counters, "object");
  gate.tripwire_missed = number_at(counters, "tripwire_missed");
  gate.tripwire_blind = number_at(counters, "tripwire_blind");
  gate.denials_lost = number_at(counters, "denials_lost");
  const auto mount = mount_state(*status, all.facts.filesystem.device);
  gate.guarded = mount.guarded;
  gate.seals = mount.seals;
  take_history(all, &*session);
}

void read_gate(Collected& all, const QualifyOptions& options) {
  auto& facts = all.facts;
  facts.gate.version = options.version;
  if (auto state = gate_state())
    facts.gate.state = std::move(*state);
  else
    facts.gate.state_error = state.error().text();
  const auto& escapes = all.escapes.events;
  for (auto escape = escapes.rbegin(); escape != escapes.rend() && facts.gate.escapes.size() < kExamples; ++escape)
    facts.gate.escapes.push_back(fmt::format("{}: {} of {} by {}", text_at(*escape, "time"), text_at(*escape, "operation"), text_at(*escape, "path"),
                                             text_at(list_at(*escape, "breaker"), "comm")));
  for (const auto& registration : list_at(all.registrations, "registrations")) {
    const auto& files = list_at(registration, "files");
    const bool here = std::any_of(files.begin(), files.end(), [&](const Json& file) { return on_device(file, facts.filesystem.device); });
    if (!here || text_at(registration, "state") != "unprotected" || facts.gate.unprotected.size() >= kExamples) continue;
    const auto& process = list_at(registration, "process");
    facts.gate.unprotected.push_back(
        fmt::format("{} (process {}) on {}", text_at(process, "comm"), number_at(process, "pid"), text_at(registration, "device")));
  }
}

void read_configuration(Facts& facts, const std::string& directory) {
  const auto sources = read_sources(directory);
  if (!sources) {
    facts.gate.configuration_errors.push_back(sources.error().text());
    return;
  }
  for (const auto& source : *sources) facts.configuration[source.path] = sha256(source.text);
  const auto configuration = check_configuration(*sources, Names::local());
  for (const auto& problem : configuration.errors) facts.gate.configuration_errors.push_back(problem.text());
  if (!configuration.errors.empty()) return;
  const auto device_number = [](const std::string& path) -> std::optional<std::uint32_t> {
    struct stat st {};
    if (::stat(path.c_str(), &st) != 0 || !S_ISBLK(st.st_mode)) return {};
    return kernel_device(major(st.st_rdev), minor(st.st_rdev));
  };
  facts.gate.policy =
      configuration.policy.of({.device = facts.filesystem.device, .type = facts.filesystem.type, .points = {facts.filesystem.point}}, device_number);
}

/// Leased files of this mount, with the extents that the gate protects.
void read_files(Collected& all, const std::vector<std::string>& named) {
  auto& fs = all.facts.filesystem;
  for (const auto& file : list_at(all.leases, "files")) {
    const auto path = text_at(file, "path");
    if (!on_device(file, fs.device) || path.empty() || path.ends_with(" (deleted)")) continue;
    std::vector<std::pair<std::uint64_t, std::uint64_t>> extents;
    for (const auto& extent : list_at(file, "protected"))
      extents.emplace_back(number_at(extent, "first"),
                           extent.contains("end") && extent["end"].is_number_unsigned() ? extent["end"].get<std::uint64_t>() : UINT64_MAX);
    auto state = file_state(path, extents);
    state.leased = true;
    fs.files.push_back(std::move(state));
  }
  for (const auto& path : named)
    if (std::none_of(fs.files.begin(), fs.files.end(), [&](const FileState& state) { return state.path == path; })) fs.files.push_back(file_state(path, {}));
  for (const auto& file : fs.files) all.facts.needed_bytes += file.size_bytes;
}

std::set<std::uint32_t> holders(const Json& leases) {
  std::set<std::uint32_t> pids;
  for (const auto& file : list_at(leases, "files"))
    for (const auto& lease : list_at(file, "leases")) pids.insert(static_cast<std::uint32_t>(number_at(list_at(lease, "holder"), "pid")));
  return pids;
}

bool opened_for_writing(const std::string& process, const std::string& fd) {
  for (const auto& line : plain_lines(text_of_file(process + "/fdinfo/" + fd).value_or(""))) {
    if (!line.starts_with("flags:")) continue;
    const auto digits = trimmed(std::string_view(line).substr(6));
    unsigned flags = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), flags, 8);
    return (flags & O_ACCMODE) != O_RDONLY && !(flags & O_PATH);
  }
  return false;
}

void read_writers(Collected& all) {
  std::map<std::pair<dev_t, ino_t>, std::string> files;
  for (const auto& file : all.facts.filesystem.files) {
    struct stat st {};
    if (::stat(file.path.c_str(), &st) == 0) files[{st.st_dev, st.st_ino}] = file.path;
  }
  if (files.empty()) return;
  const auto excepted = holders(all.leases);
  for (const auto& name : names_in("/proc")) {
    std::uint32_t pid = 0;
    if (std::from_chars(name.data(), name.data() + name.size(), pid).ec != std::errc{} || excepted.contains(pid) ||
        pid == static_cast<std::uint32_t>(::getpid()))
      continue;
    const std::string process = "/proc/" + name;
    for (const auto& fd : names_in(process + "/fd")) {
      struct stat st {};
      if (::stat((process + "/fd/" + fd).c_str(), &st) != 0) continue;
      const auto file = files.find({st.st_dev, st.st_ino});
      if (file == files.end() || !opened_for_writing(process, fd) || all.facts.writers.size() >= kExamples) continue;
      all.facts.writers.push_back({.pid = pid, .comm = line_of_file(process + "/comm"), .path = file->second});
    }
  }
}

/// The routes by which a source can reach a file at all ways in which the gate sees them differently; `holdfast probe` and --all-routes have the rest.
const std::vector<std::string> kRoutes{"user", "root", "io_uring-worker"};

void prove(Collected& all, const QualifyOptions& options, const Connect& connect, const std::function<bool(const Progress&)>& progress) {
  auto& proof = all.facts.proof;
  proof.asked = options.probe || options.soak_s;
  if (!proof.asked) return;
  proof.soak_s = options.soak_s;
  ProbeOptions wanted{.directory = options.mount};
  wanted.leased_only = true;
  wanted.seed = options.seed;
  wanted.soak_s = options.soak_s;
  if (!options.all_routes) wanted.routes = kRoutes;
  std::optional<Soak> soak;
  if (options.soak_s) soak = Soak::start(options.mount, all.facts.adapters);
  auto report = run_probe(wanted, connect, progress);
  if (soak) {
    const auto written = soak->finish();
    proof.rdma_writes = written.writes;
    proof.rdma_lost = written.lost;
    proof.rdma_error = written.error;
  }
  if (!report) {
    proof.error = report.error().text();
    return;
  }
  proof.trials = report->trials.size();
  proof.seconds = report->seconds;
  proof.differences = report->differences();
  proof.open = report->open();
  proof.unnamed = report->unnamed();
  proof.known_open = report->known_open();
  for (const auto& trial : report->trials)
    if (trial.leased && trial.attempt.reached && trial.verdict == actions::Verdict::refused && !trial.named && proof.examples.size() < kExamples)
      proof.examples.push_back(
          fmt::format("{} by {}: refused ({}), and nobody was wholly named", trial.action->name, name(trial.route), trial.attempt.outcome.detail));
  for (const auto& trial : report->trials)
    for (const auto& difference : trial.differences)
      if (proof.examples.size() < kExamples) proof.examples.push_back(fmt::format("{} by {}: {}", trial.action->name, name(trial.route), difference));
  all.probe = std::move(*report);
}

}  // namespace

Result<Collected> collect(const QualifyOptions& options, const Connect& connect, const std::function<bool(const Progress&)>& progress) {
  Collected all;
  auto& facts = all.facts;
  facts.time = now_text();
  HF_TRY_ASSIGN(const auto mountinfo, read_text("/proc/self/mountinfo", 16 << 20));
  const auto mounts = parse_mountinfo(mountinfo);
  HF_TRY_ASSIGN(const auto mount, find_mount(mounts, options.mount));
  facts.kernel = collect_kernel();
  facts.filesystem = filesystem_facts(mounts, mount);
  ask_filesystem(facts.filesystem);
  ask_daemon(all, connect);
  read_gate(all, options);
  read_configuration(facts, options.configuration);
  read_files(all, options.files);
  read_writers(all);
  facts.neighbours = read_neighbours(options.mount);
  facts.adapters = collect_adapters(facts.filesystem, facts.adapters_error);
  for (const auto& one : rdma::unobserved_pins())
    if (one.present) facts.unobserved.push_back(fmt::format("{}: {}", one.what, one.why));
  rlimit limit{};
  facts.memlock_bytes = ::getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY ? limit.rlim_cur : UINT64_MAX;
  prove(all, options, connect, progress);
  // As it is after the probe: what the report shows.
  if (auto session = connect(); session && facts.gate.daemon) take_history(all, &*session);
  return all;
}

}  // namespace hf::qualify
