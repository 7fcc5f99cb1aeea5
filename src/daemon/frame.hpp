// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Frames of abi/wire.h on a non-blocking socket. What comes in is a stranger's: every length is checked before it is believed, and descriptors that
// nobody asked for are closed.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/fd.hpp"
#include "base/result.hpp"
#include "wire.h"

namespace hf {

/// Requests are small: the largest is an ACQUIRE with all its ranges. Answers may be as large as HF_WIRE_MAX.
inline constexpr std::uint32_t kRequestBytesMax = 64 << 10;
/// More descriptors than a frame may carry, so that one too many is seen and refused and not silently dropped by the kernel.
inline constexpr std::size_t kDescriptorsMax = 4;

struct Frame {
  hf_wire_header header{};
  std::string payload;
  std::vector<Fd> descriptors;
};

class FrameReader {
 public:
  enum class Progress { kWait, kFrame, kClosed };

  /// Reads on, up to the end of one frame, which is then in `frame`. After an error the stream is out of step: say so and close it.
  Result<Progress> read(int socket, Frame& frame);
  /// Of the frame that is being read, for the answer to a broken one; 0 while its header isn't complete.
  std::uint64_t cookie() const { return have_ >= sizeof(hf_wire_header) ? frame_.header.cookie : 0; }
  /// Some of a frame is there, but not all.
  bool inside_frame() const { return have_ > 0; }
  /// Bytes behind the last frame have been read with it: read() before waiting for more.
  bool ahead() const { return ahead_first_ != ahead_end_; }

 private:
  Result<std::size_t> get(int socket, char* to, std::size_t bytes);
  Result<std::size_t> receive(int socket, char* to, std::size_t bytes);
  Status check_header() const;

  Frame frame_;
  std::size_t have_ = 0;  ///< bytes of the header and the payload together
  // A request comes with one system call: what lies behind the bytes that were asked for is read along. The kernel ends a read behind the message that brought
  // descriptors (unix_stream_read_generic()), so they are of the last frame that begins in it.
  std::array<char, 256> ahead_{};
  std::size_t ahead_first_ = 0, ahead_end_ = 0;
  std::vector<Fd> ahead_descriptors_;
};

std::string frame_bytes(std::uint32_t kind, std::uint64_t cookie, std::string_view payload = {});
/// An hf_wire_error with its text.
std::string error_frame(std::uint64_t cookie, const Error& error);

template <class T>
std::string_view bytes_of(const T& value) {
  static_assert(std::is_trivially_copyable_v<T>);
  return {reinterpret_cast<const char*>(&value), sizeof(T)};
}

/// Takes a T off the front of the payload; none where it is shorter.
template <class T>
std::optional<T> take(std::string_view& payload) {
  static_assert(std::is_trivially_copyable_v<T>);
  if (payload.size() < sizeof(T)) return {};
  T value;
  std::memcpy(&value, payload.data(), sizeof(T));
  payload.remove_prefix(sizeof(T));
  return value;
}

/// The whole payload is one T.
template <class T>
Result<T> only(std::string_view payload, std::string_view name) {
  const auto value = take<T>(payload);
  if (!value || !payload.empty()) return fail(EPROTO, fmt::format("{} request of a wrong size", name), "Use the libholdfast that came with this holdfastd.");
  return *value;
}

}  // namespace hf
