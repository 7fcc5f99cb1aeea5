// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// hf-lab-poison: makes the kernel believe that the memory under one page of a file has failed (MADV_HWPOISON), which nothing can refuse.
//
// It maps the file, says "mapped", waits for a line, poisons, says "poisoned", and stays until its input ends.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <iostream>
#include <string>

#include "base/fd.hpp"

int main(int argc, char** argv) {
  std::string path;
  std::uint64_t offset = 0;
  CLI::App app{"Poisons the memory under a page of a file, for tests of what is told of it. Root only."};
  app.add_option("FILE", path)->required();
  app.add_option("OFFSET", offset, "of the page, in bytes")->required();
  CLI11_PARSE(app, argc, argv);

  // The kernel's word to those who have the page mapped. Ignored it would end us: it may be forced on the one who poisons.
  std::signal(SIGBUS, [](int) {});
  const hf::Fd file(open(path.c_str(), O_RDWR | O_CLOEXEC));
  struct stat status {};
  if (!file || fstat(file.get(), &status) != 0) {
    fmt::print(stderr, "hf-lab-poison: {}: {}\n", path, std::strerror(errno));
    return 1;
  }
  const auto size = static_cast<std::size_t>(status.st_size);
  auto* bytes = static_cast<char*>(mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0));
  if (bytes == MAP_FAILED || offset >= size) {
    fmt::print(stderr, "hf-lab-poison: {} can't be mapped at {}: {}\n", path, offset, std::strerror(errno));
    return 1;
  }
  static_cast<volatile char*>(bytes)[offset] = 1;
  fmt::print("mapped\n");
  std::fflush(stdout);
  std::string line;
  std::getline(std::cin, line);
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  const int result = madvise(bytes + offset / page * page, page, MADV_HWPOISON);
  fmt::print("poisoned: {}\n", result == 0 ? "done" : std::strerror(errno));
  std::fflush(stdout);
  while (std::getline(std::cin, line)) {
  }
  return result == 0 ? 0 : 1;
}
