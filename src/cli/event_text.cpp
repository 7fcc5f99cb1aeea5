// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "cli/event_text.hpp"

#include <cstring>

#include "cli/answers.hpp"
#include "cli/range.hpp"

namespace hf::cli {

namespace {

std::string lease_line(const Json& event, const char* what) {
  std::string files;
  const Json& list = member(event, "files");
  for (const Json& file : list.is_array() ? list : Json::array()) {
    const std::string extents = extents_text(member(file, "extents"));
    const std::string bare = extents_text(member(file, "unprotected"));
    files += (files.empty() ? "" : ", ") + file_text(file) + (extents.empty() ? "" : " " + extents) + (bare.empty() ? "" : " (unprotected: " + bare + ")");
  }
  const std::string state = text_at(event, "state"), device = text_at(event, "device"), label = text_at(member(event, "holder"), "label");
  return fmt::format("{} {}  {}  {}  {}{}{}", what, number_at(event, "lease"), files.empty() ? "-" : files, state, process_text(member(event, "holder")),
                     device.empty() ? "" : " on " + device, label.empty() ? "" : " \"" + label + "\"");
}

std::string reasons_text(const Json& reasons) {
  std::string out;
  for (const Json& reason : reasons.is_array() ? reasons : Json::array()) out += (out.empty() ? "" : "; ") + text_at(reason, "text");
  return out;
}

}  // namespace

std::string errno_name(int code) {
  const char* name = strerrorname_np(code);
  return name ? name : std::to_string(code);
}

std::string event_text(const hf_lease_event& event, const std::string& path) {
  const std::string file = printable(path);
  const std::string missed = event.lost_events ? fmt::format(" ({} before it were not told)", event.lost_events) : "";
  switch (event.kind) {
    case HF_LEASE_EVENT_DENIED:
    case HF_LEASE_EVENT_ESCAPED:
      return fmt::format("{} {} {} of {} by {} ({}), process {} of uid {}{}{}",
                         event.kind == HF_LEASE_EVENT_DENIED ? "refused:" : "ESCAPED, the layout has changed:", hf_operation_name(event.operation),
                         format_range(event.offset_bytes, event.length_bytes), file, printable(event.breaker_comm),
                         *event.breaker_exe ? printable(event.breaker_exe) : "executable not known", event.breaker_pid, event.breaker_uid,
                         event.error ? ", who got " + errno_name(event.error) : "", missed);
    case HF_LEASE_EVENT_LOST:
      return fmt::format("lease {} on {} is lost{}: its layout may change from now on{}", event.lease_id, file,
                         event.error ? " (" + std::generic_category().message(event.error) + ")" : "", missed);
    case HF_LEASE_EVENT_RECALL:
      return fmt::format("an administrator recalls {}: lease {} is to be released", file, event.lease_id);
    case HF_LEASE_EVENT_FENCE:
      return fmt::format("the recall of {} does not wait any longer: lease {} is to be released now", file, event.lease_id);
    case HF_LEASE_EVENT_RECALL_OVER:
      return fmt::format("the recall of {} is over (lease {})", file, event.lease_id);
    case HF_LEASE_EVENT_RECLAIMED:
      return fmt::format("holdfastd was restarted; lease {} on {} stood throughout", event.lease_id, file);
    default:
      return fmt::format("lease {} on {}: event {}", event.lease_id, file, event.kind);
  }
}

Json event_json(const hf_lease_event& event, const std::string& path) {
  static constexpr const char* kNames[] = {"unknown", "denied", "escaped", "lost", "reclaimed", "recall", "fence", "recall-over"};
  Json out{{"event", event.kind < std::size(kNames) ? kNames[event.kind] : kNames[0]}, {"lease", event.lease_id}, {"path", path}, {"time_ns", event.time_ns}};
  if (event.kind == HF_LEASE_EVENT_DENIED || event.kind == HF_LEASE_EVENT_ESCAPED) {
    const bool to_end = event.length_bytes == HF_LENGTH_TO_END;
    out["operation"] = hf_operation_name(event.operation);
    out["range"] = {{"first", event.offset_bytes}, {"end", to_end ? Json() : Json(event.offset_bytes + event.length_bytes)}};
    out["breaker"] = {
        {"pid", event.breaker_pid}, {"tid", event.breaker_tid}, {"uid", event.breaker_uid}, {"comm", event.breaker_comm}, {"executable", event.breaker_exe}};
  }
  if (event.error) out["error"] = errno_name(event.error);
  if (event.lost_events) out["lost_events"] = event.lost_events;
  return out;
}

std::string breaker_text(const Json& breaker) {
  const std::string kind = text_at(breaker, "kind"), comm = text_at(breaker, "comm"), executable = text_at(breaker, "executable"),
                    works_for = text_at(breaker, "works_for"), user = text_at(breaker, "user");
  std::string out = kind == "kernel-thread" ? "kernel thread " + comm : comm;
  out += " (";
  if (!executable.empty()) out += executable + ", ";
  out += fmt::format("pid {}, {}", number_at(breaker, "pid"), user.empty() ? fmt::format("uid {}", number_at(breaker, "uid")) : user);
  const Json& container = member(breaker, "container");
  const std::string unit = !text_at(breaker, "user_unit").empty() ? text_at(breaker, "user_unit") : text_at(breaker, "unit");
  if (container.is_object()) {
    const std::string runtime = text_at(container, "runtime");
    out += fmt::format(", {} {:.12}", runtime.empty() ? "container" : runtime, text_at(container, "id"));
  } else if (!unit.empty()) {
    out += ", " + unit;
  }
  out += ")";
  if (kind == "io_uring-worker") out += " by io_uring";
  if (!works_for.empty()) out += ", for " + works_for;
  const Json& command = member(breaker, "command_line");
  if (command.is_array() && !command.empty()) {
    out += ":";
    for (const Json& argument : command) {
      const std::string word = argument.is_string() ? argument.get<std::string>() : dump(argument);
      const bool plain = !word.empty() && word.find_first_of(" \t\n'\"\\") == std::string::npos;
      out += plain ? " " + word : " '" + word + "'";
    }
  }
  return printable(out);
}

std::string stack_text(const Json& stack, const char* indent) {
  std::string out;
  for (const Json& frame : stack.is_array() ? stack : Json::array())
    out += std::string("\n") + indent + printable(frame.is_string() ? frame.get<std::string>() : dump(frame));
  return out;
}

std::string break_text(const Json& event, const Terminal& terminal) {
  const bool escape = text_at(event, "event") == "escape";
  const std::string operation = text_at(event, "operation");
  std::string holders;
  const Json& leases = member(event, "leases");
  for (const Json& lease : leases.is_array() ? leases : Json::array()) holders += (holders.empty() ? "" : ", ") + process_text(lease);
  std::string out = fmt::format("{}  {}  {}  in {}{}  {}", escape ? terminal.paint(Colour::kAlarm, " ESCAPE ") : "traced", extent_text(member(event, "range")),
                                printable(file_text(event)), printable(text_at(event, "choke_point")),
                                operation.empty() ? "" : " (" + printable(operation) + ")", breaker_text(member(event, "breaker")));
  if (!escape) return out;
  if (!holders.empty()) out += "\n    leased by: " + printable(holders);
  out += "\n    kernel:" + stack_text(member(member(event, "breaker"), "stack"), "      ");
  if (const Json& user = member(event, "user_stack"); user.is_array() && !user.empty()) out += "\n    program:" + stack_text(user, "      ");
  return out;
}

std::string why_text(const Json& denial) {
  if (flag_at(denial, "beside")) return "  (beside the lease, of which it would take some along)";
  const std::string seal = text_at(denial, "seal");
  return seal.empty() ? "" : "  (sealed against " + seal + ")";
}

/// "WHAT by NAME[PID]: KEY VALUE, ..." of what the daemon notes about itself and its orders.
std::string note_text(const Json& event) {
  std::string more;
  for (const auto& [key, value] : event.items()) {
    if (key == "schema" || key == "event" || key == "time" || key == "what" || key == "requester" || value.is_null()) continue;
    more += (more.empty() ? ": " : ", ") + key + " " + (value.is_string() ? value.get<std::string>() : dump(value));
  }
  const Json& requester = member(event, "requester");
  return printable(text_at(event, "what") + (requester.is_object() ? " by " + process_text(requester) : "") + more);
}

std::string watch_text(const Json& event, const Terminal& terminal) {
  const std::string kind = text_at(event, "event");
  const std::string time = local_time(text_at(event, "time"));
  const std::string missed =
      number_at(event, "lost") ? terminal.paint(Colour::kYellow, fmt::format("({} before it not told) ", count_text(number_at(event, "lost"), "event"))) : "";
  const std::string stamp = (time.empty() ? "" : terminal.paint(Colour::kDim, time) + "  ") + missed;
  if (kind == "denial")
    return stamp +
           fmt::format("{} {}  {}  {}  {}", terminal.paint(Colour::kRed, printable(text_at(event, "operation"))), extent_text(member(event, "range")),
                       printable(file_text(event)), text_at(event, "error"), breaker_text(member(event, "breaker"))) +
           why_text(event);
  if (kind == "escape" || kind == "traced") return stamp + break_text(event, terminal);
  if (kind == "registration") {
    const std::string reasons = reasons_text(member(event, "reasons"));
    return stamp + printable(lease_line(event, "registered") + (reasons.empty() ? "" : ": " + reasons));
  }
  if (kind == "recall" || kind == "window" || kind == "recall_ended")
    return stamp + printable(fmt::format("{} of {} by {}: {}, {} left{}", kind == "window" ? "maintenance window" : "recall", text_at(event, "path"),
                                         process_text(member(event, "requester")), kind == "recall_ended" ? text_at(event, "outcome") : text_at(event, "phase"),
                                         count_text(number_at(event, "left"), "holder"), ""));
  if (kind == "drift") {
    std::string changes;
    const Json& list = member(event, "changes");
    for (const Json& change : list.is_array() ? list : Json::array())
      changes += "\n    " + printable(change.is_string() ? change.get<std::string>() : dump(change));
    return stamp + terminal.paint(Colour::kYellow, "drift") + "  " + printable(text_at(event, "mount")) + " is not as it was qualified:" + changes;
  }
  if (kind == "registration_ended") return stamp + printable(lease_line(event, "registration ended"));
  if (kind == "lease") return stamp + printable(lease_line(event, "lease"));
  if (kind == "lease_ended") return stamp + printable(lease_line(event, "lease ended"));
  if (kind == "daemon") return stamp + "holdfastd " + note_text(event);
  if (kind == "configuration") return stamp + "configuration: " + note_text(event);
  if (kind == "fence") return stamp + "fence " + note_text(event);
  if (kind == "lost")
    return stamp +
           terminal.paint(Colour::kYellow, fmt::format("{} of kind {} not kept: the {} had no room", count_text(number_at(event, "count"), "event"),
                                                       printable(text_at(event, "what")), text_at(event, "by") == "journal" ? "journal" : "kernel's buffer"));
  if (kind == "escapes_lost")
    return stamp +
           terminal.paint(Colour::kRed, fmt::format("ESCAPE  {} without a name: the kernel's buffer was full", count_text(number_at(event, "count"), "break")));
  if (kind == "denials_lost")
    return stamp + terminal.paint(Colour::kYellow, fmt::format("{} without a name: the kernel's buffer was full (they were refused all the same)",
                                                               count_text(number_at(event, "count"), "refusal")));
  if (kind == "dropped")
    return stamp + terminal.paint(Colour::kYellow,
                                  fmt::format("{} not shown: they came faster than they could be printed", count_text(number_at(event, "count"), "event")));
  if (kind == "reconnected") return stamp + terminal.paint(Colour::kYellow, "holdfastd was restarted; what it refused in between was not told here");
  return stamp + printable(dump(event));
}

}  // namespace hf::cli
