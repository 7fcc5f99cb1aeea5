// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "kernel/kallsyms.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <fstream>

#include "kernel/paths.hpp"

namespace hf {

Result<Kallsyms> Kallsyms::read(const char* path) {
  std::ifstream file(path);
  if (!file) return sys_error(errno, "open", path);
  Kallsyms result;
  result.modules_ = read_text("/proc/modules").value_or(std::string());
  std::string line;
  while (std::getline(file, line)) {
    // "ffffffff81000000 T name\t[module]"
    std::uint64_t address = 0;
    auto [at, error] = std::from_chars(line.data(), line.data() + line.size(), address, 16);
    if (error != std::errc{} || at + 3 >= line.data() + line.size()) continue;
    char kind = at[1];
    if (kind != 't' && kind != 'T' && kind != 'w' && kind != 'W') continue;
    std::string_view rest(at + 3, static_cast<std::size_t>(line.data() + line.size() - (at + 3)));
    auto tab = rest.find('\t');
    Symbol symbol{address, std::string(rest.substr(0, tab)), {}};
    if (tab != std::string_view::npos && rest.size() > tab + 3) symbol.module = std::string(rest.substr(tab + 2, rest.size() - tab - 3));
    result.symbols_.push_back(std::move(symbol));
  }
  if (result.symbols_.empty()) return fail(ENODATA, fmt::format("{} lists no functions", path));
  if (std::all_of(result.symbols_.begin(), result.symbols_.end(), [](const Symbol& s) { return s.address == 0; }))
    return fail(EACCES, "the kernel hides its symbol addresses, which the gate needs to recognise operations by their call stack",
                "sysctl kernel.kptr_restrict=1");
  std::stable_sort(result.symbols_.begin(), result.symbols_.end(), [](const Symbol& a, const Symbol& b) { return a.address < b.address; });
  return result;
}

const Kallsyms::Symbol* Kallsyms::find(std::string_view name) const {
  auto it = std::find_if(symbols_.begin(), symbols_.end(), [&](const Symbol& s) { return s.name == name; });
  return it == symbols_.end() ? nullptr : &*it;
}

std::optional<Kallsyms::Span> Kallsyms::span(std::string_view name) const {
  const Symbol* symbol = find(name);
  if (!symbol) return std::nullopt;
  auto next = std::upper_bound(symbols_.begin(), symbols_.end(), symbol->address, [](std::uint64_t address, const Symbol& s) { return address < s.address; });
  if (next == symbols_.end()) return std::nullopt;
  return Span{symbol->address, next->address};
}

std::string Kallsyms::describe(std::uint64_t address) const {
  auto next = std::upper_bound(symbols_.begin(), symbols_.end(), address, [](std::uint64_t a, const Symbol& s) { return a < s.address; });
  if (next == symbols_.begin()) return fmt::format("{:#x}", address);
  const Symbol& symbol = *std::prev(next);
  auto module = symbol.module.empty() ? std::string{} : fmt::format(" [{}]", symbol.module);
  return fmt::format("{}+{:#x}{}", symbol.name, address - symbol.address, module);
}

}  // namespace hf
