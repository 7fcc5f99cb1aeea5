// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "cli/daemon_client.hpp"

#include <cstdlib>

#include "wire.h"

namespace hf::cli {

Result<holdfast::Session> connect(const Cli& cli) {
  const char* environment = std::getenv("HOLDFAST_SOCKET");
  const std::string path = !cli.socket.empty() ? cli.socket : environment && *environment ? environment : HF_SOCKET_DEFAULT;
  std::error_code error;
  auto session = holdfast::Session::connect(path, error);
  switch (error.value()) {
    case 0:
      return session;
    case ENOENT:
    case ECONNREFUSED:
      return fail(ENOTCONN, fmt::format("holdfastd isn't running: nobody listens on {}", path),
                  "Next: systemctl start holdfastd. (A gate that is armed goes on refusing without it: holdfast gate status)");
    case EACCES:
    case EPERM:
      return fail(EACCES, fmt::format("not permitted to talk to holdfastd on {}", path), "Next: run it as root, or ask for access to the socket");
    case ENAMETOOLONG:
      return fail(EINVAL, fmt::format("{} is too long for a socket's path", path), "Next: choose one of at most 107 bytes");
    case EPROTO:
      return fail(EPROTO, fmt::format("what answers on {} is not holdfastd", path), "Next: check --socket and $HOLDFAST_SOCKET");
    case EPROTONOSUPPORT:
      return fail(EPROTO, fmt::format("holdfastd on {} is of another release than this holdfast ({})", path, hf_version()),
                  "Next: after an upgrade: systemctl restart holdfastd");
    case ETIMEDOUT:
      return fail(ETIMEDOUT, fmt::format("holdfastd on {} does not answer", path), "Next: systemctl status holdfastd; journalctl -u holdfastd");
    default:
      return fail(error.value(), fmt::format("cannot connect to holdfastd on {}: {}", path, error.message()), "Next: check --socket");
  }
}

Error last_error(const holdfast::Session& session, int code) {
  std::string text = session.error_text();
  return {code, text.empty() ? std::generic_category().message(code) : std::move(text), {}};
}

Result<Json> query(holdfast::Session& session, const Json& request, int fd) {
  char* text = nullptr;
  if (const int error = hf_query(session.get(), dump(request).c_str(), fd, &text)) return tl::unexpected(last_error(session, -error));
  Json answer = Json::parse(text, nullptr, false);
  hf_free(text);
  if (answer.is_discarded())
    return fail(EPROTO, "holdfastd's answer is not JSON", "Next: are holdfast and holdfastd of one version? systemctl restart holdfastd");
  return answer;
}

Result<Json> ask(const Cli& cli, const Json& request, int fd) {
  HF_TRY_ASSIGN(auto session, connect(cli));
  return query(session, request, fd);
}

std::string dump(const Json& json, int indent) { return json.dump(indent, ' ', false, Json::error_handler_t::replace); }

}  // namespace hf::cli
