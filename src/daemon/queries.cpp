// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "daemon/queries.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <map>

#include "catalog/break_sources.hpp"
#include "daemon/json.hpp"
#include "daemon/words.hpp"
#include "lease/admission.hpp"
#include "lease/seals.hpp"
#include "wire.h"

namespace hf {
namespace {

constexpr std::size_t kLimitDefault = 10'000;  // entries of a list: keeps an answer far below HF_WIRE_MAX

struct Question {
  Core& core;
  const ServerFacts& server;
  const Peer& peer;
  const Json& request;
  int fd;
  const LeaseOwner* owner;

  std::size_t limit(std::size_t otherwise = kLimitDefault) const {
    const auto found = request.find("limit");
    return found != request.end() && found->is_number_unsigned() ? std::min(found->get<std::size_t>(), kLimitDefault) : otherwise;
  }
};

Json text_or_null(const std::string& text) { return text.empty() ? Json() : Json(text); }

double age_s(std::uint64_t since_ns) {
  const auto now = boot_time_ns();
  return now > since_ns ? static_cast<double>((now - since_ns) / 1'000'000) / 1000 : 0;
}

Json gate_json(const Core& core, const ServerFacts& server) {
  const auto meta = core.gate().meta();
  if (!meta) return {{"error", meta.error().message}};
  const auto missed = core.gate().tripwire_missed();
  return {{"armed_by", std::string(meta->version, ::strnlen(meta->version, sizeof(meta->version)))},
          {"abi", meta->abi_version},
          {"object", fmt::format("{:016x}", meta->object_digest)},
          {"took_over", core.gate().took_over()},
          {"complete", !core.gate().incomplete()},
          {"trouble", text_or_null(server.completing_trouble)},
          {"denials", meta->denials},
          {"denials_lost", meta->denials_lost},
          {"passed", meta->passed},
          {"registrations_seen", meta->registrations},
          {"registrations_unprotected", meta->unprotected},
          {"hints_missed", meta->hints_missed},
          {"lifecycle_lost", meta->lifecycle_lost},
          {"escapes", meta->escapes},
          {"escapes_lost", meta->escapes_lost},
          {"tripwire_missed", missed ? Json(*missed) : Json()},
          {"tripwire_blind", meta->tripwire_blind}};
}

Json mounts_json(const Core& core) {
  auto list = Json::array();
  for (const auto& [device, filesystem] : core.guards().filesystems()) {
    const auto& policy = core.guards().of(device);
    list.push_back({{"device", device_text(device)},
                    {"type", filesystem.type},
                    {"paths", filesystem.points},
                    {"guarded", policy.guard},
                    {"seals", names_of_seals(policy.seals)}});
  }
  return list;
}

std::vector<std::string> mount_points(const Core& core) {
  std::vector<std::string> points;
  for (const auto& [device, filesystem] : core.guards().filesystems()) points.insert(points.end(), filesystem.points.begin(), filesystem.points.end());
  return points;
}

Result<Json> status(const Question& question) {
  std::map<std::string, std::size_t> kinds{{"registration", 0}, {"process", 0}, {"static", 0}};
  std::map<std::string, std::size_t> states{{"protected", 0}, {"observed", 0}, {"unprotected", 0}, {"pinning", 0}};
  for (const auto& [id, lease] : question.core.table().leases()) {
    kinds[std::string(kind_word(lease.holder.kind))]++;
    if (lease.holder.kind == HF_LEASE_REGISTRATION) states[std::string(state_word(lease.state))]++;
  }
  const auto& server = question.server;
  return Json{{"schema", "holdfast.status/1"},
              {"version", server.version},
              {"pid", ::getpid()},
              {"uptime_s", age_s(server.started_ns)},
              {"socket", server.socket},
              {"node", {{"name", server.node.name}, {"machine", text_or_null(server.node.machine)}, {"boot", server.node.boot}}},
              {"gate", gate_json(question.core, server)},
              {"leases", {{"total", question.core.table().size()}, {"by_kind", kinds}}},
              {"registrations", states},
              {"files", question.core.table().files().size()},
              {"denials", {{"since_start", question.core.denials().total()}, {"remembered", question.core.denials().size()}}},
              {"escapes", {{"since_start", question.core.escapes().total()}, {"raced", question.core.raced_breaks()}}},
              {"journal", server.journal ? Json::parse(server.journal()) : Json()},
              {"connections", server.connections},
              {"watchers", server.watchers},
              {"recalls", server.recalls ? Json::parse(server.recalls()) : Json::array()},
              {"mounts", mounts_json(question.core)},
              {"qualified", server.qualified ? Json::parse(server.qualified(mount_points(question.core))) : Json::array()}};
}

Json lease_on_file_json(const Lease& lease, const LeasedFile& file) {
  return {{"id", lease.id},
          {"kind", kind_word(lease.holder.kind)},
          {"state", state_word(lease.state)},
          {"since", wall_clock(lease.since_ns)},
          {"age_s", age_s(lease.since_ns)},
          {"asked", extents_json(file.extents)},
          {"unprotected", extents_json(file.unprotected)},
          {"reasons", reasons_json(file.reasons | lease.reasons)},
          {"holder", holder_json(lease)}};
}

/// The extents as the gate protects them: rounded out, and merged where it ran out of slots.
void put_protected(const Question& question, const hf_file_key& key, Json& object) {
  object["protected"] = Json::array();
  object["merged"] = 0;
  const auto file = question.core.gate().file(key);
  if (!file) {
    object["error"] = file.error().message;
    return;
  }
  if (!*file) return;
  auto slots = (*file)->slots;
  std::sort(slots.begin(), slots.end(), [](const hf_slot& a, const hf_slot& b) { return a.first < b.first; });
  for (const auto& slot : slots) {
    auto extent = extent_json({slot.first, slot.end});
    extent["leases"] = slot.state;
    object["protected"].push_back(std::move(extent));
  }
  object["merged"] = (*file)->merged;
}

Json file_json(const Question& question, const hf_file_key& key) {
  const auto leases = question.core.table().on_file(key);
  Json object{{"path", nullptr}, {"file", file_key_json(key)}, {"filesystem", nullptr}, {"dax", false}};
  std::size_t hidden = 0;
  auto list = Json::array();
  for (const auto* lease : leases) {
    const auto& file = *lease->on(key);
    object["filesystem"] = filesystem_name(file.magic);
    object["dax"] = file.dax;
    if (!question.peer.may_see(lease->holder.uid)) {
      hidden++;
      continue;
    }
    if (!file.path.empty()) object["path"] = file.path;
    list.push_back(lease_on_file_json(*lease, file));
  }
  put_protected(question, key, object);
  object["leases"] = std::move(list);
  object["leases_of_others"] = hidden;
  return object;
}

Result<Json> leases(const Question& question) {
  auto files = Json::array();
  std::size_t left_out = 0;
  for (const auto& key : question.core.table().files()) {
    const auto on_file = question.core.table().on_file(key);
    if (std::none_of(on_file.begin(), on_file.end(), [&](const Lease* lease) { return question.peer.may_see(lease->holder.uid); })) continue;
    if (files.size() < question.limit())
      files.push_back(file_json(question, key));
    else
      left_out++;
  }
  return Json{{"schema", "holdfast.leases/1"}, {"files", std::move(files)}, {"left_out", left_out}};
}

Json registration_json(const Question& question, const Lease& lease) {
  Json object{{"id", lease.id},
              {"process", {{"pid", lease.holder.tgid}, {"uid", lease.holder.uid}, {"gid", lease.holder.gid}, {"comm", lease.holder.comm}}},
              {"device", lease.device},
              {"address", fmt::format("{:#x}", lease.address)},
              {"length_bytes", lease.length_bytes},
              {"access", access_words(lease.access)},
              {"plan", lease.odp ? "odp" : "plain"},
              {"state", state_word(lease.state)},
              {"reasons", reasons_json(lease.reasons)},
              {"warnings", question.core.warnings(lease.id)},
              {"since", wall_clock(lease.since_ns)},
              {"age_s", age_s(lease.since_ns)},
              {"files", Json::array()}};
  for (const auto& file : lease.files)
    object["files"].push_back({{"path", text_or_null(file.path)},
                               {"file", file_key_json(file.key)},
                               {"filesystem", filesystem_name(file.magic)},
                               {"dax", file.dax},
                               {"extents", extents_json(file.extents)},
                               {"unprotected", extents_json(file.unprotected)},
                               {"reasons", reasons_json(file.reasons)}});
  return object;
}

Result<Json> registrations(const Question& question) {
  auto list = Json::array();
  std::size_t left_out = 0;
  for (const auto& [id, lease] : question.core.table().leases()) {
    if (lease.holder.kind != HF_LEASE_REGISTRATION || !question.peer.may_see(lease.holder.uid)) continue;
    if (list.size() < question.limit())
      list.push_back(registration_json(question, lease));
    else
      left_out++;
  }
  return Json{{"schema", "holdfast.registrations/1"}, {"registrations", std::move(list)}, {"left_out", left_out}};
}

bool may_see(const Peer& peer, const Denial& denial) {
  return peer.may_see(denial.breaker.uid) ||
         std::any_of(denial.leases.begin(), denial.leases.end(), [&](const auto& lease) { return peer.may_see(lease.uid); });
}

Result<Json> denials(const Question& question) {
  constexpr std::size_t kUsual = 100;
  auto list = Json::array();
  for (const auto& denial : question.core.denials().last(DenialLog::kRemembered)) {
    if (list.size() == question.limit(kUsual)) break;
    if (may_see(question.peer, *denial)) list.push_back(denial_json(*denial));
  }
  return Json{{"schema", "holdfast.denials/1"}, {"denials", std::move(list)}, {"since_start", question.core.denials().total()}};
}

/// The file that `why` is about: the descriptor's, or the key in the request.
Result<hf_file_key> asked_file(const Question& question) {
  if (question.fd >= 0) {
    HF_TRY_ASSIGN(const auto seen, question.core.gate().facts(question.fd));
    return seen.file;
  }
  const auto number = [&](const char* name) -> std::uint64_t {
    const auto found = question.request.find(name);
    return found != question.request.end() && found->is_number_unsigned() ? found->get<std::uint64_t>() : 0;
  };
  hf_file_key key{
      .inode = number("inode"), .device = static_cast<std::uint32_t>(number("device")), .generation = static_cast<std::uint32_t>(number("generation"))};
  if (!key.inode)
    return fail(EINVAL, "the question \"why\" is about no file", "Send the file's descriptor with it, or \"inode\", \"device\" and \"generation\".");
  return key;
}

/// Every operation that the gate can refuse, over the whole file, for someone who holds nothing.
Result<Json> refusals(const Question& question, const hf_file_key& key) {
  auto list = Json::array();
  for (const auto& source : break_sources()) {
    if (source.op == HF_OP_NONE || source.verdict != Verdict::refused) continue;
    HF_TRY_ASSIGN(const int error, question.core.gate().would_refuse(key, source.op, 0, HF_RANGE_END, 0));
    list.push_back(
        {{"operation", source.id}, {"description", source.description}, {"refused", error != 0}, {"error", error ? Json(errno_name(error)) : Json()}});
  }
  return list;
}

Result<Json> why(const Question& question) {
  HF_TRY_ASSIGN(const auto key, asked_file(question));
  auto object = file_json(question, key);
  HF_TRY_ASSIGN(auto refused, refusals(question, key));
  const auto& held = object["protected"];
  const bool leased = !held.empty();
  Json answer{{"schema", "holdfast.why/1"}, {"leased", leased}};
  answer.update(object);
  answer["refused"] = std::move(refused);
  HF_TRY_ASSIGN(const auto policy, question.core.gate().mount(key.device));
  answer["guarded"] = !(policy.flags & HF_MOUNT_EXEMPT);
  answer["seals"] = names_of_seals(policy.seals);
  // Slots are in order: the file may be cut down to the end of the last.
  answer["smallest_size_bytes"] = leased ? held.back()["end"] : Json(0);
  const auto last = question.core.denials().last_on(key);
  answer["last_denial"] = last && may_see(question.peer, *last) ? denial_json(*last) : Json();
  return answer;
}

/// Lines of the log are events: who may see one is who it concerns.
bool may_see_escape(const Peer& peer, const Json& escape) {
  if (peer.root()) return true;
  if (escape.value("/breaker/uid"_json_pointer, 0u) == peer.uid) return true;
  const auto& leases = escape.value("leases", Json::array());
  return std::any_of(leases.begin(), leases.end(), [&](const Json& lease) { return lease.value("uid", 0u) == peer.uid; });
}

Result<Json> escapes(const Question& question) {
  auto list = Json::array();
  std::size_t left_out = 0;
  for (const auto& line : question.core.escapes().last(EscapeLog::kRemembered)) {
    auto escape = Json::parse(line, nullptr, false);
    if (escape.is_discarded() || !may_see_escape(question.peer, escape)) continue;
    if (list.size() < question.limit(100))
      list.push_back(std::move(escape));
    else
      left_out++;
  }
  return Json{{"schema", "holdfast.escapes/1"},
              {"escapes", std::move(list)},
              {"left_out", left_out},
              {"since_start", question.core.escapes().total()},
              {"file", nullptr}};
}

Result<Json> trace(const Question& question) {
  if (!question.peer.root()) return fail(EPERM, "only root may trace a file", "Run as root.");
  if (question.fd < 0) return fail(EINVAL, "the question \"trace\" is about no file", "Send the file's descriptor with it.");
  HF_TRY_ASSIGN(const auto seen, question.core.gate().facts(question.fd));
  HF_TRY(question.core.trace(seen.file, path_of_fd(question.fd).value_or(std::string()), question.owner));
  return Json{{"schema", "holdfast.trace/1"}, {"file", file_key_json(seen.file)}};
}

Result<Json> sync(const Question& question) {
  if (question.server.read_events) question.server.read_events();
  return Json{{"schema", "holdfast.sync/1"}};
}

constexpr std::pair<std::string_view, Result<Json> (*)(const Question&)> kQueries[] = {
    {"status", status}, {"leases", leases}, {"registrations", registrations}, {"why", why}, {"denials", denials}, {"escapes", escapes},
    {"trace", trace},   {"sync", sync},
};

}  // namespace

Result<std::string> answer_query(Core& core, const ServerFacts& server, const Peer& peer, std::string_view text, int fd, const LeaseOwner* owner) {
  const auto request = Json::parse(text, nullptr, false);
  const auto name = request.is_object() && request.contains("query") && request["query"].is_string() ? request["query"].get<std::string>() : std::string();
  for (const auto& [query, answer] : kQueries) {
    if (query != name) continue;
    HF_TRY_ASSIGN(const Json reply, answer({core, server, peer, request, fd, owner}));
    auto reply_text = json_text(reply);
    if (reply_text.size() > HF_WIRE_MAX) return fail(E2BIG, "the answer is larger than an answer may be", "Ask for less at a time: {\"limit\": N}");
    return reply_text;
  }
  if (name.empty()) return fail(EINVAL, "the question is not a JSON object with a \"query\"", "For example: {\"query\": \"status\"}");
  return fail(EINVAL, fmt::format("no such query: {}", name), "There are: status, leases, registrations, why, denials, escapes, history, trace, sync.");
}

}  // namespace hf
