// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// FNV-1a, 64 bits: tells whether something is as it was. No protection against who wants two things to look the same.
#pragma once

#include <cstdint>
#include <string_view>

namespace hf {

class Fnv {
 public:
  /// Words added one after the other differ from one that is both together.
  void add(std::string_view bytes) {
    for (const char byte : bytes) step(static_cast<unsigned char>(byte));
    step(0);
  }
  std::uint64_t value() const { return value_; }

 private:
  void step(unsigned char byte) { value_ = (value_ ^ byte) * 0x100000001b3ull; }
  std::uint64_t value_ = 0xcbf29ce484222325ull;
};

}  // namespace hf
