// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// hf-lab-target: maps a file, registers the mapping and lets one remote end after the other write into it, until it is told to quit.
//
// An ordinary verbs program: nothing here knows of Holdfast.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <vector>

#include "stop.hpp"
#include "verbs_end.hpp"

namespace {

struct Options {
  std::string device = "rxe_a";
  std::uint16_t port = 7471;
  std::string file;
  std::uint64_t size = 0;
  std::uint64_t offset = 0;
  bool odp = false;
  bool read_only = false;
};

int run(const Options& options) {
  lab::Orders orders;
  const hf::Fd listener = lab::listen_on(options.port);
  const hf::Fd file(open(options.file.c_str(), (options.read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC));
  if (!file) lab::die("open " + options.file, errno);
  std::uint64_t size = options.size;
  if (size == 0) {
    struct stat status {};
    if (fstat(file.get(), &status) != 0) lab::die("fstat " + options.file, errno);
    size = static_cast<std::uint64_t>(status.st_size) - options.offset;
  }
  void* mapping = mmap(nullptr, size, PROT_READ | (options.read_only ? 0 : PROT_WRITE), MAP_SHARED, file.get(), static_cast<off_t>(options.offset));
  if (mapping == MAP_FAILED) lab::die("mmap " + options.file, errno);

  const lab::Context context = lab::open_device(options.device);
  const lab::ProtectionDomain domain(ibv_alloc_pd(context.get()));
  if (!domain) lab::die("ibv_alloc_pd", errno);
  int access = IBV_ACCESS_REMOTE_READ;
  if (!options.read_only) access |= IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE;
  if (options.odp) access |= IBV_ACCESS_ON_DEMAND;
  const lab::MemoryRegion region(ibv_reg_mr(domain.get(), mapping, size, access));
  if (!region) lab::die("ibv_reg_mr " + options.file, errno);

  fmt::print("{{\"ready\": true, \"pid\": {}, \"address\": {}, \"rkey\": {}, \"length\": {}, \"odp\": {}}}\n", getpid(),
             reinterpret_cast<std::uintptr_t>(mapping), region->rkey, size, options.odp);
  std::fflush(stdout);

  std::vector<std::unique_ptr<lab::Connection>> connections;
  std::vector<hf::Fd> sockets;
  for (;;) {
    const auto order = orders.next(-1, listener.get());
    if (order == "quit") return 0;
    if (order) continue;
    pollfd waiting{listener.get(), POLLIN, 0};
    if (poll(&waiting, 1, 0) != 1) continue;
    hf::Fd socket(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!socket) continue;
    try {
      auto connection = std::make_unique<lab::Connection>(context.get(), domain.get(), 1);
      lab::Peer self = connection->self();
      self.address = reinterpret_cast<std::uintptr_t>(mapping);
      self.length = size;
      self.rkey = region->rkey;
      connection->connect(lab::exchange(socket.get(), self));
      // Second round: both queue pairs can receive now.
      lab::exchange(socket.get(), self);
      connections.push_back(std::move(connection));
      sockets.push_back(std::move(socket));
    } catch (const std::exception& error) {
      fmt::print(stderr, "hf-lab-target: connection: {}\n", error.what());
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app{"Registers a mapped file for remote writes and stays until told to quit (a line \"quit\", or SIGTERM)."};
  app.add_option("--device", options.device, "RDMA device")->capture_default_str();
  app.add_option("--listen", options.port, "TCP port where writers connect")->capture_default_str();
  app.add_option("--file", options.file, "file to map, shared")->required();
  app.add_option("--size", options.size, "bytes to map and register; 0: to the end of the file");
  app.add_option("--offset", options.offset, "where in the file");
  app.add_flag("--odp", options.odp, "register with On-Demand Paging");
  app.add_flag("--read-only", options.read_only, "map and register for reading");
  CLI11_PARSE(app, argc, argv);
  try {
    return run(options);
  } catch (const std::exception& error) {
    fmt::print(stderr, "hf-lab-target: {}\n", error.what());
    return 2;
  }
}
