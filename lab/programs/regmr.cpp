// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// hf-lab-regmr: registers file mappings by hf_reg_mr() and does with them what is ordered, one order a line of standard input. For the tests of
// libholdfast-verbs.
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <holdfast/verbs.hpp>
#include <nlohmann/json.hpp>
#include <sstream>

#include "mappings.hpp"
#include "stop.hpp"

namespace {

using nlohmann::json;

constexpr const char* kOrders =
    "Orders, one a line of standard input, each answered by one line of JSON:\n"
    "  fork           what hf_reg_mr() and hf_dereg_mr() answer in a child\n"
    "  window         allocate a memory window, bind it to the first region\n"
    "  unwindow       let it go\n"
    "  fence KIND     rereg-domain, rereg-access, dereg or any\n"
    "  dereg          end the regions\n"
    "  read           the registered bytes, by read(2) of the first file\n"
    "  truncate SIZE  the first file, by this process itself\n"
    "  pass SOCKET    send the uverbs descriptor to hf-lab-register --receive SOCKET\n"
    "  quit";

struct Options {
  std::string device = "rxe_a";
  std::vector<std::string> maps;
  std::uint16_t listen = 0;
  std::uint32_t repeat = 1;
  std::uint64_t stride = 0;
  bool separate = false, read_only = false, settle = false, odp = false, no_odp = false, fork_init = false, windows = false, memfd = false;
};

void say(const json& line) {
  fmt::print("{}\n", line.dump());
  std::fflush(stdout);
}

std::string name(int error) { return error ? fmt::format("-{}", strerrorname_np(-error)) : "0"; }

int count_progress(std::uint64_t, std::uint64_t, void* context) {
  ++*static_cast<int*>(context);
  return 0;
}

class Holder {
 public:
  explicit Holder(const Options& options) : options_(options), context_(lab::open_device(options.device)), domain_(ibv_alloc_pd(context_.get())) {
    if (!domain_) lab::die("ibv_alloc_pd", errno);
    session_ = holdfast::Session::connect();
  }
  ~Holder() { dereg(); }

  /// @return false where a registration failed, which has been said
  bool reg() {
    std::vector<lab::Range> ranges;
    for (const auto& text : options_.maps) {
      const auto range = lab::parse_range(text);
      for (std::uint32_t i = 0; i < options_.repeat; ++i) ranges.push_back({range.file, range.offset + i * options_.stride, range.length});
    }
    const auto mappings = lab::map_ranges(ranges, options_.read_only);
    std::uint64_t total = 0;
    for (const auto& mapping : mappings) total += mapping.length;
    if (!options_.separate) return add(mappings.front().address, total);
    for (const auto& mapping : mappings)
      if (!add(mapping.address, mapping.length)) return false;
    return true;
  }

  void ready() const {
    json plans = json::array();
    for (const auto* region : regions_) plans.push_back(hf_plan_name(hf_mr_plan(region)));
    std::size_t leases = 0;
    while (hf_mr_lease_id(regions_.front(), leases)) ++leases;
    say({{"ready", true}, {"pid", getpid()}, {"plan", plans.front()}, {"regions", regions_.size()}, {"leases", leases}, {"progress", progress_}});
  }

  /// A writer comes, as to hf-lab-target.
  void accept_writer(int listener) {
    pollfd waiting{listener, POLLIN, 0};
    if (poll(&waiting, 1, 0) != 1) return;
    hf::Fd socket(accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
    if (!socket) return;
    auto connection = std::make_unique<lab::Connection>(context_.get(), domain_.get(), 1);
    lab::Peer self = connection->self();
    self.address = reinterpret_cast<std::uintptr_t>(regions_.front()->addr);
    self.length = regions_.front()->length;
    self.rkey = regions_.front()->rkey;
    connection->connect(lab::exchange(socket.get(), self));
    // Second round: both queue pairs can receive now.
    lab::exchange(socket.get(), self);
    writers_.emplace_back(std::move(socket), std::move(connection));
  }

  /// @return false to quit
  bool obey(const std::string& line) {
    std::istringstream words(line);
    std::string order, what;
    words >> order >> what;
    json answer{{"order", order}};
    if (order == "quit") return false;
    if (order == "fork") answer.update(in_child());
    if (order == "window") answer["result"] = bind_window();
    if (order == "unwindow") answer["result"] = name(-ibv_dealloc_mw(std::exchange(window_, nullptr)));
    if (order == "fence") answer.update(fence(what));
    if (order == "dereg") answer["result"] = name(dereg());
    if (order == "dereg") answer["text"] = hf_verbs_error_text();
    if (order == "read") answer["result"] = name(-read_file());
    if (order == "truncate") answer["result"] = name(::truncate(first_file().c_str(), std::stoll(what)) ? -errno : 0);
    if (order == "pass") {
      lab::send_descriptor(what, context_->cmd_fd);
      answer["result"] = "0";
    }
    say(answer);
    return true;
  }

 private:
  bool add(void* address, std::size_t length) {
    int access = IBV_ACCESS_REMOTE_READ;
    if (!options_.read_only) access |= IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE;
    if (options_.windows) access |= IBV_ACCESS_MW_BIND;
    hf_reg_options how{};
    how.label = "regmr";
    how.flags = (options_.settle ? HF_REG_SETTLE : 0) | (options_.odp ? HF_REG_ODP : 0) | (options_.no_odp ? HF_REG_NO_ODP : 0);
    how.progress = count_progress;
    how.progress_context = &progress_;
    ibv_mr* region = nullptr;
    const int error = hf_reg_mr(session_.get(), domain_.get(), address, length, access, &how, &region);
    if (error) say({{"error", name(error)}, {"text", hf_verbs_error_text()}});
    if (!error) regions_.push_back(region);
    return !error;
  }

  std::string first_file() const { return lab::parse_range(options_.maps.front()).file; }

  int read_file() const {
    const auto range = lab::parse_range(options_.maps.front());
    const hf::Fd file(open(range.file.c_str(), O_RDONLY | O_CLOEXEC));
    std::string bytes(range.length, '\0');
    return file && pread(file.get(), bytes.data(), bytes.size(), static_cast<off_t>(range.offset)) == static_cast<ssize_t>(bytes.size()) ? 0 : EIO;
  }

  int dereg() {
    while (!regions_.empty()) {
      if (const int error = hf_dereg_mr(regions_.back())) return error;
      regions_.pop_back();
    }
    return 0;
  }

  /// The parent's region, and a region of the child's own with the parent's session.
  json in_child() {
    int pipe_fds[2];
    if (pipe(pipe_fds) != 0) lab::die("pipe", errno);
    const pid_t child = fork();
    if (child == 0) {
      ibv_mr* region = nullptr;
      void* memory = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      const int answers[3] = {hf_reg_mr(session_.get(), domain_.get(), memory, 4096, IBV_ACCESS_LOCAL_WRITE, nullptr, &region), hf_dereg_mr(regions_.front()),
                              hf_fence_mr(regions_.front(), nullptr, nullptr, 0)};
      _exit(write(pipe_fds[1], answers, sizeof answers) == sizeof answers ? 0 : 1);
    }
    int answers[3] = {};
    close(pipe_fds[1]);
    if (read(pipe_fds[0], answers, sizeof answers) != sizeof answers) throw std::runtime_error("the child did not answer");
    close(pipe_fds[0]);
    waitpid(child, nullptr, 0);
    return {{"reg", name(answers[0])}, {"dereg", name(answers[1])}, {"fence", name(answers[2])}};
  }

  std::string bind_window() {
    window_ = ibv_alloc_mw(domain_.get(), IBV_MW_TYPE_2);
    if (!window_) return name(-errno);
    // Bound by a queue pair that is connected to another one of this process.
    near_ = std::make_unique<lab::Connection>(context_.get(), domain_.get(), 4);
    far_ = std::make_unique<lab::Connection>(context_.get(), domain_.get(), 4);
    near_->connect(far_->self());
    far_->connect(near_->self());
    ibv_send_wr request{};
    request.opcode = IBV_WR_BIND_MW;
    request.send_flags = IBV_SEND_SIGNALED;
    request.bind_mw.mw = window_;
    request.bind_mw.rkey = ibv_inc_rkey(window_->rkey);
    request.bind_mw.bind_info = {regions_.front(), reinterpret_cast<std::uintptr_t>(regions_.front()->addr), 4096, IBV_ACCESS_REMOTE_WRITE};
    ibv_send_wr* bad = nullptr;
    if (const int error = ibv_post_send(near_->queue_pair(), &request, &bad)) return name(-error);
    ibv_wc done{};
    while (ibv_poll_cq(near_->completions(), 1, &done) == 0) sched_yield();
    return done.status == IBV_WC_SUCCESS ? "0" : ibv_wc_status_str(done.status);
  }

  json fence(const std::string& kind) {
    hf_fence_options options{};
    for (std::uint32_t number = HF_FENCE_REREG_DOMAIN; number <= HF_FENCE_QUEUE_PAIRS; ++number)
      if (kind == hf_fence_name(number)) options.kinds = HF_FENCE_BIT(number);
    hf_fence_report report{};
    const int error = hf_fence_mr(regions_.front(), &options, &report, sizeof report);
    if (error) return {{"result", name(error)}, {"text", hf_verbs_error_text()}};
    if (report.fence == HF_FENCE_DEREG) regions_.erase(regions_.begin());
    return {{"result", "0"}, {"fence", hf_fence_name(report.fence)}, {"proof", report.proof}, {"reach", report.reach}};
  }

  Options options_;
  lab::Context context_;
  lab::ProtectionDomain domain_;
  holdfast::Session session_;
  std::vector<ibv_mr*> regions_;
  std::vector<std::pair<hf::Fd, std::unique_ptr<lab::Connection>>> writers_;
  std::unique_ptr<lab::Connection> near_, far_;
  ibv_mw* window_ = nullptr;
  int progress_ = 0;
};

int run(const Options& options) {
  lab::Orders orders;
  if (options.fork_init && ibv_fork_init()) lab::die("ibv_fork_init", errno);
  const hf::Fd listener = options.listen ? lab::listen_on(options.listen) : hf::Fd();
  Holder holder(options);
  if (!holder.reg()) return 1;
  holder.ready();
  for (;;) {
    const auto order = orders.next(-1, listener.get());
    if (order && !holder.obey(*order)) return 0;
    if (!order && listener) holder.accept_writer(listener.get());
  }
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app{"Registers file mappings by hf_reg_mr()."};
  app.footer(kOrders);
  app.add_option("--device", options.device, "RDMA device")->capture_default_str();
  app.add_option("--map", options.maps, "FILE:OFFSET:LENGTH; several are laid beside each other and registered as one")->required();
  app.add_option("--listen", options.listen, "TCP port where a hf-lab-writer may connect to the first region");
  app.add_option("--repeat", options.repeat, "map each so many times, --stride bytes apart")->capture_default_str();
  app.add_option("--stride", options.stride, "in the file");
  app.add_flag("--separate", options.separate, "a region for each mapping");
  app.add_flag("--read-only", options.read_only, "map and register for reading");
  app.add_flag("--settle", options.settle, "settle the layout first");
  app.add_flag("--odp", options.odp, "prefer ODP");
  app.add_flag("--no-odp", options.no_odp, "never ODP");
  app.add_flag("--fork-init", options.fork_init, "call ibv_fork_init() first");
  app.add_flag("--windows", options.windows, "let memory windows be bound");
  CLI11_PARSE(app, argc, argv);
  try {
    return run(options);
  } catch (const std::exception& error) {
    fmt::print(stderr, "hf-lab-regmr: {}\n", error.what());
    return 2;
  }
}
