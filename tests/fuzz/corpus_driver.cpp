// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Runs a fuzzer's entry point without libFuzzer: on inputs made from a seed (HOLDFAST_FUZZ_SEED, HOLDFAST_FUZZ_RUNS), or on the files that are named,
// which repeats what libFuzzer found.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <random>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* value = std::getenv(name);
  return value && *value ? std::strtoull(value, nullptr, 0) : otherwise;
}

/// Random bytes, with runs of 0x00 and 0xff: the boundaries of 64-bit numbers are made of them.
std::vector<std::uint8_t> any_input(std::mt19937_64& dice) {
  std::vector<std::uint8_t> input(dice() % 512);
  for (std::size_t i = 0; i < input.size();) {
    const std::uint64_t kind = dice() % 4;
    for (std::size_t run = 1 + dice() % 8; run > 0 && i < input.size(); run--, i++)
      input[i] = kind == 0 ? 0x00 : kind == 1 ? 0xff : static_cast<std::uint8_t>(dice());
  }
  return input;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1) {
    for (int i = 1; i < argc; i++) {
      std::ifstream file(argv[i], std::ios::binary);
      if (!file) {
        std::fprintf(stderr, "cannot read %s\n", argv[i]);
        return 1;
      }
      const std::vector<char> bytes{std::istreambuf_iterator<char>(file), {}};
      LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
    }
    return 0;
  }
  const std::uint64_t seed = from_environment("HOLDFAST_FUZZ_SEED", 1);
  const std::uint64_t runs = from_environment("HOLDFAST_FUZZ_RUNS", 200000);
  std::printf("seed %llu, %llu runs\n", static_cast<unsigned long long>(seed), static_cast<unsigned long long>(runs));
  std::fflush(stdout);
  std::mt19937_64 dice(seed);
  for (std::uint64_t run = 0; run < runs; run++) {
    const std::vector<std::uint8_t> input = any_input(dice);
    LLVMFuzzerTestOneInput(input.data(), input.size());
  }
}
