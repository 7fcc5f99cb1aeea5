// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// hf-lab-register: registers file mappings in unusual ways and does unusual things with them, one order a line of standard input. For the tests of holders.
//
// An ordinary verbs program: nothing here knows of Holdfast.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstring>
#include <sstream>
#include <vector>

#include "mappings.hpp"
#include "stop.hpp"
#include "verbs_end.hpp"

namespace {

constexpr const char* kOrders =
    "Orders, one a line of standard input, each answered by one line of JSON:\n"
    "  truncate FILE SIZE           by this process itself\n"
    "  punch FILE OFFSET LENGTH     likewise\n"
    "  fork-truncate FILE SIZE      by a child\n"
    "  fork-stay                    leave a child behind that has inherited the registration's descriptor\n"
    "  unmap                        unmap the files, the registrations stay\n"
    "  dereg                        end the registrations\n"
    "  pass SOCKET                  send the uverbs descriptor to hf-lab-register --receive SOCKET\n"
    "  exec PROGRAM [ARGUMENT...]   become another program\n"
    "  quit";

struct Options {
  std::string device = "rxe_a";
  std::vector<std::string> maps;
  std::uint32_t repeat = 1;
  std::uint64_t stride = 0;
  bool separate = false;
  bool odp = false;
  bool read_only = false;
  std::string receive;
};

int receive_descriptor(const std::string& path) {
  lab::Orders orders;
  const hf::Fd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  unlink(path.c_str());
  if (bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 || listen(listener.get(), 1) != 0) lab::die("bind " + path, errno);
  fmt::print("{{\"ready\": true, \"pid\": {}}}\n", getpid());
  std::fflush(stdout);
  const hf::Fd socket(accept(listener.get(), nullptr, nullptr));
  char byte = 0;
  iovec piece{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  if (recvmsg(socket.get(), &message, MSG_CMSG_CLOEXEC) != 1 || !CMSG_FIRSTHDR(&message)) lab::die("recvmsg", errno);
  if (send(socket.get(), &byte, 1, MSG_NOSIGNAL) != 1) lab::die("send", errno);
  fmt::print("{{\"received\": true}}\n");
  std::fflush(stdout);
  while (orders.next(-1) != "quit") {
  }
  return 0;  // the descriptor closes with the process
}

void answer(const std::string& order, int error, long detail = 0) {
  fmt::print("{{\"order\": \"{}\", \"result\": \"{}\", \"detail\": {}}}\n", order, error ? fmt::format("-{}", strerrorname_np(error)) : "0", detail);
  std::fflush(stdout);
}

int call_error(long result) { return result < 0 ? errno : 0; }

int in_child(auto&& body) {
  const pid_t child = fork();
  if (child == 0) _exit(body());
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : EPROTO;
}

class Registrations {
 public:
  explicit Registrations(const Options& options) : context_(lab::open_device(options.device)), domain_(ibv_alloc_pd(context_.get())) {
    if (!domain_) lab::die("ibv_alloc_pd", errno);
    std::vector<lab::Range> ranges;
    for (const auto& text : options.maps) {
      const lab::Range range = lab::parse_range(text);
      for (std::uint32_t i = 0; i < options.repeat; ++i) ranges.push_back({range.file, range.offset + i * options.stride, range.length});
    }
    mappings_ = lab::map_ranges(ranges, options.read_only);
    int access = IBV_ACCESS_REMOTE_READ;
    if (!options.read_only) access |= IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE;
    if (options.odp) access |= IBV_ACCESS_ON_DEMAND;
    if (options.separate) {
      for (const auto& mapping : mappings_) add(mapping.address, mapping.length, access);
    } else {
      std::uint64_t total = 0;
      for (const auto& mapping : mappings_) total += mapping.length;
      add(mappings_.front().address, total, access);
    }
  }

  std::size_t count() const { return regions_.size(); }
  int descriptor() const { return context_->cmd_fd; }
  void dereg() { regions_.clear(); }
  int unmap() {
    for (const auto& mapping : mappings_)
      if (munmap(mapping.address, mapping.length) != 0) return errno;
    return 0;
  }

 private:
  void add(char* address, std::uint64_t length, int access) {
    lab::MemoryRegion region(ibv_reg_mr(domain_.get(), address, length, access));
    if (!region) lab::die("ibv_reg_mr", errno);
    regions_.push_back(std::move(region));
  }

  lab::Context context_;
  lab::ProtectionDomain domain_;
  std::vector<lab::Mapping> mappings_;
  std::vector<lab::MemoryRegion> regions_;
};

/// @return false to quit
bool obey(const std::string& line, Registrations& registrations) {
  std::istringstream words(line);
  std::string order, file;
  words >> order;
  std::int64_t first = 0, second = 0;
  if (order == "quit") return false;
  if (order == "truncate") {
    words >> file >> first;
    answer(order, call_error(truncate(file.c_str(), first)));
  } else if (order == "punch") {
    words >> file >> first >> second;
    const hf::Fd fd(open(file.c_str(), O_RDWR | O_CLOEXEC));
    answer(order, call_error(fallocate(fd.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, first, second)));
  } else if (order == "fork-truncate") {
    words >> file >> first;
    answer(order, in_child([&] { return call_error(truncate(file.c_str(), first)); }));
  } else if (order == "fork-stay") {
    const pid_t child = fork();
    if (child == 0) {
      sigset_t none;
      sigemptyset(&none);
      sigprocmask(SIG_SETMASK, &none, nullptr);
      for (;;) pause();
    }
    answer(order, 0, child);
  } else if (order == "unmap") {
    answer(order, registrations.unmap());
  } else if (order == "dereg") {
    registrations.dereg();
    answer(order, 0);
  } else if (order == "pass") {
    words >> file;
    lab::send_descriptor(file, registrations.descriptor());
    answer(order, 0);
  } else if (order == "exec") {
    std::vector<std::string> arguments;
    for (std::string word; words >> word;) arguments.push_back(word);
    std::vector<char*> pointers;
    for (auto& argument : arguments) pointers.push_back(argument.data());
    pointers.push_back(nullptr);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    answer(order, 0);
    execvp(pointers[0], pointers.data());
    answer(order, errno);
  } else {
    answer(order, EINVAL);
  }
  return true;
}

int run(const Options& options) {
  if (!options.receive.empty()) return receive_descriptor(options.receive);
  lab::Orders orders;
  Registrations registrations(options);
  fmt::print("{{\"ready\": true, \"pid\": {}, \"registrations\": {}}}\n", getpid(), registrations.count());
  std::fflush(stdout);
  for (;;) {
    const auto order = orders.next(-1);
    if (order && !obey(*order, registrations)) return 0;
  }
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app{"Registers file mappings in unusual ways."};
  app.footer(kOrders);
  app.add_option("--device", options.device, "RDMA device")->capture_default_str();
  app.add_option("--map", options.maps, "FILE:OFFSET:LENGTH; several are laid beside each other and registered as one");
  app.add_option("--repeat", options.repeat, "map each so many times, --stride bytes apart")->capture_default_str();
  app.add_option("--stride", options.stride, "in the file");
  app.add_flag("--separate", options.separate, "a registration for each mapping");
  app.add_flag("--odp", options.odp, "with On-Demand Paging");
  app.add_flag("--read-only", options.read_only, "map and register for reading");
  app.add_option("--receive", options.receive, "register nothing: wait on this socket for another's uverbs descriptor and keep it");
  CLI11_PARSE(app, argc, argv);
  try {
    if (options.maps.empty() && options.receive.empty()) throw std::runtime_error("wants --map or --receive");
    return run(options);
  } catch (const std::exception& error) {
    fmt::print(stderr, "hf-lab-register: {}\n", error.what());
    return 2;
  }
}
