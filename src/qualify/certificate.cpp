// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "qualify/certificate.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "catalog/break_sources.hpp"
#include "lease/seals.hpp"
#include "qualify/digest.hpp"

namespace hf::qualify {

namespace {

constexpr const char* kSchema = "holdfast.certificate/1";

/// Strings may be anything that a path may be; what is no UTF-8 must not stop it.
std::string dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

std::string joined(std::vector<std::string> words) {
  std::sort(words.begin(), words.end());
  return fmt::format("{}", fmt::join(words, " "));
}

Json kernel_section(const Facts& facts) {
  const auto& kernel = facts.kernel;
  return {{"release", kernel.support.release},
          {"version", kernel.version},
          {"security modules", kernel.support.lsm_list},
          {"lockdown", kernel.support.lockdown},
          {"ftrace_enabled", !kernel.ftrace_enabled   ? "none"
                             : *kernel.ftrace_enabled ? "1"
                                                      : "0"},
          {"type information", sha256_of_file("/sys/kernel/btf/vmlinux").value_or("none")}};
}

Json filesystem_section(const Facts& facts) {
  const auto& fs = facts.filesystem;
  const auto flag = [](const std::optional<bool>& value) { return !value ? "unknown" : *value ? "yes" : "no"; };
  std::vector<std::string> loops;
  for (const auto& [device, file] : fs.loops) loops.push_back(device + " on " + file);
  return {{"mount", fs.point},
          {"source", fs.source},
          {"type", fs.type},
          {"mount options", fs.flags},
          {"filesystem options", fs.options},
          {"DAX", flag(fs.dax_file)},
          {"reflink", flag(fs.reflink)},
          {"realtime", flag(fs.realtime)},
          {"zoned", flag(fs.zoned)},
          {"block size", std::to_string(fs.block_bytes)},
          {"allocation unit", std::to_string(fs.stripe_bytes)},
          {"swap files", joined(fs.swap_files)},
          {"loop devices", joined(loops)},
          {"stacked above", joined(fs.overlays) + joined(fs.stacked)},
          {"targets", joined(fs.targets)}};
}

Json adapters_section(const Facts& facts) {
  Json section = Json::object();
  for (const auto& adapter : facts.adapters)
    section[adapter.name] = fmt::format("{}, {}, firmware {}, {}; ODP {}; to write {}, to read {}", adapter.driver, adapter.transport,
                                        adapter.firmware.empty() ? "unknown" : adapter.firmware, adapter.link, adapter.odp ? "yes" : "no", adapter.writer.plan,
                                        adapter.reader.plan);
  return section;
}

Json gate_section(const Facts& facts) {
  const auto& gate = facts.gate;
  return {{"Holdfast", gate.version},
          {"daemon", gate.daemon ? gate.daemon_version : "not running"},
          {"armed by", gate.state.version},
          {"programs", gate.object},
          {"hooks", joined(gate.state.hooks)},
          {"missing hooks", joined(gate.state.missing)},
          {"guarded", gate.guarded.value_or(false) ? "yes" : "no"},
          {"seals", names_of_seals(gate.seals.value_or(0))}};
}

Json configuration_section(const Facts& facts) {
  Json section = Json::object();
  for (const auto& [file, digest] : facts.configuration) section[file] = digest;
  return section;
}

/// The catalogue that the results rest on, and which of it exists here.
Json catalogue_section(const Facts& facts) {
  Json all = Json::array();
  std::vector<std::string> here;
  for (const auto& source : break_sources()) all.push_back({source.id, source.description, name(source.verdict), source.kinds, source.hook, source.reason});
  for (const auto& one : facts.kernel.sources)
    if (one.here) here.emplace_back(one.source->id);
  return {{"sources", std::to_string(all.size())}, {"sha256", sha256(dump(all))}, {"here", joined(here)}};
}

Json neighbours_section(const Facts& facts) {
  Json section = Json::object();
  for (const auto& [key, line] : facts.neighbours.lines()) section[key] = line;
  return section;
}

Json results_section(const std::vector<Finding>& findings) {
  Json section = Json::object();
  for (const auto& finding : findings) section[finding.id] = name(finding.mark);
  return section;
}

}  // namespace

Json subject(const Facts& facts) {
  return {{"kernel", kernel_section(facts)},
          {"filesystem", filesystem_section(facts)},
          {"adapters", adapters_section(facts)},
          {"gate", gate_section(facts)},
          {"configuration", configuration_section(facts)},
          {"catalogue", catalogue_section(facts)},
          {"neighbours", neighbours_section(facts)}};
}

Json certificate(const Facts& facts, const std::vector<Finding>& findings, const std::string& host) {
  Json made{{"schema", kSchema},
            {"time", facts.time},
            {"host", host},
            {"holdfast", facts.gate.version},
            {"mount", facts.filesystem.point},
            {"qualified", qualified(findings)}};
  made["subject"] = subject(facts);
  made["digests"] = Json::object();
  for (const auto& [section, keys] : made["subject"].items()) made["digests"][section] = sha256(dump(keys));
  made["results"] = results_section(findings);
  made["findings"] = Json::array();
  for (const auto& finding : findings) made["findings"].push_back(to_json(finding));
  const auto& proof = facts.proof;
  made["proof"] = {{"trials", proof.trials},           {"open", proof.open},
                   {"unnamed", proof.unnamed},         {"differences", proof.differences},
                   {"known_open", proof.known_open},   {"soak_s", proof.soak_s ? Json(*proof.soak_s) : Json()},
                   {"rdma_writes", proof.rdma_writes}, {"rdma_lost", proof.rdma_lost}};
  made["sha256"] = sha256(dump(made));
  return made;
}

Result<Json> read_certificate(std::string_view text) {
  auto read = Json::parse(text, nullptr, false);
  if (!read.is_object() || !read.contains("schema") || read["schema"] != kSchema || !read.contains("sha256") || !read["sha256"].is_string() ||
      !read.contains("mount") || !read["mount"].is_string() || !read.contains("subject") || !read["subject"].is_object() || !read.contains("results") ||
      !read["results"].is_object())
    return fail(EINVAL, "it is no certificate of Holdfast", "Next: holdfast qualify MOUNT --certify FILE makes one");
  const auto said = read["sha256"].get<std::string>();
  auto rest = read;
  rest.erase("sha256");
  if (sha256(dump(rest)) != said)
    return fail(EINVAL, "the certificate was changed after it was made: its digest is another", "Next: take an unchanged copy, or qualify anew");
  return read;
}

std::vector<Change> compare(const Json& before, const Json& after) {
  std::vector<Change> list;
  const auto text_of = [](const Json& object, const std::string& key) {
    const auto found = object.is_object() ? object.find(key) : object.end();
    if (!object.is_object() || found == object.end()) return std::string();
    return found->is_string() ? found->get<std::string>() : found->dump();
  };
  const auto keys_of = [](const Json& object, std::vector<std::string>& keys) {
    for (const auto& [key, value] : object.items())
      if (std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(key);
  };
  std::vector<std::string> sections;
  keys_of(before, sections);
  keys_of(after, sections);
  for (const auto& section : sections) {
    const Json was = before.value(section, Json::object()), is = after.value(section, Json::object());
    std::vector<std::string> keys;
    keys_of(was, keys);
    keys_of(is, keys);
    for (const auto& key : keys)
      if (text_of(was, key) != text_of(is, key)) list.push_back({section, key, text_of(was, key), text_of(is, key)});
  }
  return list;
}

std::vector<Change> changes(const Json& certificate, const Facts& facts, const std::vector<Finding>& findings) {
  auto list = compare(certificate["subject"], subject(facts));
  auto results = results_section(findings);
  // What was tried then counts as it was: only what can be seen without trying is seen again.
  for (const char* id : {"proof.probe", "proof.soak"})
    if (certificate["results"].contains(id)) results[id] = certificate["results"][id];
  auto verdicts = compare({{"results", certificate["results"]}}, {{"results", results}});
  list.insert(list.end(), verdicts.begin(), verdicts.end());
  return list;
}

Json to_json(const Change& change) {
  const auto text_or_null = [](const std::string& text) { return text.empty() ? Json() : Json(text); };
  return {{"section", change.section}, {"key", change.key}, {"before", text_or_null(change.before)}, {"after", text_or_null(change.after)}};
}

std::string text(const Change& change) {
  const auto what = change.section + " " + change.key;
  if (change.before.empty()) return fmt::format("{}: new: {}", what, change.after);
  if (change.after.empty()) return fmt::format("{}: gone: {}", what, change.before);
  return fmt::format("{}: {} is now {}", what, change.before, change.after);
}

}  // namespace hf::qualify
