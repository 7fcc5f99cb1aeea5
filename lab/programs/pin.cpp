// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// hf-lab-pin: asks the kernel module holdfast-pin for what it must refuse (a binding by somebody else than holdfastd, or without the lease that it wants), and
// does with the view of a binding what programs may do with memory.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <CLI/CLI.hpp>
#include <csetjmp>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <holdfast/holdfast.hpp>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/fd.hpp"
#include "holdfast_pin.h"
#include "stop.hpp"
#include "verbs_end.hpp"

namespace {

using nlohmann::json;

constexpr std::uint64_t kPage = 4096;
constexpr const char* kOrders =
    "Orders of view, one a line of standard input, each answered by one line of JSON:\n"
    "  fill [BYTES]     pin so many more, or all\n"
    "  map [HOW]        the view; HOW: private, exec, beyond (its end)\n"
    "  write OFFSET N   a number, at that offset of the view\n"
    "  read OFFSET\n"
    "  protect read|write|exec\n"
    "  grow             the view by a page (mremap)\n"
    "  move             the view to another address (mremap)\n"
    "  split            takes one page out of the middle of the view\n"
    "  fork             what a child can do with view and descriptor\n"
    "  register         a plain region over the view's first 4096 bytes\n"
    "  dereg\n"
    "  close            the descriptor\n"
    "  unmap            the view\n"
    "  quit";

struct Options {
  std::string file;
  std::uint64_t lease = 0, offset = 0, length = 0;
  std::string device = "rxe_a";
  bool deaf = false;
};

std::string name(int error) { return error ? fmt::format("-{}", strerrorname_np(error)) : "0"; }
std::string result_of(bool good) { return good ? "0" : name(errno); }

int bind_myself(const Options& options) {
  const hf::Fd device(::open(HOLDFAST_PIN_DEVICE, O_RDWR | O_CLOEXEC)), file(::open(options.file.c_str(), O_RDWR | O_CLOEXEC));
  struct stat status {};
  if (!device || !file || ::fstat(file.get(), &status)) {
    fmt::print("{}\n", strerrorname_np(errno));
    return 2;
  }
  const holdfast_pin_bind bind{.fd = file.get(),
                               .flags = 0,
                               .offset_bytes = 0,
                               .length_bytes = (static_cast<std::uint64_t>(status.st_size) + kPage - 1) / kPage * kPage,
                               .lease = options.lease};
  if (!::ioctl(device.get(), HOLDFAST_PIN_BIND, &bind)) {
    fmt::print("bound\n");
    return 0;
  }
  fmt::print("{}\n", strerrorname_np(errno));
  return 1;
}

sigjmp_buf g_fault;

/// @return 0, or the signal that the access ended with
template <class Access>
int faults(Access access) {
  struct sigaction action {
  }, before[2];
  action.sa_handler = [](int number) { siglongjmp(g_fault, number); };
  sigaction(SIGSEGV, &action, &before[0]);
  sigaction(SIGBUS, &action, &before[1]);
  const int number = sigsetjmp(g_fault, 1);
  if (!number) access();
  sigaction(SIGSEGV, &before[0], nullptr);
  sigaction(SIGBUS, &before[1], nullptr);
  return number;
}
std::string fault_name(int number) { return number ? fmt::format("SIG{}", sigabbrev_np(number)) : "0"; }

class View {
 public:
  explicit View(const Options& options) : options_(options), file_(::open(options.file.c_str(), O_RDWR | O_CLOEXEC)) {
    if (!file_) lab::die("open " + options.file, errno);
    session_ = holdfast::Session::connect();
  }
  ~View() {
    dereg();
    unmap();
  }

  /// @return false where that was refused, which has been said
  bool bind() {
    const hf_range range{options_.offset, options_.length};
    int fd = -1;
    const int error = hf_acquire_pin(session_.get(), file_.get(), &range, "view", &lease_, &fd);
    if (error) {
      say({{"error", name(-error)}, {"text", session_.error_text()}});
      return false;
    }
    pin_ = hf::Fd(fd);
    struct stat status {};
    if (::fstat(file_.get(), &status)) lab::die("fstat", errno);
    const auto end = options_.length ? options_.offset + options_.length : static_cast<std::uint64_t>(status.st_size);
    bytes_ = (end + kPage - 1) / kPage * kPage - options_.offset / kPage * kPage;
    say({{"ready", true}, {"pid", getpid()}, {"bytes", bytes_}});
    return true;
  }

  int event_fd() const { return session_.event_fd(); }

  /// A recall: all of it goes, in the order in which a program would let go.
  void hear() {
    std::error_code error;
    while (const auto event = session_.next_event(error)) {
      if (event->kind != HF_LEASE_EVENT_RECALL) continue;
      say({{"event", "recall"}, {"lease", event->lease_id}});
      if (options_.deaf) continue;
      dereg();
      unmap();
      pin_.reset();
      say({{"event", "released"}, {"result", name(-hf_release(std::exchange(lease_, nullptr)))}});
    }
  }

  /// @return false to quit
  bool obey(const std::string& line) {
    std::istringstream words(line);
    std::string order, what;
    std::uint64_t number = 0;
    words >> order >> what >> number;
    if (order == "quit") return false;
    json answer{{"order", order}};
    if (order == "fill") answer.update(fill(what.empty() ? 0 : std::stoull(what)));
    if (order == "map") answer["result"] = map(what);
    if (order == "write") answer["result"] = fault_name(faults([&] { *at(what) = number; }));
    if (order == "read") answer.update(read(what));
    if (order == "protect") answer["result"] = protect(what);
    if (order == "grow") answer["result"] = result_of(::mremap(memory_, bytes_, bytes_ + kPage, MREMAP_MAYMOVE) != MAP_FAILED);
    if (order == "move") answer["result"] = move();
    if (order == "split") answer["result"] = result_of(!::munmap(memory_ + bytes_ / 2 / kPage * kPage, kPage));
    if (order == "fork") answer.update(in_child());
    if (order == "register") answer["result"] = reg();
    if (order == "dereg") answer["result"] = name(dereg());
    if (order == "close") answer["result"] = (pin_.reset(), "0");
    if (order == "unmap") answer["result"] = result_of(unmap());
    say(answer);
    return true;
  }

 private:
  static void say(const json& line) {
    fmt::print("{}\n", line.dump());
    std::fflush(stdout);
  }

  volatile std::uint64_t* at(const std::string& offset) const { return reinterpret_cast<std::uint64_t*>(memory_ + std::stoull(offset)); }

  json fill(std::uint64_t bytes) {
    holdfast_pin_fill step{.bytes = bytes, .filled_bytes = 0};
    const int error = ::ioctl(pin_.get(), HOLDFAST_PIN_FILL, &step) ? errno : 0;
    return {{"result", name(error)}, {"filled", step.filled_bytes}};
  }

  std::string map(const std::string& how) {
    const int protection = PROT_READ | PROT_WRITE | (how == "exec" ? PROT_EXEC : 0);
    void* memory = ::mmap(nullptr, bytes_ + (how == "beyond" ? kPage : 0), protection, how == "private" ? MAP_PRIVATE : MAP_SHARED, pin_.get(), 0);
    if (memory == MAP_FAILED) return name(errno);
    memory_ = static_cast<char*>(memory);
    return "0";
  }

  json read(const std::string& offset) {
    std::uint64_t value = 0;
    const auto result = fault_name(faults([&] { value = *at(offset); }));
    return {{"result", result}, {"value", value}};
  }

  std::string protect(const std::string& what) {
    const int protection = PROT_READ | (what == "read" ? 0 : PROT_WRITE) | (what == "exec" ? PROT_EXEC : 0);
    return result_of(!::mprotect(memory_, bytes_, protection));
  }

  std::string move() {
    constexpr std::uint64_t kHuge = 2 << 20;
    void* there = ::mmap(nullptr, bytes_ + 2 * kHuge, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (there == MAP_FAILED) return name(errno);
    // Not as it was within 2 MiB: what was mapped by huge entries can't be any more.
    char* to = static_cast<char*>(there) + kPage;
    void* moved = ::mremap(memory_, bytes_, bytes_, MREMAP_MAYMOVE | MREMAP_FIXED, to);
    if (moved == MAP_FAILED) return name(errno);
    memory_ = static_cast<char*>(moved);
    return "0";
  }

  json in_child() {
    int ends[2];
    if (::pipe(ends)) lab::die("pipe", errno);
    const pid_t child = ::fork();
    if (child == 0) {
      const auto touch = fault_name(faults([&] { *at("0") = 1; }));
      const auto text = json{{"touch", touch}, {"map", map("")}, {"fill", fill(0)["result"]}}.dump();
      _exit(::write(ends[1], text.data(), text.size()) == static_cast<ssize_t>(text.size()) ? 0 : 1);
    }
    ::close(ends[1]);
    char text[256] = {};
    const auto got = ::read(ends[0], text, sizeof text - 1);
    ::close(ends[0]);
    ::waitpid(child, nullptr, 0);
    if (got <= 0) throw std::runtime_error("the child did not answer");
    return json::parse(text);
  }

  std::string reg() {
    context_ = lab::open_device(options_.device);
    domain_.reset(ibv_alloc_pd(context_.get()));
    if (!domain_) return name(errno);
    region_ = ibv_reg_mr(domain_.get(), memory_, kPage, IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE);
    return result_of(region_);
  }

  int dereg() { return region_ ? ibv_dereg_mr(std::exchange(region_, nullptr)) : 0; }

  bool unmap() { return !memory_ || !::munmap(std::exchange(memory_, nullptr), bytes_); }

  Options options_;
  hf::Fd file_, pin_;
  holdfast::Session session_;
  hf_lease_handle* lease_ = nullptr;
  lab::Context context_;
  lab::ProtectionDomain domain_;
  ibv_mr* region_ = nullptr;
  char* memory_ = nullptr;
  std::uint64_t bytes_ = 0;
};

int view(const Options& options) {
  lab::Orders orders;
  View view(options);
  if (!view.bind()) return 1;
  for (;;) {
    const auto order = orders.next(-1, view.event_fd());
    if (order && !view.obey(*order)) return 0;
    if (!order) view.hear();
  }
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app{"The kernel module holdfast-pin, without libholdfast-verbs."};
  app.require_subcommand(1);
  auto* bind = app.add_subcommand("bind", "bind a whole file without holdfastd; exit status 1, with the error's name, where that is refused");
  bind->add_option("FILE", options.file)->required();
  bind->add_option("--lease", options.lease, "the number of the lease to name");
  auto* look = app.add_subcommand("view", "a binding from holdfastd, and what can be done with its view");
  look->footer(kOrders);
  look->add_option("FILE", options.file)->required();
  look->add_option("--offset", options.offset, "where the bytes begin");
  look->add_option("--length", options.length, "how many; 0: to the end of the file");
  look->add_option("--device", options.device, "RDMA device")->capture_default_str();
  look->add_flag("--deaf", options.deaf, "does nothing when it is recalled");
  CLI11_PARSE(app, argc, argv);
  try {
    return bind->parsed() ? bind_myself(options) : view(options);
  } catch (const std::exception& error) {
    fmt::print(stderr, "hf-lab-pin: {}\n", error.what());
    return 2;
  }
}
