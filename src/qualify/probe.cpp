// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "qualify/probe.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <random>
#include <system_error>

#include "catalog/break_sources.hpp"
#include "kernel/paths.hpp"
#include "qualify/layout.hpp"
#include "qualify/mount_state.hpp"
#include "qualify/scratch.hpp"

namespace hf::qualify {

namespace {

using actions::Action;
using actions::Kind;
using actions::Place;
using actions::Route;
using actions::Subject;

constexpr int kTimeoutMs = 120000;  // the probe keeps holdfastd busy

/// A trial to be made.
struct Plan {
  const Action* action;
  Route route;
  bool leased;
};

/// Fewer where each is a huge page. Twelve blocks are what an ext4 inode without extents names by itself (EXT4_NDIR_BLOCKS), and so the most that migrates
/// back.
std::uint64_t units_of(const Place& place) { return place.where == actions::kHugetlbfs ? 4 : 12; }

bool chosen(const std::vector<std::string>& names, std::string_view name) { return names.empty() || std::ranges::find(names, name) != names.end(); }

std::vector<Plan> plan(const ProbeOptions& options, const Place& place) {
  std::vector<Plan> plans;
  const bool root = geteuid() == 0;
  for (const bool leased : {true, false}) {
    if (!leased && options.leased_only) continue;
    for (const Action& action : actions::actions()) {
      if (!((action.runs | action.may_run) & place.where) || !chosen(options.sources, action.source)) continue;
      // Where that is another source's route (the lower file's hooks see it), it would be taken for its own.
      if (action.needs == actions::Needs::backing_files && !actions::has(action.needs, place)) continue;
      for (const Route route : actions::routes()) {
        if (!applies(route, action) || !chosen(options.routes, name(route))) continue;
        if (!leased && route == Route::holder) continue;
        // Other mounts and other users are root's to make.
        const bool wants_root = action.is(actions::kNeedsRoot) || route == Route::root || route == Route::mount_ns || route == Route::overlay;
        if (wants_root && !root) continue;
        plans.push_back({&action, route, leased});
      }
    }
  }
  return plans;
}

Status make_folders(const std::string& scratch) {
  for (const char* folder : {"", "/files", "/lower", "/work", "/mount"}) {
    const std::string path = scratch + folder;
    if (mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) return sys_error(errno, "mkdir", path);
    // Others reach the files, but can't put anything else in their place: what root does there to a name, it does to a file of its own.
    if (chmod(path.c_str(), 0755) != 0) return sys_error(errno, "chmod", path);
  }
  return {};
}

class Probe {
 public:
  Probe(const ProbeOptions& options, const Connect& connect, Scratch& scratch, Watcher& watcher)
      : options_(options), connect_(connect), scratch_(scratch), watcher_(watcher) {}

  Result<ProbeReport> run(const std::function<bool(const Progress&)>& progress) {
    const auto began = std::chrono::steady_clock::now();
    const auto elapsed = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count(); };
    HF_TRY(prepare());
    std::vector<Plan> plans = plan(options_, report_.place);
    if (plans.empty()) return fail(EINVAL, "there is nothing to try with these options", "Next: holdfast probe --help");
    std::size_t done = 0;
    for (const Plan& next : plans) {
      HF_TRY(one(next));
      if (!progress({++done, plans.size(), &report_.trials.back()})) return fail(ECANCELED, "interrupted");
    }
    if (options_.soak_s) {
      std::mt19937_64 random(options_.seed);
      report_.seed = options_.seed;
      while (elapsed() < static_cast<double>(*options_.soak_s)) {
        HF_TRY(one(plans[random() % plans.size()]));
        if (!progress({++done, 0, &report_.trials.back()})) return fail(ECANCELED, "interrupted");
      }
    }
    report_.seconds = elapsed();
    return std::move(report_);
  }

 private:
  Status prepare() {
    HF_TRY(make_folders(scratch_.path()));
    utsname kernel{};
    uname(&kernel);
    report_.kernel = kernel.release;
    report_.directory = options_.directory;
    // Whether a file is reached by DAX is seen on a file.
    HF_TRY(make_pattern());
    try {
      report_.place = actions::place_of(pattern_);
    } catch (const std::exception& error) {
      return fail(EOPNOTSUPP, error.what(), "Next: probe a folder on XFS, ext4, tmpfs or hugetlbfs");
    }
    if (geteuid() == 0) {
      if (auto nobody = actions::find_user("nobody")) user_ = *nobody;
    }
    HF_TRY_ASSIGN(const Fd fd, open_file(pattern_));
    HF_TRY(ask_seals(fd.get()));
    HF_TRY_ASSIGN(const Trace trace, Trace::start(connect_, fd.get()));
    report_.tripwire = trace.active();
    return {};
  }

  /// The mount's seals refuse the other file of an operation, too.
  Status ask_seals(int fd) {
    struct stat status {};
    if (fstat(fd, &status) != 0) return sys_error(errno, "fstat", pattern_);
    HF_TRY_ASSIGN(auto session, connect_());
    HF_TRY_ASSIGN(const auto answer, query(session, {{"query", "status"}}));
    seals_ = mount_state(answer, kernel_device(major(status.st_dev), minor(status.st_dev))).seals.value_or(0);
    return {};
  }

  static Result<Fd> open_file(const std::string& path) {
    Fd fd(open(path.c_str(), O_RDWR | O_CLOEXEC));
    if (!fd) return sys_error(errno, "open", path);
    return fd;
  }

  /// What every scratch file is a copy of.
  Status make_pattern() {
    const std::string empty = scratch_.path() + "/empty";
    const Fd fd(open(empty.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!fd) return sys_error(errno, "create", empty);
    try {
      report_.place = actions::place_of(empty);
      if (ftruncate(fd.get(), static_cast<off_t>(units_of(report_.place) * report_.place.unit)) != 0) return sys_error(errno, "ftruncate", empty);
      actions::make_copy(empty, pattern_);
    } catch (const std::system_error& error) {
      return fail(error.code().value(), error.what(), error.code().value() == ENOMEM ? "Next: reserve more huge pages: sysctl vm.nr_hugepages" : "");
    } catch (const std::exception& error) {
      return fail(EOPNOTSUPP, error.what(), "Next: probe a folder on XFS, ext4, tmpfs or hugetlbfs");
    }
    unlink(empty.c_str());
    return {};
  }

  Subject subject() const {
    const Place& place = report_.place;
    Subject subject;
    subject.unit = place.unit;
    subject.scratch = scratch_.path();
    subject.file = scratch_.path() + "/files/file";
    subject.offset = units_of(place) / 4 * place.unit;
    subject.length = units_of(place) / 2 * place.unit;
    return subject;
  }

  Status one(const Plan& next) {
    Trial trial;
    trial.action = next.action;
    trial.route = next.route;
    trial.leased = next.leased;
    try {
      HF_TRY(make(trial));
    } catch (const std::system_error& error) {
      return fail(error.code().value(), error.what());
    }
    const BreakSource* source = find_break_source(trial.action->source);
    trial.sealed = source && (seals_ & (1u << source->op));
    trial.differences = differences(trial, report_.place, report_.tripwire);
    report_.trials.push_back(std::move(trial));
    return {};
  }

  Status make(Trial& trial) {
    const Action& action = *trial.action;
    Subject subject = this->subject();
    actions::make_copy(pattern_, subject.file);
    if (action.is(actions::kNeedsDonor)) actions::make_copy(pattern_, subject.donor = scratch_.path() + "/files/donor");
    HF_TRY_ASSIGN(Fd fd, open_file(subject.file));
    subject.early = fd.get();
    // Under a lease nothing may be prepared that a lease would not be given for; but what must have begun before it has.
    if (action.prepare && (!trial.leased || action.is(actions::kBefore))) {
      trial.attempt.outcome = action.prepare(subject);
      if (trial.attempt.outcome.error) {
        trial.attempt.reached = false;
        trial.verdict = actions::judge(trial.attempt.outcome);
        return {};
      }
    }
    HF_TRY_ASSIGN(Layout layout, Layout::take(fd.get(), report_.place, subject.offset, subject.length, !action.is(actions::kUnheld)));
    actions::Task task{action, trial.route, subject, user_};
    holdfast::Session session;
    holdfast::Lease lease;
    Trace trace;
    if (trial.leased && trial.route == Route::holder) {
      task.first = [this, &session, &lease, &subject] { return acquire(session, lease, subject); };
    } else if (trial.leased) {
      HF_TRY(acquire(session, lease, subject));
    } else {
      // The daemon may close its copy of a descriptor after it has answered: one for writing would be in the way.
      if (action.is(actions::kNoWriter)) fd = Fd(open(subject.file.c_str(), O_RDONLY | O_CLOEXEC));
      if (report_.tripwire) {
        HF_TRY_ASSIGN(trace, Trace::start(connect_, fd.get()));
      }
    }
    trial.attempt = actions::attempt(task);
    trial.verdict = actions::judge(trial.attempt.outcome);
    HF_TRY_ASSIGN(trial.changed, layout.changed(fd.get()));
    const bool refused = trial.attempt.reached && trial.verdict == actions::Verdict::refused;
    HF_TRY_ASSIGN(const auto events, watcher_.events(refused ? trial.attempt.pid : 0));
    for (const Json& event : events) note(trial, event);
    return {};
  }

  Status acquire(holdfast::Session& session, holdfast::Lease& lease, const Subject& subject) const {
    HF_TRY_ASSIGN(session, connect_());
    const holdfast::Range range{subject.offset, subject.length};
    std::error_code error;
    lease = session.acquire(subject.early, {&range, 1}, {true, "holdfast probe"}, error);
    if (error) return fail(error.value(), "cannot lease a scratch file: " + session.error_text());
    return {};
  }

  static void note(Trial& trial, const Json& event) {
    const std::string kind = event.value("event", "");
    if (!event.contains("breaker")) return;
    const Json& breaker = event["breaker"];
    const bool own = breaker.value("pid", 0) == trial.attempt.pid;
    if (kind == "denial" && own) {
      trial.denials.push_back(event.value("operation", ""));
      trial.by_seal |= !event.value("seal", "").empty();
      trial.named = breaker.value("complete", false);
    } else if (kind == "escape" || kind == "traced") {
      // Whoever it was: a worker of a loop device works for nobody that is known.
      trial.escaped |= kind == "escape";
      const std::string point = event.value("choke_point", "");
      if (std::ranges::find(trial.choke_points, point) == trial.choke_points.end()) trial.choke_points.push_back(point);
    }
  }

  const ProbeOptions& options_;
  const Connect& connect_;
  Scratch& scratch_;
  Watcher& watcher_;
  std::string pattern_ = scratch_.path() + "/pattern";
  std::optional<actions::User> user_;
  std::uint32_t seals_ = 0;  // as hf_mount::seals
  ProbeReport report_;
};

}  // namespace

std::size_t ProbeReport::differences() const {
  return static_cast<std::size_t>(std::ranges::count_if(trials, [](const Trial& trial) { return !trial.differences.empty(); }));
}

std::size_t ProbeReport::unnamed() const {
  return static_cast<std::size_t>(std::ranges::count_if(
      trials, [](const Trial& trial) { return trial.leased && trial.attempt.reached && trial.verdict == actions::Verdict::refused && !trial.named; }));
}

std::size_t ProbeReport::open() const {
  return static_cast<std::size_t>(
      std::ranges::count_if(trials, [&](const Trial& trial) { return trial.leased && !trial.changed.empty() && (trial.action->refused & place.where); }));
}

std::size_t ProbeReport::known_open() const {
  return static_cast<std::size_t>(
      std::ranges::count_if(trials, [&](const Trial& trial) { return trial.leased && !trial.changed.empty() && !(trial.action->refused & place.where); }));
}

namespace {

Status check_options(const ProbeOptions& options) {
  struct stat status {};
  if (stat(options.directory.c_str(), &status) != 0) return sys_error(errno, "cannot look at", options.directory);
  if (!S_ISDIR(status.st_mode)) return fail(ENOTDIR, options.directory + " is no folder", "Next: name a folder on the mount to be probed");
  for (const std::string& wanted : options.routes)
    if (std::ranges::none_of(actions::routes(), [&](Route route) { return name(route) == wanted; }))
      return fail(EINVAL, fmt::format("there is no route \"{}\"", wanted), "Next: holdfast probe --help lists them");
  for (const std::string& wanted : options.sources)
    if (std::ranges::none_of(actions::actions(), [&](const Action& action) { return action.source == wanted; }))
      return fail(EINVAL, fmt::format("the catalogue has nothing to try for a source \"{}\"", wanted), "Next: holdfast sources lists them");
  return {};
}

}  // namespace

Result<ProbeReport> run_probe(const ProbeOptions& options, const Connect& connect_to, const std::function<bool(const Progress&)>& progress) {
  HF_TRY(check_options(options));
  const Connect connect = [&connect_to]() -> Result<holdfast::Session> {
    HF_TRY_ASSIGN(auto session, connect_to());
    if (const auto error = session.set_timeout_ms(kTimeoutMs)) return fail(error.value(), "cannot wait for holdfastd: " + error.message());
    return session;
  };
  // The guardian is forked before there is a connection that it would keep open.
  HF_TRY_ASSIGN(Scratch scratch, Scratch::make(options.directory));
  if (options.keep) scratch.keep();
  HF_TRY_ASSIGN(Watcher watcher, Watcher::start(connect));
  return Probe(options, connect, scratch, watcher).run(progress);
}

}  // namespace hf::qualify
