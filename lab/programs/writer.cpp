// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// hf-lab-writer: RDMA-writes a stamped pattern over a target's whole range, round after round, until it is told to stop; then one last full round,
// which it reads back where it is told to.
//
// An ordinary verbs program: nothing here knows of Holdfast.
#include <fmt/format.h>
#include <sys/mman.h>
#include <time.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>

#include "stamp.hpp"
#include "stop.hpp"
#include "verbs_end.hpp"

namespace {

struct Options {
  std::string device = "rxe_b";
  std::string host = "192.0.2.1";
  std::uint16_t port = 7471;
  std::uint64_t seed = 1;
  std::uint64_t rounds = 0;
  std::uint64_t message_bytes = 64 * 1024;
  std::uint32_t depth = 8;
  double rate_mib = 0;
  bool read_back = false;
};

struct Totals {
  std::uint64_t rounds = 0;  ///< the last one that was begun; rounds count from 1
  std::uint64_t writes = 0;
  std::uint64_t bytes = 0;
  std::uint64_t errors = 0;
  std::uint64_t read_bytes = 0;
  std::uint64_t read_wrong = 0;  ///< of them, not of the last round
  std::string first_error;
};

std::uint64_t now_ns() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(time.tv_nsec);
}

class Writer {
 public:
  explicit Writer(const Options& options) : options_(options) {
    context_ = lab::open_device(options.device);
    domain_.reset(ibv_alloc_pd(context_.get()));
    if (!domain_) lab::die("ibv_alloc_pd", errno);
    connection_ = std::make_unique<lab::Connection>(context_.get(), domain_.get(), options.depth);
    const std::size_t bytes = options.message_bytes * options.depth;
    buffer_ = static_cast<std::uint64_t*>(mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (buffer_ == MAP_FAILED) lab::die("mmap", errno);
    region_.reset(ibv_reg_mr(domain_.get(), buffer_, bytes, IBV_ACCESS_LOCAL_WRITE));
    if (!region_) lab::die("ibv_reg_mr", errno);
    socket_ = lab::connect_to(options.host, options.port);
    peer_ = lab::exchange(socket_.get(), connection_->self());
    connection_->connect(peer_);
    lab::exchange(socket_.get(), connection_->self());
    if (peer_.length % lab::kBlockBytes != 0) throw std::runtime_error("the target's range is no whole number of blocks");
  }

  /// Writes the whole range once. @return false when told to stop, or when the connection is gone
  bool round(lab::Orders* orders) {
    ++totals_.rounds;
    for (std::uint64_t offset = 0; offset < peer_.length && totals_.errors == 0; offset += options_.message_bytes) {
      while (in_flight_ == options_.depth) reap();
      if (totals_.errors) break;
      const auto bytes = std::min(options_.message_bytes, peer_.length - offset);
      std::uint64_t* data = slot();
      for (std::uint64_t at = 0; at < bytes; at += lab::kBlockBytes)
        lab::stamp(lab::Block(data + at / 8, lab::kBlockWords), options_.seed, totals_.rounds, offset + at);
      post(IBV_WR_RDMA_WRITE, offset, bytes);
      totals_.bytes += bytes;
      if (!pace(orders)) return false;
    }
    return totals_.errors == 0;
  }

  void drain() {
    while (in_flight_ > 0) reap();
  }

  /// What a remote reader finds there, after the last round.
  void read_back() {
    for (std::uint64_t offset = 0; offset < peer_.length && totals_.errors == 0; offset += options_.message_bytes) {
      const auto bytes = std::min(options_.message_bytes, peer_.length - offset);
      const std::uint64_t* data = slot();
      post(IBV_WR_RDMA_READ, offset, bytes);
      drain();
      if (totals_.errors) return;
      totals_.read_bytes += bytes;
      for (std::uint64_t at = 0; at < bytes; at += lab::kBlockBytes) {
        const auto state = lab::classify(lab::ConstBlock(data + at / 8, lab::kBlockWords), options_.seed, totals_.rounds, offset + at);
        if (state != lab::BlockState::current) totals_.read_wrong += lab::kBlockBytes;
      }
    }
  }

  const Totals& totals() const { return totals_; }
  std::uint64_t length() const { return peer_.length; }

 private:
  /// Memory for the next message. Work completes in order on a reliable connection, so slot N is free again once fewer than `depth` are in flight.
  std::uint64_t* slot() const { return buffer_ + posted_ % options_.depth * options_.message_bytes / 8; }

  void post(ibv_wr_opcode what, std::uint64_t offset, std::uint64_t bytes) {
    ibv_sge piece{reinterpret_cast<std::uintptr_t>(slot()), static_cast<std::uint32_t>(bytes), region_->lkey};
    ibv_send_wr request{};
    request.sg_list = &piece;
    request.num_sge = 1;
    request.opcode = what;
    request.send_flags = IBV_SEND_SIGNALED;
    request.wr.rdma.remote_addr = peer_.address + offset;
    request.wr.rdma.rkey = peer_.rkey;
    ibv_send_wr* bad = nullptr;
    if (const int error = ibv_post_send(connection_->queue_pair(), &request, &bad)) lab::die("ibv_post_send", error);
    ++in_flight_;
    ++posted_;
    if (what == IBV_WR_RDMA_WRITE) ++totals_.writes;
  }

  void reap() {
    ibv_wc done[16];
    const int count = ibv_poll_cq(connection_->completions(), 16, done);
    if (count < 0) lab::die("ibv_poll_cq", EIO);
    for (int i = 0; i < count; ++i) {
      --in_flight_;
      if (done[i].status == IBV_WC_SUCCESS) continue;
      if (totals_.errors++ == 0) totals_.first_error = ibv_wc_status_str(done[i].status);
    }
    // One vCPU runs both ends in the lab: let the other one work.
    if (count == 0) sched_yield();
  }

  /// Keeps to the rate and looks for orders. @return false when told to stop
  bool pace(lab::Orders* orders) {
    if (!orders) return true;
    int wait_ms = 0;
    if (options_.rate_mib > 0) {
      const double due_ms = static_cast<double>(totals_.bytes) / (options_.rate_mib * 1048576.0) * 1000.0;
      const double spent_ms = static_cast<double>(now_ns() - start_ns_) / 1e6;
      wait_ms = static_cast<int>(std::clamp(due_ms - spent_ms, 0.0, 1000.0));
    }
    return !orders->next(wait_ms).has_value();
  }

  Options options_;
  lab::Context context_;
  lab::ProtectionDomain domain_;
  std::unique_ptr<lab::Connection> connection_;
  lab::MemoryRegion region_;
  hf::Fd socket_;
  lab::Peer peer_;
  std::uint64_t* buffer_ = nullptr;
  std::uint32_t in_flight_ = 0;
  std::uint64_t posted_ = 0;
  std::uint64_t start_ns_ = now_ns();
  Totals totals_;
};

int run(const Options& options) {
  lab::Orders orders;
  Writer writer(options);
  bool going = writer.round(nullptr);
  writer.drain();
  fmt::print("{{\"ready\": true, \"pid\": {}, \"length\": {}}}\n", getpid(), writer.length());
  std::fflush(stdout);
  while (going && (options.rounds == 0 || writer.totals().rounds + 1 < options.rounds)) going = writer.round(&orders);
  if (writer.totals().errors == 0) writer.round(nullptr);
  writer.drain();
  if (options.read_back) writer.read_back();
  const Totals& totals = writer.totals();
  fmt::print(
      "{{\"done\": true, \"round\": {}, \"writes\": {}, \"bytes\": {}, \"errors\": {}, \"read_bytes\": {}, \"read_wrong\": {}, \"first_error\": \"{}\"}}\n",
      totals.rounds, totals.writes, totals.bytes, totals.errors, totals.read_bytes, totals.read_wrong, totals.first_error);
  return totals.errors ? 1 : 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app{"RDMA-writes a stamped pattern over a target's range until told to stop (any line, or SIGTERM); then one last full round."};
  app.add_option("--device", options.device, "RDMA device")->capture_default_str();
  app.add_option("--connect", options.host, "the target's IPv4 address")->capture_default_str();
  app.add_option("--port", options.port, "the target's TCP port")->capture_default_str();
  app.add_option("--seed", options.seed, "of the pattern")->capture_default_str();
  app.add_option("--rounds", options.rounds, "stop by itself after so many; 0: when told");
  app.add_option("--message", options.message_bytes, "bytes of one write, a multiple of 4096")->capture_default_str();
  app.add_option("--depth", options.depth, "writes in flight")->capture_default_str();
  app.add_flag("--read-back", options.read_back, "at the end, read all of it and count what is not of the last round");
  app.add_option("--rate-mib", options.rate_mib, "at most so many MiB a second; 0: as fast as it goes");
  CLI11_PARSE(app, argc, argv);
  try {
    if (options.message_bytes == 0 || options.message_bytes % lab::kBlockBytes) throw std::runtime_error("--message wants a multiple of 4096");
    return run(options);
  } catch (const std::exception& error) {
    fmt::print(stderr, "hf-lab-writer: {}\n", error.what());
    return 2;
  }
}
