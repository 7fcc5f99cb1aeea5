// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// holdfastd: arms the gate or takes it over, then serves.
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <string>

#include "daemon/daemon.hpp"
#include "daemon/notify.hpp"
#include "kernel/gate.hpp"

namespace hf {
namespace {

/// Exit statuses, as holdfastd(8) has them.
enum Exit : int {
  kStopped = 0,
  kFailed = 1,
  kUsage = 2,
  kUnsupported = 3,
  kSocketInUse = 4,
  kOtherVersion = 5,
};

int complain(const Error& error, Exit status) {
  log_error(error);
  return status;
}

/// Each connection and each lease holder takes a descriptor.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit)) return;
  limit.rlim_cur = limit.rlim_max;
  (void)::setrlimit(RLIMIT_NOFILE, &limit);
}

int serve(const std::string& socket, const std::string& configuration, const std::string& state_directory) {
  if (::geteuid() != 0)
    return complain({EPERM, "holdfastd needs root to load the gate", "Start it by systemd (systemctl start holdfastd), or with sudo."}, kFailed);
  if (const auto usable = probe_kernel_support().usable(); !usable) return complain(usable.error(), kUnsupported);
  // The socket first: a second daemon must not touch the gate of the first.
  auto listener = listen_at(socket);
  if (!listener) return complain(listener.error(), listener.error().code == EADDRINUSE ? kSocketInUse : kFailed);
  auto gate = Gate::arm(HOLDFAST_VERSION);
  if (!gate) return complain(gate.error(), gate.error().code == EPROTONOSUPPORT ? kOtherVersion : gate.error().code == ENOTSUP ? kUnsupported : kFailed);
  raise_descriptor_limit();
  std::signal(SIGPIPE, SIG_IGN);
  PinnedGate pinned(std::move(*gate));
  Daemon daemon(pinned, std::move(*listener),
                {.socket = socket,
                 .state_file = socket + ".grants",
                 .journal = state_directory + "/journal.db",
                 .qualified_file = state_directory + "/qualified.json",
                 .version = HOLDFAST_VERSION,
                 .configuration = configuration});
  if (const auto started = daemon.start(); !started) return complain(started.error(), kFailed);
  if (const auto ran = daemon.run(); !ran) return complain(ran.error(), kFailed);
  return kStopped;
}

}  // namespace
}  // namespace hf

int main(int argc, char** argv) {
  CLI::App app("holdfastd keeps RDMA-registered files where they are: arms the gate in the kernel and serves `holdfast` and libholdfast.", "holdfastd");
  std::string socket = HF_SOCKET_DEFAULT;
  app.add_option("--socket", socket, "path of the Unix socket to serve")->capture_default_str()->type_name("PATH");
  std::string configuration = hf::kConfigurationDirectory;
  app.add_option("--config", configuration, "folder of holdfast.toml and conf.d; read again on SIGHUP")->capture_default_str()->type_name("DIR");
  std::string state_directory = "/var/lib/holdfast";
  app.add_option("--state-dir", state_directory, "folder for what outlives a reboot: the journal, and what was qualified")
      ->capture_default_str()
      ->type_name("PATH");
  bool foreground = true;
  app.add_flag("--foreground", foreground, "stay in the foreground (always so; for service files)");
  app.set_version_flag("--version", "holdfastd " HOLDFAST_VERSION);
  app.footer(
      "Exit status: 0 stopped, 1 failed, 2 usage, 3 kernel can't, 4 socket in use, 5 gate of another version is armed.\n"
      "Stopping holdfastd leaves the gate armed; `holdfast gate detach` ends it.");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const bool asked = error.get_exit_code() == 0;
    app.exit(error);
    return asked ? 0 : 2;
  }
  return hf::serve(socket, configuration, state_directory);
}
