// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "qualify/watcher.hpp"

#include <poll.h>

#include <cerrno>
#include <chrono>

namespace hf::qualify {

namespace {

constexpr int kReportBoundMs = 20000;

Error last_error(const holdfast::Session& session, int code) {
  std::string text = session.error_text();
  return {code, text.empty() ? std::generic_category().message(code) : std::move(text), {}};
}

bool is_of(const Json& event, pid_t pid) { return event.contains("breaker") && event["breaker"].value("pid", 0) == pid; }

}  // namespace

Result<Json> query(holdfast::Session& session, const Json& request, int fd) {
  char* text = nullptr;
  if (const int error = hf_query(session.get(), request.dump().c_str(), fd, &text)) return tl::unexpected(last_error(session, -error));
  Json answer = Json::parse(text, nullptr, false);
  hf_free(text);
  return answer;
}

Result<Watcher> Watcher::start(const Connect& connect) {
  HF_TRY_ASSIGN(auto session, connect());
  if (const int error = hf_watch(session.get())) return tl::unexpected(last_error(session, -error));
  return Watcher(std::move(session));
}

Status Watcher::drain(std::vector<Json>& events) {
  char* text = nullptr;
  int result;
  while ((result = hf_next_watch_event(session_.get(), &text)) > 0) {
    Json event = Json::parse(text, nullptr, false);
    hf_free(text);
    if (event.value("lost", 0) != 0) return fail(EOVERFLOW, "holdfastd dropped events before the probe could read them");
    events.push_back(std::move(event));
  }
  if (result < 0) return tl::unexpected(last_error(session_, -result));
  return {};
}

Status Watcher::wait(int bound_ms) {
  pollfd interest{session_.event_fd(), POLLIN, 0};
  if (poll(&interest, 1, bound_ms) < 0 && errno != EINTR) return sys_error(errno, "poll", "of events");
  return {};
}

Result<std::vector<Json>> Watcher::events(pid_t expect_of) {
  std::vector<Json> events;
  if (can_sync_) {
    const auto answer = query(session_, {{"query", "sync"}});
    if (answer) {
      HF_TRY(drain(events));
      return events;
    }
    if (answer.error().code != EINVAL) return tl::unexpected(answer.error());
    can_sync_ = false;
  }
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(kReportBoundMs);
  for (;;) {
    HF_TRY(drain(events));
    if (!expect_of) return events;
    for (const Json& event : events)
      if (is_of(event, expect_of)) return events;
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now()).count();
    if (left <= 0) return events;
    HF_TRY(wait(static_cast<int>(left)));
  }
}

Result<Trace> Trace::start(const Connect& connect, int fd) {
  Trace trace;
  HF_TRY_ASSIGN(auto session, connect());
  const auto answer = query(session, {{"query", "trace"}}, fd);
  if (answer)
    trace.session_ = std::move(session);
  else if (answer.error().code != EINVAL && answer.error().code != EPERM && answer.error().code != EACCES)
    return tl::unexpected(answer.error());
  return trace;
}

}  // namespace hf::qualify
