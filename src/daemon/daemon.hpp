// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Wires the parts to one event loop: the gate's events, the socket, the processes that hold leases, the clock.
#pragma once

#include <asio/io_context.hpp>
#include <asio/local/stream_protocol.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/signal_set.hpp>
#include <asio/steady_timer.hpp>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "daemon/acquire.hpp"
#include "daemon/core.hpp"
#include "daemon/drift_watch.hpp"
#include "daemon/histories.hpp"
#include "daemon/listener.hpp"
#include "daemon/metrics_server.hpp"
#include "daemon/metrics_sources.hpp"
#include "daemon/notify.hpp"
#include "daemon/orders.hpp"
#include "daemon/session.hpp"

namespace hf {

class Daemon {
 public:
  static constexpr std::size_t kConnectionsMax = 16384;
  static constexpr std::size_t kConnectionsPerUser = 512;  ///< root has no limit but the above

  struct Options {
    std::string socket;
    std::string state_file;
    std::string journal;         ///< its database; "": what happens is told, not kept
    std::string qualified_file;  ///< "": what was qualified is forgotten with the daemon
    std::string version;
    std::string configuration = kConfigurationDirectory;  ///< its folder
  };

  Daemon(GateLike& gate, Listener listener, Options options);
  ~Daemon();

  /// Takes over what the kernel has; after it the daemon can serve.
  Status start();
  /// Serves until SIGTERM or SIGINT. The gate goes on deciding afterwards.
  Status run();
  /// Ends run(), from its own thread or another.
  void stop();

 private:
  using Descriptor = asio::posix::stream_descriptor;

  asio::awaitable<void> accept();
  asio::awaitable<void> follow_gate();
  asio::awaitable<void> keep_house();
  void house_work();
  bool housework_waits() const;
  void stir();
  asio::awaitable<void> follow_modules();
  asio::awaitable<void> follow_settings_of_clock();
  asio::awaitable<void> follow_mounts();
  asio::awaitable<void> feed_watchdog();
  asio::awaitable<void> follow_hangups();
  asio::awaitable<void> follow_process(ProcessKey process, std::shared_ptr<Descriptor> descriptor);
  asio::awaitable<void> serve(std::shared_ptr<Session> session);
  asio::awaitable<void> end_rest();
  void admit(Session::Socket socket);
  void watch_process(const ProcessKey& process);
  void drop_idle_watches();
  void announce(const Announcement& announcement);
  Hooks hooks();
  Recalls::Outside recall_hooks();
  DriftWatch::Outside drift_hooks();
  void open_journal();
  MetricsServer::Answers metrics_answers();
  std::string journal_json() const;
  void note(std::string_view kind, std::string_view what, Json more = Json::object());
  bool read_gate();
  void next_survey();
  void complete_gate();
  void gate_completed(Result<Gate::Completion> completion);
  void read_symbols();
  void take_symbols(Kallsyms symbols);
  void refresh_symbols();

  asio::io_context io_;
  Pools pools_;
  GateLike& gate_;
  Listener listener_;
  Options options_;
  NodeIdentity node_ = NodeIdentity::of_this_machine();
  ServerFacts server_;
  std::unique_ptr<Journal> journal_;
  std::unique_ptr<Core> core_;
  std::unique_ptr<Recalls> recalls_;
  std::unique_ptr<Orders> orders_;
  std::unique_ptr<Histories> histories_;
  std::unique_ptr<DriftWatch> drift_;
  asio::local::stream_protocol::acceptor acceptor_;
  asio::signal_set signals_;
  asio::signal_set hangups_;
  asio::steady_timer house_due_;
  bool stirred_ = true;        ///< something has happened since the last housework
  bool at_rest_ = false;       ///< no housework is due
  bool uevents_lost_ = false;  ///< not to be followed: looked for each time instead
  MetricsServer metrics_;
  Passing passing_;
  std::set<std::shared_ptr<Session>> sessions_;
  std::map<ProcessKey, std::shared_ptr<Descriptor>> watched_;
  std::deque<SurveyRequest> surveys_;
  std::size_t surveys_running_ = 0;
  std::string modules_;  ///< /proc/modules as it was when the symbols were read
  bool symbols_reading_ = false;
  LineLimit line_limit_;
  LineLimit escape_limit_;  ///< apart: nobody's refusals use up the lines of an escape
};

}  // namespace hf
