// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Any text is a configuration or a list of mistakes, each with its place; and what is written to the managed file reads back.
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "daemon/configuration.hpp"

namespace {

void require(bool good, const char* what) {
  if (good) return;
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const hf::Names names{[](std::string_view name) { return name.size() == 1 ? std::optional<std::uint32_t>(7) : std::nullopt; },
                        [](std::string_view name) { return name.size() == 2 ? std::optional<std::uint32_t>(8) : std::nullopt; }};
  const auto configuration = hf::check_configuration({{"a.toml", text}, {"b.toml", text}}, names);
  for (const auto& error : configuration.errors) require(error.line >= 1 && error.column >= 1 && !error.message.empty(), "a mistake without its place");
  for (const auto& rule : configuration.policy.mounts)
    if (configuration.errors.empty()) require((rule.path.empty() + rule.device.empty() + rule.type.empty()) == 2 || rule.device.empty(), "a rule for nothing");
  (void)configuration.policy.of({1, "xfs", {"/a"}}, [](const std::string&) { return std::optional<std::uint32_t>(1); });
  (void)hf::parse_bytes(text);
  (void)hf::parse_duration_s(text);

  // The managed file: whatever it was, the change stands in it afterwards.
  using Kind = hf::ManagedChange::Kind;
  const auto changed = hf::change_managed(text, {.kind = Kind::hold, .path = "/held"});
  if (!changed) return 0;
  const auto again = hf::check_configuration({{"managed", *changed}}, names);
  bool held = !again.errors.empty();
  for (const auto& hold : again.policy.holds) held = held || hold.pattern == "/held";
  require(held, "a hold that was written is not there");
  require(static_cast<bool>(hf::change_managed(*changed, {.kind = Kind::forget, .path = "/held"})), "a hold that was written can't be forgotten");
  return 0;
}
