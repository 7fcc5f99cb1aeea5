// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "daemon/drift.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "base/fd.hpp"
#include "base/write_file.hpp"
#include "kernel/paths.hpp"

namespace hf {

namespace {

Json to_json(const QualifiedMount& mount) {
  return {{"time", mount.time},       {"failed", mount.failed},   {"then", mount.then},
          {"drifted", mount.drifted}, {"changes", mount.changes}, {"escapes", mount.escapes}};
}

Result<QualifiedMount> from_json(const Json& json) {
  try {
    return QualifiedMount{.time = json.at("time").get<std::string>(),
                          .failed = json.at("failed").get<std::vector<std::string>>(),
                          .then = json.at("then").get<Sample>(),
                          .drifted = json.at("drifted").get<std::string>(),
                          .changes = json.at("changes").get<std::vector<std::string>>(),
                          .escapes = json.at("escapes").get<std::vector<std::string>>()};
  } catch (const std::exception& error) {
    return fail(EINVAL, error.what());
  }
}

std::vector<std::string> news(const std::vector<std::string>& known, const std::vector<std::string>& now) {
  std::vector<std::string> list;
  for (const auto& one : now)
    if (std::find(known.begin(), known.end(), one) == known.end()) list.push_back(one);
  return list;
}

}  // namespace

std::vector<std::string> differences(const Sample& before, const Sample& now) {
  std::vector<std::string> list;
  for (const auto& [key, was] : before) {
    const auto is = now.find(key);
    if (is == now.end())
      list.push_back(fmt::format("{}: gone: {}", key, was));
    else if (is->second != was)
      list.push_back(fmt::format("{}: {} is now {}", key, was, is->second));
  }
  for (const auto& [key, is] : now)
    if (!before.contains(key)) list.push_back(fmt::format("{}: new: {}", key, is));
  return list;
}

Status Drift::load() {
  if (file_.empty() || ::access(file_.c_str(), F_OK) != 0) return {};
  HF_TRY_ASSIGN(const auto text, read_text(file_, 16 << 20));
  const auto record = Json::parse(text, nullptr, false);
  if (!record.is_object()) return fail(EINVAL, fmt::format("{} can't be read: what was qualified is forgotten", file_), "Next: holdfast qualify MOUNT");
  for (const auto& [point, entry] : record.items()) {
    auto mount = from_json(entry);
    if (!mount) return fail(EINVAL, fmt::format("{}: {}: what was qualified is forgotten", file_, mount.error().message), "Next: holdfast qualify MOUNT");
    mounts_[point] = std::move(*mount);
  }
  return {};
}

Status Drift::save() const {
  if (file_.empty()) return {};
  Json record = Json::object();
  for (const auto& [point, mount] : mounts_) record[point] = to_json(mount);
  return replace_file(file_, json_text(record) + "\n", 0600);
}

Status Drift::qualified(const std::string& mount, std::vector<std::string> failed, Sample now, const std::string& time) {
  if (!mounts_.contains(mount) && mounts_.size() >= kMountsMax)
    return fail(ENOSPC, fmt::format("{} mounts are watched for drift, and no more can be", kMountsMax));
  mounts_[mount] = {.time = time, .failed = std::move(failed), .then = std::move(now), .drifted = {}, .changes = {}, .escapes = {}};
  return save();
}

Result<std::vector<std::string>> Drift::look(const std::string& mount, const Sample& now, const std::string& time) {
  const auto found = mounts_.find(mount);
  if (found == mounts_.end()) return std::vector<std::string>();
  auto& record = found->second;
  auto changes = differences(record.then, now);
  if (changes == record.changes) return std::vector<std::string>();
  const auto fresh = news(record.changes, changes);
  record.changes = std::move(changes);
  // What came back to what it was is no drift any more; an escape stays.
  if (record.changes.empty() && record.escapes.empty())
    record.drifted.clear();
  else if (record.drifted.empty())
    record.drifted = time;
  HF_TRY(save());
  return fresh;
}

Result<std::vector<std::string>> Drift::escaped(const std::string& mount, const std::string& what, const std::string& time) {
  const auto found = mounts_.find(mount);
  if (found == mounts_.end()) return std::vector<std::string>();
  auto& record = found->second;
  if (record.drifted.empty()) record.drifted = time;
  if (record.escapes.size() >= kEscapesKept) return std::vector<std::string>();
  record.escapes.push_back(what);
  HF_TRY(save());
  return std::vector{what};
}

Json Drift::list(const std::vector<std::string>& points) const {
  auto all = Json::array();
  const auto put = [&](const std::string& point, const QualifiedMount& record) {
    auto changes = record.changes;
    changes.insert(changes.end(), record.escapes.begin(), record.escapes.end());
    const char* state = !record.failed.empty() ? "not-qualified" : record.drifted.empty() ? "qualified" : "drifted";
    all.push_back({{"mount", point},
                   {"state", state},
                   {"time", record.time},
                   {"since", record.drifted.empty() ? Json() : Json(record.drifted)},
                   {"changes", changes},
                   {"failed", record.failed}});
  };
  for (const auto& [point, record] : mounts_) put(point, record);
  for (const auto& point : points)
    if (!mounts_.contains(point))
      all.push_back({{"mount", point}, {"state", "never"}, {"time", nullptr}, {"since", nullptr}, {"changes", Json::array()}, {"failed", Json::array()}});
  return all;
}

std::string drift_event_json(const std::string& mount, const std::vector<std::string>& changes, const std::string& time) {
  return json_text({{"schema", "holdfast.event/1"}, {"event", "drift"}, {"time", time}, {"mount", mount}, {"changes", changes}});
}

}  // namespace hf
