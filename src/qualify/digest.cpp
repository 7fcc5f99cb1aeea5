// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "qualify/digest.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <nettle/sha2.h>
#include <unistd.h>

#include <array>
#include <vector>

#include "base/fd.hpp"

namespace hf::qualify {

namespace {

class Sha256 {
 public:
  Sha256() { sha256_init(&context_); }
  void add(const void* bytes, std::size_t count) { sha256_update(&context_, count, static_cast<const std::uint8_t*>(bytes)); }
  std::string text() {
    std::array<std::uint8_t, SHA256_DIGEST_SIZE> digest{};
    sha256_digest(&context_, digest.size(), digest.data());
    std::string hex;
    for (const auto byte : digest) hex += fmt::format("{:02x}", byte);
    return hex;
  }

 private:
  sha256_ctx context_{};
};

}  // namespace

std::string sha256(std::string_view bytes) {
  Sha256 digest;
  digest.add(bytes.data(), bytes.size());
  return digest.text();
}

std::optional<std::string> sha256_of_file(const std::string& path) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd) return {};
  Sha256 digest;
  std::vector<char> buffer(1 << 16);
  for (;;) {
    const ssize_t got = ::read(fd.get(), buffer.data(), buffer.size());
    if (got < 0) return {};
    if (got == 0) return digest.text();
    digest.add(buffer.data(), static_cast<std::size_t>(got));
  }
}

}  // namespace hf::qualify
