// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// The C functions: check what comes in, keep C++ exceptions from going out.
#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <memory>
#include <new>
#include <string>
#include <system_error>

#include "client/session.hpp"
#include "holdfast/holdfast.h"
#include "wire.h"

namespace {

using hf::client::Session;

/// hf_session is never defined: it is the Session by another name.
Session* of(hf_session* session) { return reinterpret_cast<Session*>(session); }

/// Runs `body` on a session that this process owns.
template <class Body>
int guarded(Session* session, Body body) noexcept {
  if (!session) return -EINVAL;
  if (session->foreign()) return -ECHILD;
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return -ENOMEM;
  } catch (const std::system_error& error) {
    return error.code().value() > 0 ? -error.code().value() : -EIO;
  } catch (...) {
    return -EIO;
  }
}

char* copy_text(const std::string& text) {
  char* copy = static_cast<char*>(std::malloc(text.size() + 1));
  if (copy) std::memcpy(copy, text.c_str(), text.size() + 1);
  return copy;
}

constexpr const char* kOperations[] = {
    "none",      "truncate",     "punch",      "zero",        "collapse",    "insert",       "unshare",     "write-zeroes", "fallocate-new",
    "reflink",   "reflink-from", "dedupe",     "dedupe-from", "copy",        "copy-from",    "exchange",    "swap-extents", "move-extents",
    "swap-boot", "migrate",      "attributes", "verity",      "layout-call", "direct-write", "loop-attach",
};
static_assert(std::size(kOperations) == HF_OP_COUNT && static_cast<int>(HF_OPERATION_LOOP_ATTACH) == static_cast<int>(HF_OP_LOOP_ATTACH) &&
                  static_cast<int>(HF_OPERATION_COPY_FROM) == static_cast<int>(HF_OP_COPY_FROM) && HF_RANGES_MAX == HF_WIRE_RANGES_MAX &&
                  HF_LABEL_MAX + 1 == sizeof(hf_wire_acquire::label),
              "the public header and abi/ have come apart");

}  // namespace

int hf_connect(const char* socket_path, hf_session** session) {
  if (!session) return -EINVAL;
  if (!socket_path || !*socket_path) socket_path = secure_getenv("HOLDFAST_SOCKET");
  if (!socket_path || !*socket_path) socket_path = HF_SOCKET_DEFAULT;
  try {
    std::unique_ptr<Session> fresh;
    if (const int error = Session::connect(socket_path, HF_TIMEOUT_DEFAULT_MS, fresh)) return error;
    *session = reinterpret_cast<hf_session*>(fresh.release());
    return 0;
  } catch (const std::bad_alloc&) {
    return -ENOMEM;
  } catch (...) {
    return -EIO;
  }
}

void hf_disconnect(hf_session* session) {
  if (!session) return;
  if (of(session)->foreign()) return of(session)->close_in_child();
  delete of(session);
}

int hf_set_timeout(hf_session* session, int timeout_ms) {
  return guarded(of(session), [&] { return of(session)->set_timeout(timeout_ms); });
}

int hf_acquire(hf_session* session, int fd, const hf_range* ranges, size_t count, uint32_t flags, const char* label, hf_lease_handle** lease) {
  if (!lease) return -EINVAL;
  return guarded(of(session), [&] { return of(session)->acquire(fd, ranges, count, flags, label ? label : "", *lease); });
}

int hf_acquire_pin(hf_session* session, int fd, const hf_range* range, const char* label, hf_lease_handle** lease, int* pin_fd) {
  if (!range || !lease || !pin_fd) return -EINVAL;
  return guarded(of(session), [&] { return of(session)->acquire_pin(fd, *range, label ? label : "", *lease, *pin_fd); });
}

int hf_release(hf_lease_handle* lease) {
  if (!lease) return 0;
  return guarded(lease->session, [&] { return lease->session->release(lease); });
}

int hf_recall_answer(hf_session* session, uint64_t lease_id, uint32_t answer) {
  if (answer != HF_RECALL_FENCED && answer != HF_RECALL_REFUSED) return -EINVAL;
  return guarded(of(session), [&] { return of(session)->recall_answer(lease_id, answer); });
}

uint64_t hf_lease_id(const hf_lease_handle* lease) { return lease ? lease->id : 0; }

int hf_event_fd(hf_session* session) {
  return guarded(of(session), [&] { return of(session)->event_fd(); });
}

int hf_next_event(hf_session* session, hf_lease_event* event, size_t event_bytes) {
  // The first version's size is the smallest that there can be.
  if (!event || event_bytes < sizeof(hf_lease_event)) return -EINVAL;
  return guarded(of(session), [&] {
    hf_lease_event next;
    const int result = of(session)->next_event(next);
    if (result <= 0) return result;
    std::memset(event, 0, event_bytes);
    std::memcpy(event, &next, sizeof next);
    return 1;
  });
}

int hf_watch(hf_session* session) {
  return guarded(of(session), [&] { return of(session)->watch(); });
}

int hf_next_watch_event(hf_session* session, char** json) {
  if (!json) return -EINVAL;
  return guarded(of(session), [&] {
    std::string text;
    const int result = of(session)->next_watch_event(text);
    if (result <= 0) return result;
    char* copy = copy_text(text);
    if (!copy) return -ENOMEM;
    *json = copy;
    return 1;
  });
}

int hf_query(hf_session* session, const char* request, int fd, char** json) {
  if (!request || !json) return -EINVAL;
  return guarded(of(session), [&] {
    std::string text;
    if (const int error = of(session)->query(request, fd, text)) return error;
    char* copy = copy_text(text);
    if (!copy) return -ENOMEM;
    *json = copy;
    return 0;
  });
}

void hf_free(char* text) { std::free(text); }

size_t hf_error_text(hf_session* session, char* text, size_t text_bytes) {
  std::string whole;
  guarded(of(session), [&] {
    whole = of(session)->error_text();
    return 0;
  });
  if (text && text_bytes) {
    const size_t kept = std::min(whole.size(), text_bytes - 1);
    std::memcpy(text, whole.data(), kept);
    text[kept] = '\0';
  }
  return whole.size();
}

const char* hf_operation_name(uint32_t operation) { return operation < std::size(kOperations) ? kOperations[operation] : "unknown"; }

const char* hf_version(void) { return HOLDFAST_VERSION; }
