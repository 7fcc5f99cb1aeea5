// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// holdfast.h for C++20: handles that end themselves, errors as std::error_code or, in the overloads without one, as std::system_error.
//
//   auto session = holdfast::Session::connect();
//   auto lease = session.acquire(fd, {{0, 1 << 20}}, {.label = "my buffers"});
//
// Session and Lease are move-only. A Lease keeps its session alive, so they may be destroyed in either order.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "holdfast.h"

namespace holdfast {

using Range = hf_range;
using Event = hf_lease_event;

struct AcquireOptions {
  bool settle = false;  ///< allocate, zero and unshare the ranges first
  std::string label{};  ///< for people; at most HF_LABEL_MAX bytes
};

/// A lease; ends with the object.
class Lease {
 public:
  Lease() = default;
  Lease(Lease&& other) noexcept : session_(std::move(other.session_)), handle_(std::exchange(other.handle_, nullptr)) {}
  Lease& operator=(Lease&& other) noexcept {
    if (this != &other) {
      release();
      session_ = std::move(other.session_);
      handle_ = std::exchange(other.handle_, nullptr);
    }
    return *this;
  }
  ~Lease() { release(); }

  explicit operator bool() const { return handle_ != nullptr; }
  std::uint64_t id() const { return hf_lease_id(handle_); }

  /// Ends the lease now. @return what hf_release() said
  std::error_code release() noexcept {
    const int result = handle_ ? hf_release(std::exchange(handle_, nullptr)) : 0;
    session_.reset();
    return {-result, std::generic_category()};
  }

 private:
  friend class Session;
  Lease(std::shared_ptr<hf_session> session, hf_lease_handle* handle) : session_(std::move(session)), handle_(handle) {}

  std::shared_ptr<hf_session> session_;
  hf_lease_handle* handle_ = nullptr;
};

/// A connection to holdfastd.
class Session {
 public:
  /// @param socket_path empty: the default, as hf_connect() has it
  static Session connect(const std::string& socket_path, std::error_code& error) {
    hf_session* raw = nullptr;
    error = code(hf_connect(socket_path.empty() ? nullptr : socket_path.c_str(), &raw));
    return error ? Session() : Session(std::shared_ptr<hf_session>(raw, hf_disconnect));
  }
  static Session connect(const std::string& socket_path = {}) {
    std::error_code error;
    auto session = connect(socket_path, error);
    if (error) throw std::system_error(error, "cannot connect to holdfastd");
    return session;
  }

  Session() = default;
  Session(Session&&) noexcept = default;
  Session& operator=(Session&&) noexcept = default;

  explicit operator bool() const { return handle_ != nullptr; }
  hf_session* get() const { return handle_.get(); }

  /// @param ranges empty: the whole file as it is now
  Lease acquire(int fd, std::span<const Range> ranges, const AcquireOptions& options, std::error_code& error) {
    hf_lease_handle* raw = nullptr;
    error = code(hf_acquire(get(), fd, ranges.data(), ranges.size(), options.settle ? HF_ACQUIRE_SETTLE : 0u, options.label.c_str(), &raw));
    return error ? Lease() : Lease(handle_, raw);
  }
  Lease acquire(int fd, const std::vector<Range>& ranges = {}, const AcquireOptions& options = {}) {
    std::error_code error;
    auto lease = acquire(fd, std::span<const Range>(ranges), options, error);
    if (error) throw std::system_error(error, error_text());
    return lease;
  }

  /// Poll it for POLLIN, then call next_event() until it has none.
  int event_fd() const { return hf_event_fd(get()); }
  std::optional<Event> next_event(std::error_code& error) {
    Event event;
    const int result = hf_next_event(get(), &event, sizeof event);
    error = code(result > 0 ? 0 : result);
    return result > 0 ? std::optional<Event>(event) : std::nullopt;
  }
  std::optional<Event> next_event() {
    std::error_code error;
    auto event = next_event(error);
    if (error) throw std::system_error(error, error_text());
    return event;
  }

  std::error_code set_timeout_ms(int timeout_ms) { return code(hf_set_timeout(get(), timeout_ms)); }

  /// What the last failure was, and what to do next.
  std::string error_text() const {
    std::string text(hf_error_text(get(), nullptr, 0), '\0');
    // One more byte: the terminating NUL, which std::string has room for.
    text.resize(std::min(text.size(), hf_error_text(get(), text.data(), text.size() + 1)));
    return text;
  }

 private:
  explicit Session(std::shared_ptr<hf_session> handle) : handle_(std::move(handle)) {}
  static std::error_code code(int result) { return {-result, std::generic_category()}; }

  std::shared_ptr<hf_session> handle_;
};

}  // namespace holdfast
