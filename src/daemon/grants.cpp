// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "daemon/grants.hpp"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>

#include <cstdio>
#include <nlohmann/json.hpp>
#include <utility>

#include "daemon/json.hpp"
#include "kernel/paths.hpp"

namespace hf {
namespace {

using nlohmann::json;

constexpr std::size_t kFileBytesMax = 1 << 30;
constexpr std::size_t kLinesBeforeRewrite = 1 << 16;

std::string line_of(LeaseId lease, const Grant& grant) {
  auto line = fmt::format(R"({{"lease":{},"token":{},"label":)", lease, grant.token);
  add_json_string(line, grant.label);
  line += R"(,"path":)";
  add_json_string(line, grant.path);
  return line += "}\n";
}

std::uint64_t number(const json& line, const char* name) {
  const auto found = line.find(name);
  return found != line.end() && found->is_number_unsigned() ? found->get<std::uint64_t>() : 0;
}

std::string text(const json& line, const char* name) {
  const auto found = line.find(name);
  return found != line.end() && found->is_string() ? found->get<std::string>() : std::string();
}

void take_line(std::string_view line_text, std::map<LeaseId, Grant>& grants) {
  const auto line = json::parse(line_text, nullptr, false);
  if (!line.is_object()) return;
  const auto lease = number(line, "lease");
  const auto token = number(line, "token");
  if (lease && token) grants.insert_or_assign(lease, Grant{token, text(line, "label"), text(line, "path")});
}

Status write_all(int fd, std::string_view bytes, const std::string& file) {
  while (!bytes.empty()) {
    const auto count = ::write(fd, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return sys_error(errno, "write", file, "Free space in /run; leases that stand go on standing.");
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  return {};
}

}  // namespace

Result<Grants> Grants::read(const std::string& file) {
  Grants grants;
  grants.file_ = file;
  const auto read = read_text(file, kFileBytesMax);
  if (!read && read.error().code != ENOENT) return tl::unexpected(read.error());
  std::string_view rest = read ? std::string_view(*read) : std::string_view();
  while (!rest.empty()) {
    const auto line = rest.substr(0, rest.find('\n'));
    take_line(line, grants.grants_);
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
  }
  return grants;
}

Status Grants::rewrite() {
  const auto fresh = file_ + ".new";
  Fd fd(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) return sys_error(errno, "open", fresh, "Holdfast keeps the tokens of leases there: make its folder writable for root.");
  std::string text;
  for (const auto& [lease, grant] : grants_) text += line_of(lease, grant);
  HF_TRY(write_all(fd.get(), text, fresh));
  if (std::rename(fresh.c_str(), file_.c_str())) return sys_error(errno, "rename", fresh);
  fd_ = std::move(fd);
  lines_ = grants_.size();
  damaged_ = false;
  return {};
}

Status Grants::append(const std::string& line) {
  // Mostly lines of leases that have ended: start anew.
  if (damaged_ || (++lines_ > kLinesBeforeRewrite && lines_ > 4 * grants_.size())) return rewrite();
  const auto written = write_all(fd_.get(), line, file_);
  damaged_ = !written;
  return written;
}

Result<std::uint64_t> Grants::add(LeaseId lease, std::string label, std::string path) {
  HF_TRY_ASSIGN(const auto token, new_token());
  Grant grant{token, std::move(label), std::move(path)};
  const auto [entry, inserted] = grants_.insert_or_assign(lease, std::move(grant));
  if (auto written = append(line_of(lease, entry->second)); !written) {
    grants_.erase(entry);
    return tl::unexpected(written.error());
  }
  return entry->second.token;
}

Result<std::uint64_t> Grants::new_token() {
  for (;;) {
    while (tokens_left_)
      if (const auto token = std::exchange(tokens_[--tokens_left_], 0)) return token;
    // Up to 256 bytes come whole (getrandom(2)).
    static_assert(sizeof(tokens_) <= 256);
    if (::getrandom(tokens_.data(), sizeof(tokens_), 0) != sizeof(tokens_)) return sys_error(errno, "getrandom", "tokens");
    tokens_left_ = tokens_.size();
  }
}

const Grant* Grants::find(LeaseId lease) const {
  const auto found = grants_.find(lease);
  return found == grants_.end() ? nullptr : &found->second;
}

}  // namespace hf
