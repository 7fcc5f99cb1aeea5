// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "qualify/report.hpp"

#include <map>

#include "qualify/certificate.hpp"
#include "qualify/page.hpp"

namespace hf::qualify {

namespace {

Json text_or_null(const std::string& text) { return text.empty() ? Json() : Json(text); }

Json plan_json(const PlanFacts& plan) {
  return {{"plan", plan.tried ? Json(plan.plan) : Json()}, {"reason", text_or_null(plan.reason)}, {"mend", text_or_null(plan.mend)}};
}

Json adapters_json(const Facts& facts) {
  Json list = Json::array();
  for (const auto& one : facts.adapters)
    list.push_back({{"name", one.name},
                    {"driver", text_or_null(one.driver)},
                    {"firmware", text_or_null(one.firmware)},
                    {"transport", text_or_null(one.transport)},
                    {"link", text_or_null(one.link)},
                    {"odp", one.odp},
                    {"fence", one.fence ? Json(*one.fence) : Json()},
                    {"region_bytes", one.region_bytes},
                    {"writer", plan_json(one.writer)},
                    {"reader", plan_json(one.reader)}});
  return list;
}

Json files_json(const Facts& facts) {
  Json list = Json::array();
  for (const auto& file : facts.filesystem.files)
    list.push_back({{"path", file.path},
                    {"leased", file.leased},
                    {"size_bytes", file.size_bytes},
                    {"hole_bytes", file.hole_bytes},
                    {"unwritten_bytes", file.unwritten_bytes},
                    {"shared_bytes", file.shared_bytes},
                    {"trouble", text_or_null(file.trouble)}});
  return list;
}

std::string outcome(const Trial& trial) {
  if (!trial.attempt.reached) return "no route";
  if (!trial.differences.empty()) return "differs";
  if (!trial.changed.empty()) return "breaks";
  if (trial.verdict == actions::Verdict::cannot_run) return "cannot run";
  if (trial.verdict == actions::Verdict::allowed) return "harmless";
  return "refused";
}

/// How often each source ended how.
Json matrix_json(const Collected& collected) {
  std::map<std::string, std::map<std::string, int>> counts;
  if (collected.probe)
    for (const auto& trial : collected.probe->trials) counts[std::string(trial.action->source)][outcome(trial)]++;
  Json list = Json::array();
  for (const auto& [source, here] : collected.facts.kernel.sources) {
    Json outcomes = Json::object();
    for (const auto& [word, count] : counts[std::string(source->id)]) outcomes[word] = count;
    list.push_back({{"source", source->id},
                    {"description", source->description},
                    {"verdict", hf::name(source->verdict)},
                    {"here", here},
                    {"concerns", (source->kinds & collected.facts.filesystem.kind) != 0},
                    {"reason", text_or_null(std::string(source->reason))},
                    {"outcomes", std::move(outcomes)}});
  }
  return list;
}

Json proof_json(const ProofFacts& proof) {
  return {{"asked", proof.asked},
          {"error", text_or_null(proof.error)},
          {"trials", proof.trials},
          {"seconds", proof.seconds},
          {"open", proof.open},
          {"unnamed", proof.unnamed},
          {"differences", proof.differences},
          {"known_open", proof.known_open},
          {"soak_s", proof.soak_s ? Json(*proof.soak_s) : Json()},
          {"rdma_writes", proof.rdma_writes},
          {"rdma_lost", proof.rdma_lost}};
}

}  // namespace

Json to_json(const Collected& collected, const std::vector<Finding>& findings, const std::string& host) {
  const auto& facts = collected.facts;
  Json list = Json::array();
  for (const auto& finding : findings) list.push_back(to_json(finding));
  return {{"schema", "holdfast.qualify/1"},
          {"time", facts.time},
          {"host", host},
          {"holdfast", facts.gate.version},
          {"kernel", facts.kernel.support.release},
          {"mount", facts.filesystem.point},
          {"qualified", qualified(findings)},
          {"counts",
           {{"pass", count(findings, Mark::pass)},
            {"risk", count(findings, Mark::risk)},
            {"fail", count(findings, Mark::fail)},
            {"not_applicable", count(findings, Mark::not_applicable)}}},
          {"findings", std::move(list)},
          {"subject", subject(facts)},
          {"adapters", adapters_json(facts)},
          {"files", files_json(facts)},
          {"matrix", matrix_json(collected)},
          {"proof", proof_json(facts.proof)}};
}

Json history(const Collected& collected) {
  const auto list = [](const Json& answer, const char* name) { return answer.is_object() && answer.contains(name) ? answer[name] : Json::array(); };
  return {{"denials", collected.denials.events},
          {"escapes", collected.escapes.events},
          {"older", collected.denials.older || collected.escapes.older},
          {"trouble", text_or_null(collected.denials.trouble)},
          {"leases", list(collected.leases, "files")},
          {"registrations", list(collected.registrations, "registrations")}};
}

std::string html(const Json& report, const Json& history) {
  auto data = Json{{"report", report}, {"history", history}}.dump(-1, ' ', false, Json::error_handler_t::replace);
  // Names of files and programs are anyone's choice: nothing of them may end the element that they stand in.
  std::string safe;
  safe.reserve(data.size());
  for (const char c : data) {
    if (c == '<')
      safe += "\\u003c";
    else if (c == '>')
      safe += "\\u003e";
    else if (c == '&')
      safe += "\\u0026";
    else
      safe += c;
  }
  std::string page(kPage);
  constexpr std::string_view kPlace = "{\"holdfast\": \"data\"}";
  page.replace(page.find(kPlace), kPlace.size(), safe);
  return page;
}

}  // namespace hf::qualify
