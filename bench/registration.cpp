// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// hf-bench-registration: how long ibv_reg_mr() of a mapped file takes. An ordinary verbs program: whether Holdfast runs is for who starts it.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <time.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <vector>

#include "verbs_end.hpp"

namespace {

struct Options {
  std::string device = "rxe_a", file;
  std::uint64_t bytes = 1 << 20;
  unsigned count = 50;
};

/// Of this thread, in and out of the kernel: what the daemon does beside it, on this one processor of the lab, is not the registration's.
double now_us() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_nsec) / 1e3;
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<long>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

int run(const Options& options) {
  const hf::Fd file(open(options.file.c_str(), O_RDWR | O_CLOEXEC));
  if (!file) lab::die("open " + options.file, errno);
  void* memory = mmap(nullptr, options.bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, file.get(), 0);
  if (memory == MAP_FAILED) lab::die("mmap", errno);
  const auto context = lab::open_device(options.device);
  const lab::ProtectionDomain domain(ibv_alloc_pd(context.get()));
  if (!domain) lab::die("ibv_alloc_pd", errno);
  std::vector<double> reg, dereg;
  for (unsigned i = 0; i <= options.count; ++i) {
    const double start = now_us();
    ibv_mr* region = ibv_reg_mr(domain.get(), memory, options.bytes, IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE);
    const double middle = now_us();
    if (!region) lab::die("ibv_reg_mr", errno);
    ibv_dereg_mr(region);
    const double end = now_us();
    if (i == 0) continue;  // warms up
    reg.push_back(middle - start);
    dereg.push_back(end - middle);
  }
  fmt::print("{:.3f} {:.3f}\n", median(reg), median(dereg));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app{"Prints the medians of ibv_reg_mr() and ibv_dereg_mr() in microseconds."};
  app.add_option("FILE", options.file, "mapped shared")->required();
  app.add_option("--device", options.device)->capture_default_str();
  app.add_option("--bytes", options.bytes)->capture_default_str();
  app.add_option("--count", options.count)->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  try {
    return run(options);
  } catch (const std::exception& error) {
    fmt::print(stderr, "hf-bench-registration: {}\n", error.what());
    return 2;
  }
}
