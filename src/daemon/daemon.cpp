// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "daemon/daemon.hpp"

#include <fcntl.h>

#include <csignal>

#include <algorithm>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/post.hpp>
#include <asio/redirect_error.hpp>
#include <asio/use_awaitable.hpp>
#include <chrono>

#include "catalog/break_sources.hpp"
#include "catalog/choke_points.hpp"
#include "daemon/json.hpp"
#include "daemon/kernel_tells.hpp"
#include "daemon/record.hpp"
#include "daemon/words.hpp"
#include "lease/seals.hpp"

namespace hf {
namespace {

constexpr std::size_t kSurveysRunning = 2;
constexpr auto kHousekeeping = std::chrono::seconds(1);
constexpr std::array<std::string_view, 1> kModules = {"module"};

std::string denial_line(const Denial& denial) {
  const auto& breaker = denial.breaker;
  const auto& who = breaker.executable.value ? *breaker.executable.value : breaker.comm;
  auto line = fmt::format("refused {} of {} by {}, process {} of uid {}: {}", op_name(denial.op), denial.path.empty() ? "an unnamed file" : denial.path, who,
                          breaker.pid, breaker.uid, errno_name(denial.error));
  if (denial.leased.empty()) line += fmt::format("; the filesystem is sealed against {}", seal_of(denial.op));
  if (!denial.leases.empty()) line += fmt::format("; held by process {} ({})", denial.leases.front().pid, denial.leases.front().comm);
  return line;
}

std::string escape_line(const Escape& escape) {
  const auto& what = escape.what;
  const auto& who = what.breaker.executable.value ? *what.breaker.executable.value : what.breaker.comm;
  auto line = fmt::format("ESCAPE: the layout of leased bytes [{}, {}) of {} was broken by {}, process {} of uid {}, in {}", what.leased.first,
                          what.leased.end == HF_RANGE_END ? "end" : std::to_string(what.leased.end), what.path.empty() ? "an unnamed file" : what.path, who,
                          what.breaker.pid, what.breaker.uid, choke_name(escape.choke));
  if (!what.leases.empty())
    line += fmt::format("; held by process {} ({}), which must stop using that memory", what.leases.front().pid, what.leases.front().comm);
  if (what.breaker.stack.value) line += fmt::format("; stack: {}", fmt::join(*what.breaker.stack.value, " < "));
  return line;
}

/// What a program that reads the system's journal looks for.
LogFields escape_fields(const Escape& escape) {
  const auto& what = escape.what;
  LogFields fields{{"MESSAGE_ID", kEscapeMessageId},
                   {"HOLDFAST_EVENT", "escape"},
                   {"HOLDFAST_PATH", what.path},
                   {"HOLDFAST_DEVICE", device_text(what.file.device)},
                   {"HOLDFAST_INODE", std::to_string(what.file.inode)},
                   {"HOLDFAST_FIRST", std::to_string(what.leased.first)},
                   {"HOLDFAST_CHOKE_POINT", std::string(choke_name(escape.choke))},
                   {"HOLDFAST_BREAKER_PID", std::to_string(what.breaker.pid)},
                   {"HOLDFAST_BREAKER_UID", std::to_string(what.breaker.uid)},
                   {"HOLDFAST_BREAKER_COMM", what.breaker.comm},
                   {"HOLDFAST_BREAKER_EXE", what.breaker.executable.value.value_or("")}};
  if (what.leased.end != HF_RANGE_END) fields.emplace_back("HOLDFAST_END", std::to_string(what.leased.end));
  if (what.op) fields.emplace_back("HOLDFAST_OPERATION", std::string(op_name(what.op)));
  for (const auto& lease : what.leases) fields.emplace_back("HOLDFAST_HOLDER_PID", std::to_string(lease.pid));
  if (what.breaker.stack.value) fields.emplace_back("HOLDFAST_STACK", fmt::format("{}", fmt::join(*what.breaker.stack.value, "\n")));
  return fields;
}

std::string unprotected_line(const Lease& lease) {
  auto line = fmt::format("a registration of process {} ({}) on {} is not protected", lease.holder.tgid, lease.holder.comm, lease.device);
  for (const auto& reason : reason_words(lease.reasons)) line += fmt::format("; {}: {}", reason.id, reason.text);
  return line + ". `holdfast registrations` says what mends it.";
}

}  // namespace

Daemon::Daemon(GateLike& gate, Listener listener, Options options)
    : gate_(gate),
      listener_(std::move(listener)),
      options_(std::move(options)),
      acceptor_(io_),
      signals_(io_),
      hangups_(io_),
      house_due_(io_),
      metrics_(io_, metrics_answers()) {
  server_ = {.version = options_.version, .socket = options_.socket, .started_ns = boot_time_ns(), .node = node_, .read_events = [this] {
               // All that a full buffer holds, and not what comes meanwhile.
               constexpr int kRounds = 2048 / Gate::kDenialsAtOnce;
               for (int round = 0; round < kRounds && read_gate(); round++) continue;
             }};
}

Daemon::~Daemon() {
  pools_.stop();
  // Sessions point at the core: they go first, without ending their leases.
  sessions_.clear();
}

Hooks Daemon::hooks() {
  Hooks hooks;
  hooks.watch_process = [this](const ProcessKey& process) { watch_process(process); };
  hooks.survey = [this](SurveyRequest request) {
    surveys_.push_back(request);
    next_survey();
  };
  hooks.watched = [this] { return server_.watchers > 0; };
  hooks.announce = [this](const Announcement& announcement) { announce(announcement); };
  hooks.tell_denial = [this](const Denial& denial) {
    passing_.denials[denial.op]++;
    const auto now = boot_time_ns();
    passing_.denial_delay.add(now > denial.time_ns ? now - denial.time_ns : 0);
    log_limited(line_limit_, Priority::kNotice, [&] { return denial_line(denial); });
  };
  hooks.tell_escape = [this](const Escape& escape) {
    log_limited(
        escape_limit_, Priority::kCritical, [&] { return escape_line(escape); }, [&] { return escape_fields(escape); });
    if (drift_) drift_->escaped(escape);
  };
  hooks.tell_unprotected = [this](const Lease& lease) { log_limited(line_limit_, Priority::kWarning, [&] { return unprotected_line(lease); }); };
  hooks.tell_quota = [this](const hf_lifecycle_event& event) {
    log_limited(line_limit_, Priority::kWarning, [&] {
      return fmt::format("a registration of process {} ({}) is not protected: user {} has as many as one may have; see [limits] in holdfast.toml(5)",
                         event.tgid, std::string_view(event.comm, ::strnlen(event.comm, sizeof event.comm)), event.uid);
    });
  };
  hooks.lease_came = [this](const Lease& lease) {
    if (recalls_) recalls_->lease_came(lease);
  };
  hooks.lease_went = [this](const Lease& lease) {
    if (recalls_) recalls_->lease_went(lease);
  };
  hooks.process_went = [this](const ProcessKey& process) {
    if (recalls_) recalls_->process_went(process);
  };
  hooks.recalled = [this](const hf_file_key& key) { return recalls_ && recalls_->covers(key); };
  hooks.report = [](const Error& error) { log_error(error); };
  hooks.record = [this](JournalEntry entry) {
    if (journal_) journal_->add(std::move(entry));
  };
  return hooks;
}

Recalls::Outside Daemon::recall_hooks() {
  Recalls::Outside outside;
  outside.tell = [this](const ProcessKey& process, LeaseId lease, hf_event_kind kind, std::uint64_t deadline_ns) {
    for (const auto& session : sessions_) {
      const auto peer = session->peer().process();
      // A socket tells the start to a clock tick.
      if (peer.tgid == process.tgid && peer.start_ns / kClockTickNs == process.start_ns / kClockTickNs) session->lease_recalled(lease, kind, deadline_ns);
    }
  };
  outside.signal = [this](const ProcessKey& process, int signal) {
    return core_->processes().send_signal(static_cast<pid_t>(process.tgid), process.start_ns, signal);
  };
  outside.hold_again = [this](std::function<void()> then) {
    asio::co_spawn(
        io_,
        [](Orders* orders, std::function<void()> next) -> asio::awaitable<void> {
          if (orders) co_await orders->hold_files();
          next();
        }(orders_.get(), std::move(then)),
        asio::detached);
  };
  outside.log = [](const std::string& line) { log_line(Priority::kNotice, line); };
  outside.now_ns = boot_time_ns;
  return outside;
}

DriftWatch::Outside Daemon::drift_hooks() {
  DriftWatch::Outside outside;
  outside.tell = [this](const std::string& mount, const std::vector<std::string>& changes) {
    log_line(Priority::kWarning, fmt::format("{} is not as it was qualified: {}", mount, fmt::join(changes, "; ")));
    note("drift", mount, {{"changes", changes}});
    if (server_.watchers) announce({.json = drift_event_json(mount, changes, wall_clock(boot_time_ns())), .uids = {}});
  };
  outside.report = [](const Error& error) { log_error(error); };
  return outside;
}

MetricsServer::Answers Daemon::metrics_answers() {
  return {.metrics = [this](MetricsText::Form form) { return metrics_text(form, *core_, server_, passing_, journal_.get(), node_); },
          .health = [this]() -> Status {
            if (const auto meta = gate_.meta(); !meta) return tl::unexpected(meta.error());
            return {};
          }};
}

void Daemon::open_journal() {
  if (options_.journal.empty()) return;
  journal_ = std::make_unique<Journal>(
      Journal::Options{.path = options_.journal, .version = options_.version, .node = node_, .tell = [](bool good, const std::string& text) {
                         log_line(good ? Priority::kNotice : Priority::kError, text);
                       }});
  server_.journal = [this] { return journal_json(); };
}

std::string Daemon::journal_json() const {
  const auto figures = journal_->figures();
  return json_text({{"file", journal_->path()},
                    {"bytes", figures.bytes},
                    {"written", figures.written},
                    {"waiting", figures.waiting},
                    {"lag_s", static_cast<double>(figures.lag_ms) / 1000},
                    {"lost", figures.lost},
                    {"trouble", figures.trouble.empty() ? Json() : Json(figures.trouble)}});
}

void Daemon::note(std::string_view kind, std::string_view what, Json more) {
  if (journal_) journal_->add(note_entry(kind, what, std::move(more)));
}

Status Daemon::start() {
  open_journal();
  HF_TRY_ASSIGN(core_, Core::start(gate_, options_.state_file, hooks()));
  recalls_ = std::make_unique<Recalls>(*core_, recall_hooks());
  if (const auto restored = recalls_->restore(); !restored) log_error(restored.error());
  server_.recalls = [this] { return json_text(recalls_->list()); };
  if (journal_) histories_ = std::make_unique<Histories>(*core_, pools_, *journal_);
  orders_ = std::make_unique<Orders>(*core_, *recalls_, pools_, options_.configuration);
  drift_ = std::make_unique<DriftWatch>(io_, pools_.survey, options_.qualified_file, options_.configuration, drift_hooks());
  orders_->set_drift(drift_.get());
  server_.qualified = [this](const std::vector<std::string>& points) { return json_text(drift_->list(points)); };
  orders_->applied = [this](const Policy& policy) {
    if (journal_) journal_->set_limits({.size_bytes = policy.journal_bytes, .age_s = policy.journal_age_s});
    if (const auto listens = metrics_.listen(policy.metrics_listen); !listens) log_error(listens.error());
  };
  // A configuration that can't be used is no reason to leave the machine without its daemon: what the gate has stays in force, or the defaults.
  const auto loaded = orders_->load();
  if (!loaded) {
    log_error(loaded.error());
    log_line(Priority::kError, "the configuration is not in force; what was before is, or the defaults. After mending it: holdfast reload");
  }
  // After the configuration, which says who may hold what.
  if (!gate_.took_over()) {
    if (auto regions = rdma::existing_regions())
      core_->take_existing(std::move(*regions));
    else
      log_error(regions.error());
  }
  note(journal_kind::kDaemon, "started",
       {{"version", options_.version},
        {"pid", ::getpid()},
        {"took_over", gate_.took_over()},
        {"leases", core_->table().size()},
        {"configuration", loaded ? Json("in force") : Json(loaded.error().message)}});
  asio::error_code error;
  acceptor_.assign(asio::local::stream_protocol(), listener_.socket.get(), error);
  if (error) return fail(error.value(), "the socket can't be served: " + error.message());
  listener_.socket.release();
  for (const int signal : {SIGTERM, SIGINT}) signals_.add(signal, error);
  hangups_.add(SIGHUP, error);
  if (error) return fail(error.value(), "signals can't be followed: " + error.message());
  return {};
}

Status Daemon::run() {
  if (gate_.incomplete())
    complete_gate();
  else if (auto symbols = gate_.take_symbols())
    take_symbols(std::move(*symbols));
  else
    read_symbols();
  signals_.async_wait([this](asio::error_code error, int) {
    if (error) return;
    notify_service_manager("STOPPING=1");
    note(journal_kind::kDaemon, "stopping");
    log_line(Priority::kNotice, "stopping; the gate stays armed and goes on refusing. `holdfast gate detach` ends it.");
    io_.stop();
  });
  asio::co_spawn(io_, accept(), asio::detached);
  asio::co_spawn(io_, follow_gate(), asio::detached);
  asio::co_spawn(io_, keep_house(), asio::detached);
  asio::co_spawn(io_, follow_modules(), asio::detached);
  asio::co_spawn(io_, follow_settings_of_clock(), asio::detached);
  asio::co_spawn(io_, feed_watchdog(), asio::detached);
  asio::co_spawn(io_, follow_mounts(), asio::detached);
  asio::co_spawn(io_, follow_hangups(), asio::detached);
  asio::co_spawn(io_, orders_->keep_holds(), asio::detached);
  asio::co_spawn(io_, end_rest(), asio::detached);
  drift_->start();
  log_line(Priority::kInfo, fmt::format("{}; leases: {}, files: {}; serving {}", gate_.took_over() ? "took over the armed gate" : "armed the gate",
                                        core_->table().size(), core_->table().files().size(), options_.socket));
  notify_service_manager(fmt::format("READY=1\nSTATUS=gate armed; leases: {}", core_->table().size()));
  io_.run();
  return {};
}

void Daemon::stop() { io_.stop(); }

asio::awaitable<void> Daemon::accept() {
  for (;;) {
    Session::Socket socket(io_);
    asio::error_code error;
    co_await acceptor_.async_accept(socket, asio::redirect_error(asio::use_awaitable, error));
    if (error == asio::error::operation_aborted) co_return;
    if (!error) {
      admit(std::move(socket));
      continue;
    }
    // Out of descriptors, most likely: those who wait are served when others leave.
    asio::steady_timer pause(io_, std::chrono::milliseconds(100));
    co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, error));
  }
}

void Daemon::admit(Session::Socket socket) {
  const auto peer = peer_of(socket.native_handle(), core_->processes());
  if (!peer) return;
  const auto of_user = [&] { return std::count_if(sessions_.begin(), sessions_.end(), [&](const auto& session) { return session->peer().uid == peer->uid; }); };
  asio::error_code ignored;
  socket.native_non_blocking(true, ignored);
  if (sessions_.size() >= kConnectionsMax || (!peer->root() && static_cast<std::size_t>(of_user()) >= kConnectionsPerUser)) {
    const auto refusal = error_frame(0, {EUSERS, "holdfastd has as many connections as it takes", "Close connections that are not needed."});
    ::send(socket.native_handle(), refusal.data(), refusal.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    return;
  }
  auto session = std::make_shared<Session>(SessionContext{*core_, pools_, server_, orders_.get(), recalls_.get(), histories_.get(), [this] { stir(); }},
                                           std::move(socket), *peer);
  sessions_.insert(session);
  server_.connections = sessions_.size();
  asio::co_spawn(io_, serve(std::move(session)), asio::detached);
}

asio::awaitable<void> Daemon::serve(std::shared_ptr<Session> session) {
  co_await session->run();
  sessions_.erase(session);
  server_.connections = sessions_.size();
  co_await end_rest();
}

/// Everybody else has a turn in between: a holder may leave a million leases.
asio::awaitable<void> Daemon::end_rest() {
  while (core_->end_some()) co_await asio::post(io_, asio::use_awaitable);
}

/// @return whether there may be more
bool Daemon::read_gate() {
  const Gate::Handlers handlers{.denial = [this](const hf_denial& denial) { core_->denied(denial); },
                                .escape = [this](const hf_escape& escape) { core_->escaped(escape); },
                                .lifecycle = [this](const hf_lifecycle_event& event) { core_->lifecycle(event); }};
  const auto more = gate_.consume(handlers);
  if (!more) log_error(more.error());
  return more && *more;
}

asio::awaitable<void> Daemon::follow_gate() {
  Descriptor events(io_);
  asio::error_code error;
  // A copy: the gate closes its own.
  const int copy = ::dup(gate_.event_fd());
  events.assign(copy, error);
  while (!error) {
    // Everybody else has a turn in between: a breaker that never stops must not keep the daemon from its clients.
    while (read_gate()) co_await asio::post(io_, asio::use_awaitable);
    co_await events.async_wait(Descriptor::wait_read, asio::redirect_error(asio::use_awaitable, error));
    stir();
  }
  if (error != asio::error::operation_aborted)
    log_error({error.value(), "the gate's events can't be followed any more: " + error.message(), "Restart holdfastd; the gate goes on refusing."});
}

/// At rest no clock runs: what happens stirs it (events of the gate, requests, modules), and then there is housework until nothing waits any more.
asio::awaitable<void> Daemon::keep_house() {
  for (;;) {
    at_rest_ = !std::exchange(stirred_, false) && !housework_waits();
    if (at_rest_)
      house_due_.expires_at(asio::steady_timer::time_point::max());
    else
      house_due_.expires_after(kHousekeeping);
    asio::error_code error;
    co_await house_due_.async_wait(asio::redirect_error(asio::use_awaitable, error));
    if (!error) house_work();
  }
}

void Daemon::house_work() {
  gate_.learn_offsets();
  core_->maintain(boot_time_ns());
  if (core_->has_existing())
    if (const auto regions = rdma::existing_regions()) core_->still_existing(*regions);
  recalls_->tick();
  drop_idle_watches();
  refresh_symbols();
}

bool Daemon::housework_waits() const { return uevents_lost_ || recalls_->size() != 0 || core_->housework_waits(); }

void Daemon::stir() {
  stirred_ = true;
  if (at_rest_) house_due_.cancel();
}

asio::awaitable<void> Daemon::follow_modules() {
  const auto ended = co_await follow_uevents(kModules, [this] { stir(); });
  uevents_lost_ = true;
  stir();
  log_error({ended.error().code, "uevents can't be followed: new modules are looked for each second instead", {}});
}

asio::awaitable<void> Daemon::follow_settings_of_clock() {
  const auto ended = co_await follow_clock([this] {
    if (journal_) journal_->look();
  });
  log_error({ended.error().code, "settings of the clock can't be followed: the journal notes them with its next entry", {}});
}

/// An event loop that hangs is restarted by the service manager; the gate decides meanwhile.
asio::awaitable<void> Daemon::feed_watchdog() {
  const auto limit = watchdog_us();
  asio::steady_timer timer(io_);
  asio::error_code error;
  while (limit && !error) {
    notify_service_manager("WATCHDOG=1");
    timer.expires_after(std::chrono::microseconds(limit / 3));
    co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, error));
  }
}

/// Seals stand on a filesystem from the moment that its mount is seen.
asio::awaitable<void> Daemon::follow_mounts() {
  Descriptor mounts(io_);
  asio::error_code error;
  mounts.assign(::open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC), error);
  while (!error) {
    if (const auto refreshed = core_->guards().refresh(); !refreshed) log_error(refreshed.error());
    orders_->look_for_holds();
    drift_->look_soon();
    // The kernel reports a change as an exceptional condition of the file.
    co_await mounts.async_wait(Descriptor::wait_error, asio::redirect_error(asio::use_awaitable, error));
  }
  if (error != asio::error::operation_aborted) log_error({error.value(), "mounts can't be followed: " + error.message(), "Restart holdfastd."});
}

asio::awaitable<void> Daemon::follow_hangups() {
  asio::error_code error;
  for (;;) {
    co_await hangups_.async_wait(asio::redirect_error(asio::use_awaitable, error));
    if (error) co_return;
    const auto reloaded = co_await orders_->reload();
    note(journal_kind::kConfiguration, "reload", {{"done", reloaded.has_value()}, {"error", reloaded ? Json() : Json(reloaded.error().message)}});
    if (reloaded)
      log_line(Priority::kInfo, "configuration reloaded");
    else
      log_error(reloaded.error());
  }
}

void Daemon::announce(const Announcement& announcement) {
  for (const auto& session : sessions_) session->announce(announcement);
}

void Daemon::watch_process(const ProcessKey& process) {
  if (watched_.contains(process)) return;
  auto watch = ProcessTable().watch(static_cast<pid_t>(process.tgid), process.start_ns);
  auto descriptor = std::make_shared<Descriptor>(io_);
  watched_.emplace(process, descriptor);
  asio::error_code error;
  if (watch) descriptor->assign(watch->release(), error);
  asio::co_spawn(io_, follow_process(process, std::move(descriptor)), asio::detached);
}

/// A descriptor that is not open stands for a process that is gone already: its leases end in the loop, not under the caller's feet.
asio::awaitable<void> Daemon::follow_process(ProcessKey process, std::shared_ptr<Descriptor> descriptor) {
  asio::error_code error;
  if (descriptor->is_open()) co_await descriptor->async_wait(Descriptor::wait_read, asio::redirect_error(asio::use_awaitable, error));
  if (error == asio::error::operation_aborted) co_return;
  watched_.erase(process);
  core_->process_gone(process);
  co_await end_rest();
}

void Daemon::drop_idle_watches() {
  std::erase_if(watched_, [this](const auto& entry) {
    const bool holds = core_->table().holds(entry.first, HF_LEASE_PROCESS);
    if (recalls_->asked_by(entry.first)) return false;
    asio::error_code ignored;
    if (!holds && entry.second->is_open()) entry.second->cancel(ignored);
    return !holds;
  });
}

void Daemon::next_survey() {
  while (surveys_running_ < kSurveysRunning && !surveys_.empty()) {
    const auto request = surveys_.front();
    surveys_.pop_front();
    surveys_running_++;
    asio::post(pools_.survey, [this, request] {
      auto result = std::make_shared<Survey>(survey(request, ProcessTable()));
      asio::post(io_, [this, request, result] {
        surveys_running_--;
        core_->surveyed(request, std::move(*result));
        stir();
        next_survey();
      });
    });
  }
}

/// What stands decides meanwhile, and this daemon serves by it.
void Daemon::complete_gate() {
  symbols_reading_ = true;  // they come with it
  asio::post(pools_.survey, [this] {
    auto completion = std::make_shared<Result<Gate::Completion>>(gate_.complete());
    asio::post(io_, [this, completion] { gate_completed(std::move(*completion)); });
  });
}

void Daemon::gate_completed(Result<Gate::Completion> completion) {
  symbols_reading_ = false;
  const auto adopted = completion ? gate_.adopt() : Status(tl::unexpected(completion.error()));
  if (!adopted) {
    server_.completing_trouble = adopted.error().message;
    log_error(adopted.error());
    log_line(Priority::kError, "the programs of the gate that was taken over are not known to be complete and of this holdfastd; they go on deciding");
    note(journal_kind::kDaemon, "gate not completed", {{"error", adopted.error().message}});
  } else if (const auto& before = completion->replaced; !before.empty()) {
    log_line(Priority::kNotice, fmt::format("the gate's programs are now those of Holdfast {}; those of {} went after them", options_.version, before));
    note(journal_kind::kDaemon, "gate upgraded", {{"from", before}, {"to", options_.version}});
  }
  if (completion && completion->symbols)
    take_symbols(std::move(*completion->symbols));
  else
    read_symbols();
}

void Daemon::read_symbols() {
  if (std::exchange(symbols_reading_, true)) return;
  asio::post(pools_.survey, [this] {
    auto symbols = std::make_shared<Result<Kallsyms>>(Kallsyms::read());
    asio::post(io_, [this, symbols] {
      symbols_reading_ = false;
      if (*symbols)
        take_symbols(std::move(**symbols));
      else
        log_line(Priority::kWarning, "call stacks of breakers stay without names: " + symbols->error().text());
    });
  });
}

void Daemon::take_symbols(Kallsyms symbols) {
  modules_ = symbols.modules();
  core_->identity().set_symbols(std::move(symbols));
}

/// Modules that came or went since have moved functions.
void Daemon::refresh_symbols() {
  if (symbols_reading_) return;
  if (const auto modules = read_text("/proc/modules"); modules && *modules != modules_) read_symbols();
}

}  // namespace hf
