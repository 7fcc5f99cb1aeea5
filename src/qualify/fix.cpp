// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "qualify/fix.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "base/fd.hpp"
#include "base/write_file.hpp"
#include "daemon/configuration.hpp"
#include "qualify/neighbours.hpp"
#include "qualify/system_files.hpp"

namespace hf::qualify {

namespace {

constexpr const char* kSysctlFile = "/etc/sysctl.d/60-holdfast-qualify.conf";

/// All or nothing, and on the disk when it returns.
Status write_file(const std::string& path, const std::string& text) {
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), error);
  if (error) return sys_error(error.value(), "mkdir", std::filesystem::path(path).parent_path().string());
  return replace_file(path, text, 0644);
}

/// A file of /proc: written in place.
Status write_value(const std::string& path, const std::string& value) {
  const Fd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd) return sys_error(errno, "open", path);
  if (::write(fd.get(), value.data(), value.size()) != static_cast<ssize_t>(value.size())) return sys_error(errno, "write", path);
  return {};
}

Status remove_file(const std::string& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return sys_error(errno, "unlink", path);
  return {};
}

std::string proc_path(const Hands& hands, std::string name) {
  std::replace(name.begin(), name.end(), '.', '/');
  return hands.root + "/proc/sys/" + name;
}

std::string drop_in(const Hands& hands, const std::string& unit) { return hands.root + "/etc/systemd/system/" + unit + ".d/" + std::string(kDropInName); }

std::string managed_file(const Hands& hands) { return hands.root + kConfigurationDirectory + "/" + kManagedFile; }

Result<Json> read_record(const Hands& hands) {
  const auto text = text_of_file(hands.undo_file);
  if (!text) return Json::array();
  auto record = Json::parse(*text, nullptr, false);
  const auto step_is_whole = [](const Json& step) {
    return step.is_object() && step.contains("kind") && step["kind"].is_string() && step.contains("subject") && step["subject"].is_string();
  };
  if (!record.is_array() || !std::all_of(record.begin(), record.end(), step_is_whole))
    return fail(EINVAL, fmt::format("{} can't be read", hands.undo_file), "Next: look at it, undo by hand what it lists, and remove it");
  return record;
}

Status write_record(const Hands& hands, const Json& record) {
  return record.empty() ? remove_file(hands.undo_file) : write_file(hands.undo_file, record.dump(2) + "\n");
}

std::vector<std::string> split(std::string_view list) {
  std::vector<std::string> words;
  while (!list.empty()) {
    const auto comma = std::min(list.find(','), list.size());
    if (comma) words.emplace_back(list.substr(0, comma));
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return words;
}

/// How it was before: what undo() puts back.
Result<Json> before(const Fix& fix, const Hands& hands) {
  Json step{{"kind", name(fix.kind)}, {"subject", fix.subject}};
  switch (fix.kind) {
    case Fix::Kind::seal: {
      const auto text = text_of_file(managed_file(hands));
      step["file"] = text ? Json(*text) : Json();
      const ManagedChange change{.kind = ManagedChange::Kind::guard, .path = fix.subject, .seals = split(fix.value), .exceptions = {}};
      HF_TRY_ASSIGN(step["becomes"], change_managed(text.value_or(""), change));
      break;
    }
    case Fix::Kind::sysctl: {
      const auto file = text_of_file(hands.root + kSysctlFile);
      step["before"] = line_of_file(proc_path(hands, fix.subject));
      step["file"] = file ? Json(*file) : Json();
      break;
    }
    case Fix::Kind::unit:
      if (text_of_file(drop_in(hands, fix.subject))) return fail(EEXIST, fmt::format("{} is there already", drop_in(hands, fix.subject)));
      break;
  }
  return step;
}

Status carry_out(const Fix& fix, const Hands& hands) {
  switch (fix.kind) {
    case Fix::Kind::seal: {
      HF_TRY(hands.daemon({{"do", "guard"}, {"path", fix.subject}, {"seals", split(fix.value)}, {"except", Json::array()}}));
      return {};
    }
    case Fix::Kind::sysctl: {
      const auto path = hands.root + kSysctlFile;
      auto text = text_of_file(path).value_or("# By holdfast qualify --fix; holdfast qualify --undo takes it back.\n");
      HF_TRY(write_file(path, text + fix.subject + " = " + fix.value + "\n"));
      return write_value(proc_path(hands, fix.subject), fix.value);
    }
    case Fix::Kind::unit:
      HF_TRY(write_file(drop_in(hands, fix.subject), std::string(kDropInText)));
      HF_TRY(hands.systemctl({"daemon-reload"}));
      return hands.systemctl({"stop", fix.subject});
  }
  return {};
}

constexpr int kChangedSince = ESTALE;

/// @errors kChangedSince where somebody else has changed it, and it was left as it is
Status put_back(const Json& step, const Hands& hands) {
  const auto kind = step["kind"].get<std::string>(), subject = step["subject"].get<std::string>();
  const auto restore = [&](const std::string& path) -> Status {
    const auto file = step.find("file");
    return file != step.end() && file->is_string() ? write_file(path, file->get<std::string>()) : remove_file(path);
  };
  if (kind == "seal") {
    const auto path = managed_file(hands);
    const auto now = text_of_file(path).value_or("");
    const auto was = step.find("file");
    // Taken, or not taken at all; anything else is somebody's later change, which is not ours to lose.
    const bool as_it_was = now == (was != step.end() && was->is_string() ? was->get<std::string>() : "");
    if (!as_it_was && now != step.value("becomes", ""))
      return fail(kChangedSince, fmt::format("{} was changed since", path),
                  fmt::format("Next: give {} the seals that it is to have with holdfast guard", subject));
    HF_TRY(restore(path));
    HF_TRY(hands.daemon({{"do", "reload"}}));
  } else if (kind == "sysctl") {
    HF_TRY(restore(hands.root + kSysctlFile));
    HF_TRY(write_value(proc_path(hands, subject), step.value("before", "")));
  } else if (kind == "unit") {
    HF_TRY(remove_file(drop_in(hands, subject)));
    (void)::rmdir(std::filesystem::path(drop_in(hands, subject)).parent_path().c_str());
    HF_TRY(hands.systemctl({"daemon-reload"}));
    // A service that was stopped may want more than this: a timer is to run again.
    if (subject.ends_with(".timer")) HF_TRY(hands.systemctl({"start", subject}));
  } else {
    return fail(EINVAL, fmt::format("the record has a step \"{}\", which this version does not know", kind), "Next: undo it with the version that made it");
  }
  return {};
}

}  // namespace

std::vector<Fix> fixes_of(const std::vector<Finding>& findings) {
  std::vector<Fix> all;
  for (const auto& finding : findings)
    for (const auto& fix : finding.fixes) {
      const auto same = std::find_if(all.begin(), all.end(), [&](const Fix& one) { return one.kind == fix.kind && one.subject == fix.subject; });
      if (same == all.end())
        all.push_back(fix);
      else if (same->value.empty())
        same->value = fix.value;
    }
  return all;
}

std::string text(const Fix& fix) {
  switch (fix.kind) {
    case Fix::Kind::seal:
      return fix.value.empty() ? fmt::format("guard {}", fix.subject) : fmt::format("guard {} and seal it against {}", fix.subject, fix.value);
    case Fix::Kind::sysctl:
      return fmt::format("set {} to {}, now and for each boot ({})", fix.subject, fix.value, kSysctlFile);
    case Fix::Kind::unit:
      return fmt::format("stop {0} and keep it from starting (/etc/systemd/system/{0}.d/{1})", fix.subject, kDropInName);
  }
  return "?";
}

Status apply(const std::vector<Fix>& fixes, const Hands& hands) {
  HF_TRY_ASSIGN(auto record, read_record(hands));
  for (const auto& fix : fixes) {
    HF_TRY_ASSIGN(auto step, before(fix, hands));
    record.push_back(std::move(step));
    HF_TRY(write_record(hands, record));
    HF_TRY(carry_out(fix, hands));
  }
  return {};
}

Result<Undone> undo(const Hands& hands) {
  HF_TRY_ASSIGN(auto record, read_record(hands));
  Undone all;
  while (!record.empty()) {
    const Json step = record.back();
    const auto what = fmt::format("{} {}", step["kind"].get<std::string>(), step["subject"].get<std::string>());
    if (const auto put = put_back(step, hands); put)
      all.done.push_back(what);
    else if (put.error().code == kChangedSince)
      all.left.push_back(fmt::format("{}: {}. {}", what, put.error().message, put.error().hint));
    else
      return tl::unexpected(put.error());
    record.erase(record.size() - 1);
    HF_TRY(write_record(hands, record));
  }
  return all;
}

}  // namespace hf::qualify
