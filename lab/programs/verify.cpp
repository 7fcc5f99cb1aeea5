// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// hf-lab-verify: reads a file and counts the blocks that don't carry the last round's stamp: bytes that were written remotely and lost.
//
// Exit status: 0 nothing lost, 1 something lost, 2 the file could not be read.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <CLI/CLI.hpp>
#include <vector>

#include "stamp.hpp"
#include "verbs_end.hpp"

namespace {

struct Options {
  std::string file;
  std::uint64_t seed = 1;
  std::uint64_t round = 0;
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
  bool by_mapping = false;
};

int run(const Options& options) {
  const hf::Fd file(open(options.file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) lab::die("open " + options.file, errno);
  struct stat status {};
  if (fstat(file.get(), &status) != 0) lab::die("fstat " + options.file, errno);
  const auto size = static_cast<std::uint64_t>(status.st_size);
  const std::uint64_t length = options.length ? options.length : size - std::min(size, options.offset);

  std::vector<std::uint64_t> words(lab::kBlockWords);
  const char* mapping = nullptr;
  if (options.by_mapping && size > 0) {
    void* mapped = mmap(nullptr, size, PROT_READ, MAP_SHARED, file.get(), 0);
    if (mapped == MAP_FAILED) lab::die("mmap " + options.file, errno);
    mapping = static_cast<const char*>(mapped);
  }
  std::uint64_t counts[4] = {};
  for (std::uint64_t at = 0; at < length; at += lab::kBlockBytes) {
    const std::uint64_t place = options.offset + at;
    std::fill(words.begin(), words.end(), 0);  // beyond the end of the file counts as zeroes
    if (mapping) {
      if (place + lab::kBlockBytes <= size) std::memcpy(words.data(), mapping + place, lab::kBlockBytes);
    } else if (pread(file.get(), words.data(), lab::kBlockBytes, static_cast<off_t>(place)) < 0) {
      lab::die("pread " + options.file, errno);
    }
    ++counts[static_cast<int>(lab::classify(lab::ConstBlock(words.data(), lab::kBlockWords), options.seed, options.round, at))];
  }
  const std::uint64_t lost = counts[1] + counts[2] + counts[3];
  fmt::print(
      "{{\"file\": \"{}\", \"size\": {}, \"round\": {}, \"bytes\": {}, \"bytes_current\": {}, \"bytes_lost\": {}, \"bytes_earlier\": {}, "
      "\"bytes_zero\": {}, \"bytes_corrupt\": {}}}\n",
      options.file, size, options.round, length, counts[0] * lab::kBlockBytes, lost * lab::kBlockBytes, counts[1] * lab::kBlockBytes,
      counts[2] * lab::kBlockBytes, counts[3] * lab::kBlockBytes);
  return lost ? 1 : 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app{"Counts the bytes of a file that don't carry the last round's stamp of hf-lab-writer."};
  app.add_option("FILE", options.file)->required();
  app.add_option("--seed", options.seed, "of the pattern")->capture_default_str();
  app.add_option("--round", options.round, "the last round, as the writer said at its end")->required();
  app.add_option("--offset", options.offset, "where in the file the registered range begins");
  app.add_option("--length", options.length, "bytes of the registered range; 0: to the end of the file");
  app.add_flag("--mmap", options.by_mapping, "look through a mapping rather than by read(2)");
  CLI11_PARSE(app, argc, argv);
  try {
    return run(options);
  } catch (const std::exception& error) {
    fmt::print(stderr, "hf-lab-verify: {}\n", error.what());
    return 2;
  }
}
