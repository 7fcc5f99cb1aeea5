// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "daemon/json.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include "catalog/break_sources.hpp"
#include "catalog/choke_points.hpp"
#include "daemon/words.hpp"
#include "lease/admission.hpp"
#include "decide.h"
#include "kernel/paths.hpp"
#include "lease/seals.hpp"

namespace hf {
namespace {

constexpr const char* kEventSchema = "holdfast.event/1";

/// A field that can be missing: its value, or null with the reason in "missing".
template <class T>
void put(Json& object, const char* name, const Known<T>& known) {
  if (known.value)
    object[name] = *known.value;
  else {
    object[name] = nullptr;
    object["missing"][name] = known.missing;
  }
}

const char* kind_word(TaskKind kind) {
  switch (kind) {
    case TaskKind::kKernelThread:
      return "kernel-thread";
    case TaskKind::kIoUringWorker:
      return "io_uring-worker";
    default:
      return "process";
  }
}

void put_system_call(Json& object, const Known<SystemCall>& known) {
  if (!known.value) {
    put(object, "system_call", Known<std::string>::not_known(known.missing));
    return;
  }
  const auto& call = *known.value;
  object["system_call"] = {{"name", call.name}, {"number", call.number}, {"text", call.text}, {"compat", call.compat}};
  if (!call.opcode.empty()) object["system_call"]["io_uring_opcode"] = call.opcode;
}

void put_owner(Json& object, const CgroupOwner& owner) {
  object["unit"] = owner.unit.empty() ? Json() : Json(owner.unit);
  if (!owner.user_unit.empty()) object["user_unit"] = owner.user_unit;
  object["container"] = nullptr;
  if (!owner.container) return;
  object["container"] = {{"runtime", owner.container->runtime}, {"id", owner.container->id}};
  if (!owner.container->pod.empty()) object["container"]["pod"] = owner.container->pod;
}

Json text_or_null(const std::string& text) { return text.empty() ? Json() : Json(text); }

// Events of leases are told by the thousand a second, so they are written as text at once: a tree of Json costs some twenty times as much.

void add_one(std::string& to, std::string_view text) { to += text; }
void add_one(std::string& to, std::uint64_t number) {
  std::array<char, 20> digits;
  to.append(digits.data(), std::to_chars(digits.begin(), digits.end(), number).ptr);
}
template <class... Parts>
void add(std::string& to, const Parts&... parts) {
  (add_one(to, parts), ...);
}

void add_string_or_null(std::string& to, std::string_view text) {
  if (text.empty())
    to += "null";
  else
    add_json_string(to, text);
}

/// As extents_json().
void add_extents(std::string& to, const ExtentSet& extents) {
  std::string_view before = "[";
  for (const auto& extent : extents) {
    add(to, before, R"({"first":)", extent.first, R"(,"end":)");
    if (extent.end == HF_RANGE_END)
      add(to, "null}");
    else
      add(to, extent.end, "}");
    before = ",";
  }
  to += extents.empty() ? "[]" : "]";
}

void add_file(std::string& to, const LeasedFile& file) {
  to += R"({"path":)";
  add_string_or_null(to, file.path);
  add(to, R"(,"file":{"device":")", device_major(file.key.device), ":", device_minor(file.key.device), R"(","inode":)", file.key.inode, R"(,"generation":)",
      file.key.generation, R"(},"extents":)");
  add_extents(to, file.extents);
  to += R"(,"unprotected":)";
  add_extents(to, file.unprotected);
  to += '}';
}

}  // namespace

std::string json_text(const Json& value) { return value.dump(-1, ' ', false, Json::error_handler_t::replace); }

void add_json_string(std::string& to, std::string_view text) {
  const bool plain = std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c < '\x7f' && c != '"' && c != '\\'; });
  if (plain)
    to.append(1, '"').append(text).append(1, '"');
  else
    to += json_text(Json(text));
}

Json extent_json(const Extent& extent) { return {{"first", extent.first}, {"end", extent.end == HF_RANGE_END ? Json() : Json(extent.end)}}; }

Json extents_json(const ExtentSet& extents) {
  auto list = Json::array();
  for (const auto& extent : extents) list.push_back(extent_json(extent));
  return list;
}

Json file_key_json(const hf_file_key& key) { return {{"device", device_text(key.device)}, {"inode", key.inode}, {"generation", key.generation}}; }

Json reasons_json(std::uint32_t reasons) {
  auto list = Json::array();
  for (const auto& reason : reason_words(reasons)) {
    Json entry{{"id", reason.id}, {"text", reason.text}};
    if (!reason.mend.empty()) entry["mend"] = reason.mend;
    list.push_back(std::move(entry));
  }
  return list;
}

Json breaker_json(const Breaker& breaker) {
  Json object{{"kind", kind_word(breaker.kind)},    {"pid", breaker.pid}, {"tid", breaker.tid}, {"comm", breaker.comm},
              {"thread_comm", breaker.thread_comm}, {"uid", breaker.uid}, {"gid", breaker.gid}, {"euid", breaker.euid}};
  if (!breaker.works_for.empty()) object["works_for"] = breaker.works_for;
  put(object, "user", breaker.user);
  put(object, "login_uid", breaker.login_uid);
  put(object, "executable", breaker.executable);
  put(object, "command_line", breaker.command_line);
  object["parents"] = Json::array();
  for (const auto& parent : breaker.parents) object["parents"].push_back({{"pid", parent.pid}, {"uid", parent.uid}, {"comm", parent.comm}});
  put(object, "cgroup", breaker.cgroup);
  put_owner(object, breaker.owner);
  put_system_call(object, breaker.system_call);
  put(object, "stack", breaker.stack);
  object["complete"] = breaker.complete;
  return object;
}

Json denial_json(const Denial& denial) {
  Json object{{"number", denial.number},
              {"time", wall_clock(denial.time_ns)},
              {"time_ns", denial.time_ns},
              {"operation", op_name(denial.op)},
              {"error", errno_name(denial.error)},
              {"path", text_or_null(denial.path)},
              {"file", file_key_json(denial.file)},
              {"filesystem", filesystem_name(denial.magic)},
              {"range", extent_json(denial.touched)}};
  // A seal refuses without an extent.
  object["leased"] = denial.leased.empty() ? Json() : extent_json(denial.leased);
  if (denial.leased.empty()) object["seal"] = seal_of(denial.op);
  // Beside the lease: pages of both are in one folio, or what XFS shares moves its neighbours too.
  object["beside"] = !denial.leased.empty() && !hf_overlap(denial.touched.first, denial.touched.end, denial.leased.first, denial.leased.end);
  if (denial.whole)
    object["whole_file"] = "holdfast-pin has bound pages of the file: the filesystem would wait for them in any operation on its layout, so all of it is held";
  object["detail"] = denial.detail;
  object["breaker"] = breaker_json(denial.breaker);
  object["leases"] = Json::array();
  for (const auto& lease : denial.leases)
    object["leases"].push_back({{"id", lease.id}, {"pid", lease.pid}, {"uid", lease.uid}, {"comm", lease.comm}, {"label", text_or_null(lease.label)}});
  return object;
}

Json holder_json(const Lease& lease) {
  return {{"pid", lease.holder.tgid},
          {"uid", lease.holder.uid},
          {"gid", lease.holder.gid},
          {"comm", lease.holder.comm},
          {"label", text_or_null(lease.holder.label)}};
}

std::string denial_event_json(const Denial& denial) {
  Json object{{"schema", kEventSchema}, {"event", "denial"}};
  object.update(denial_json(denial));
  return json_text(object);
}

std::string lease_event_json(std::string_view event, const Lease& lease, std::uint64_t time_ns, bool found) {
  const auto& holder = lease.holder;
  std::string text;
  text.reserve(640);
  add(text, R"({"schema":")", kEventSchema, R"(","event":")", event, R"(","time":")", wall_clock(time_ns), R"(","lease":)", lease.id, R"(,"kind":")",
      kind_word(holder.kind), R"(","state":")", state_word(lease.state), R"(","reasons":)");
  text += lease.reasons ? json_text(reasons_json(lease.reasons)) : "[]";
  add(text, R"(,"holder":{"pid":)", holder.tgid, R"(,"uid":)", holder.uid, R"(,"gid":)", holder.gid, R"(,"comm":)");
  add_json_string(text, holder.comm);
  text += R"(,"label":)";
  add_string_or_null(text, holder.label);
  text += R"(},"files":[)";
  for (const auto& file : lease.files) {
    if (&file != &lease.files.front()) text += ',';
    add_file(text, file);
  }
  text += ']';
  if (!lease.device.empty()) {
    text += R"(,"device":)";
    add_json_string(text, lease.device);
  }
  text += found ? R"(,"found":true})" : "}";
  return text;
}

std::string lost_event_json(const char* event, std::uint64_t count) {
  return json_text({{"schema", kEventSchema}, {"event", event}, {"time", wall_clock(boot_time_ns())}, {"count", count}});
}

std::string escape_event_json(const Escape& escape) {
  Json object{{"schema", kEventSchema}, {"event", escape.traced ? "traced" : "escape"}, {"severity", escape.traced ? "info" : "critical"}};
  object.update(denial_json(escape.what));
  object.erase("error");
  object.erase("detail");
  if (!escape.what.op) object["operation"] = nullptr;
  object["choke_point"] = choke_name(escape.choke);
  object["user_stack"] = escape.user_stack;
  return json_text(object);
}

}  // namespace hf
