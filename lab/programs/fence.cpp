// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// hf-lab-fence: fences a region while remote writes into it are in flight, and looks whether a byte of it changes afterwards.
//
// Writer and target are two adapters with the wire between them, in one process so that nothing but the fence decides what comes too late.
// The writer keeps so many writes in flight throughout; each carries other bytes than the one before at its place, so that one that comes too late shows.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <cstdio>
#include <cstring>
#include <holdfast/verbs.hpp>
#include <thread>
#include <vector>

#include "verbs_end.hpp"

namespace {

struct Options {
  std::string target = "rxe_a", writer = "rxe_b", file, kind = "rereg-domain";
  std::uint32_t writes = 1000, connections = 4, message_bytes = 16384;
};

class Race {
 public:
  explicit Race(const Options& options)
      : options_(options),
        bytes_(std::size_t{options.writes} * options.message_bytes),
        target_(lab::open_device(options.target)),
        writer_(lab::open_device(options.writer)),
        target_domain_(ibv_alloc_pd(target_.get())),
        writer_domain_(ibv_alloc_pd(writer_.get())),
        file_(open(options.file.c_str(), O_RDWR | O_CLOEXEC)),
        session_(holdfast::Session::connect()) {
    if (!file_) lab::die("open " + options.file, errno);
    memory_ = map(file_.get());
    std::memset(memory_, 0, bytes_);
    source_ = map(-1);
    round_.resize(options.writes);
    local_.reset(ibv_reg_mr(writer_domain_.get(), source_, bytes_, IBV_ACCESS_LOCAL_WRITE));
    if (!local_) lab::die("ibv_reg_mr", errno);
    const int access = IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ;
    if (const int error = hf_reg_mr(session_.get(), target_domain_.get(), memory_, bytes_, access, nullptr, &region_))
      throw std::runtime_error(fmt::format("hf_reg_mr: {} ({})", hf_verbs_error_text(), strerrorname_np(-error)));
    for (std::uint32_t i = 0; i < options.connections; ++i) {
      theirs_.push_back(std::make_unique<lab::Connection>(target_.get(), target_domain_.get(), 1));
      ours_.push_back(std::make_unique<lab::Connection>(writer_.get(), writer_domain_.get(), options.writes));
      theirs_.back()->connect(ours_.back()->self());
      ours_.back()->connect(theirs_.back()->self());
    }
  }

  /// @return 0: as it must be
  int run() {
    std::vector<unsigned char> then(bytes_);  // made now, so that the look after the fence is short
    key_ = region_->rkey;
    std::thread writer([this] { keep_writing(); });
    // Well under way: every place has been written.
    while (completed_ < options_.writes) sched_yield();
    hf_fence_report report{};
    int error = 0;
    const auto plan = hf_mr_plan(region_);
    const auto in_flight = in_flight_.load();
    if (options_.kind != "none") error = raise(report);
    std::memcpy(then.data(), memory_, bytes_);
    const auto by_then = completed_.load();
    // Without a fence that holds the writer would go on for ever: a while longer, and it must end.
    if (error || options_.kind == "none") {
      while (completed_ < by_then + options_.writes) sched_yield();
      stop_ = true;
    }
    writer.join();
    std::size_t changed = 0;
    for (std::size_t i = 0; i < bytes_; ++i) changed += then[i] != static_cast<unsigned char*>(memory_)[i];
    fmt::print(
        "{{\"kind\": \"{}\", \"plan\": \"{}\", \"error\": \"{}\", \"fence\": \"{}\", \"proof\": \"{}\", \"in_flight\": {}, \"completed\": {}, "
        "\"bytes_changed\": {}, \"access_errors\": {}, \"other_errors\": {}}}\n",
        options_.kind, hf_plan_name(plan), error ? strerrorname_np(-error) : "0", hf_fence_name(report.fence), report.proof, in_flight, completed_.load(),
        changed, access_errors_, other_errors_);
    if (error) fmt::print(stderr, "{}\n", hf_verbs_error_text());
    return changed == 0 && error == 0 ? 0 : 1;
  }

 private:
  void* map(int fd) {
    void* memory = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED) lab::die("mmap", errno);
    return memory;
  }

  /// Each place in turn by the next connection, with other bytes every time, so that a write that comes too late shows.
  void post(std::uint32_t number) {
    const auto offset = std::size_t{number} * options_.message_bytes;
    std::memset(static_cast<char*>(source_) + offset, ++round_[number] % 255 + 1, options_.message_bytes);
    ibv_sge piece{reinterpret_cast<std::uintptr_t>(source_) + offset, options_.message_bytes, local_->lkey};
    ibv_send_wr request{};
    request.wr_id = number;
    request.sg_list = &piece;
    request.num_sge = 1;
    request.opcode = IBV_WR_RDMA_WRITE;
    request.send_flags = IBV_SEND_SIGNALED;
    request.wr.rdma = {reinterpret_cast<std::uintptr_t>(memory_) + offset, key_};
    ibv_send_wr* bad = nullptr;
    // A connection in the error state takes it and flushes it.
    if (const int error = ibv_post_send(ours_[number % ours_.size()]->queue_pair(), &request, &bad)) lab::die("ibv_post_send", error);
    ++in_flight_;
  }

  /// Keeps all of them in flight until each has failed, or until it is stopped.
  void keep_writing() {
    for (std::uint32_t number = 0; number < options_.writes; ++number) post(number);
    while (in_flight_ > 0) {
      int count = 0;
      for (const auto& connection : ours_) {
        ibv_wc done[16];
        const int got = ibv_poll_cq(connection->completions(), 16, done);
        for (int i = 0; i < got; ++i) completed(done[i]);
        count += got;
      }
      if (count == 0) sched_yield();
    }
  }

  void completed(const ibv_wc& done) {
    --in_flight_;
    if (done.status == IBV_WC_SUCCESS) {
      ++completed_;
      if (!stop_) post(static_cast<std::uint32_t>(done.wr_id));
    } else if (done.status == IBV_WC_REM_ACCESS_ERR) {
      ++access_errors_;
    } else {
      ++other_errors_;  // those behind the first error are flushed
    }
  }

  int raise(hf_fence_report& report) {
    hf_fence_options options{};
    for (std::uint32_t number = HF_FENCE_REREG_DOMAIN; number <= HF_FENCE_QUEUE_PAIRS; ++number)
      if (options_.kind == hf_fence_name(number)) options.kinds = HF_FENCE_BIT(number);
    std::vector<ibv_qp*> pairs;
    for (const auto& connection : theirs_) pairs.push_back(connection->queue_pair());
    options.queue_pairs = pairs.data();
    options.queue_pair_count = static_cast<std::uint32_t>(pairs.size());
    return hf_fence_mr(region_, &options, &report, sizeof report);
  }

  Options options_;
  std::size_t bytes_;
  lab::Context target_, writer_;
  lab::ProtectionDomain target_domain_, writer_domain_;
  hf::Fd file_;
  holdfast::Session session_;
  void* memory_ = nullptr;
  void* source_ = nullptr;
  lab::MemoryRegion local_;
  ibv_mr* region_ = nullptr;
  std::vector<std::unique_ptr<lab::Connection>> theirs_, ours_;
  std::vector<std::uint32_t> round_;
  std::uint32_t key_ = 0;
  std::atomic<std::uint32_t> in_flight_ = 0, completed_ = 0;
  std::atomic<bool> stop_ = false;
  std::uint32_t access_errors_ = 0, other_errors_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app{"Fences a region with remote writes in flight. Exit status 0: fenced, and no byte changed afterwards."};
  app.add_option("FILE", options.file, "the file to register; it gets overwritten")->required();
  app.add_option("--kind", options.kind, "rereg-domain, rereg-access, dereg, queue-pairs; none: the control, which must end with status 1")
      ->capture_default_str();
  app.add_option("--target", options.target, "RDMA device")->capture_default_str();
  app.add_option("--writer", options.writer, "RDMA device")->capture_default_str();
  app.add_option("--writes", options.writes, "in flight")->capture_default_str();
  app.add_option("--connections", options.connections, "that they come by")->capture_default_str();
  app.add_option("--message", options.message_bytes, "bytes of one write")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  try {
    return Race(options).run();
  } catch (const std::exception& error) {
    fmt::print(stderr, "hf-lab-fence: {}\n", error.what());
    return 2;
  }
}
