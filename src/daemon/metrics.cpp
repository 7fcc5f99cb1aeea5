// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "daemon/metrics.hpp"

#include <fmt/format.h>

#include <cmath>

namespace hf {
namespace {

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\n') {
      out += "\\n";
      continue;
    }
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

std::string number(double value) {
  if (value == std::floor(value) && std::abs(value) < 9e15) return fmt::format("{}", static_cast<std::int64_t>(value));
  return fmt::format("{}", value);
}

}  // namespace

void MetricsText::begin(std::string_view name, std::string_view type, std::string_view help) {
  family_ = name;
  suffix_ = type == "counter" ? "_total" : "";
  // The older form gives the type to the sample's own name.
  const auto described = form_ == Form::kOpenMetrics ? family_ : family_ + suffix_;
  text_ += fmt::format("# TYPE {} {}\n", described, type);
  if (form_ == Form::kOpenMetrics)
    for (const std::string_view unit : {"seconds", "bytes", "ratio"})
      if (family_.ends_with(fmt::format("_{}", unit))) text_ += fmt::format("# UNIT {} {}\n", described, unit);
  text_ += fmt::format("# HELP {} {}\n", described, escaped(help));
}

void MetricsText::counter(std::string_view name, std::string_view help) { begin(name, "counter", help); }
void MetricsText::gauge(std::string_view name, std::string_view help) { begin(name, "gauge", help); }
void MetricsText::histogram(std::string_view name, std::string_view help) { begin(name, "histogram", help); }

void MetricsText::sample_of(std::string_view suffix, double value, const Labels& labels) {
  std::string list;
  for (const auto& [name, text] : labels) list += fmt::format("{}{}=\"{}\"", list.empty() ? "" : ",", name, escaped(text));
  text_ += fmt::format("{}{}{} {}\n", family_, suffix, list.empty() ? "" : "{" + list + "}", number(value));
}

void MetricsText::sample(double value, const Labels& labels) { sample_of(suffix_, value, labels); }

std::string MetricsText::text() && {
  if (form_ == Form::kOpenMetrics) text_ += "# EOF\n";
  return std::move(text_);
}

const char* MetricsText::content_type(Form form) {
  return form == Form::kOpenMetrics ? "application/openmetrics-text; version=1.0.0; charset=utf-8" : "text/plain; version=0.0.4; charset=utf-8";
}

void Durations::add(std::uint64_t ns) {
  const auto seconds = static_cast<double>(ns) / 1e9;
  std::size_t bucket = 0;
  while (bucket < kBoundsS.size() && seconds > kBoundsS[bucket]) bucket++;
  counts_[bucket]++;
  sum_s_ += seconds;
}

void Durations::write(MetricsText& text) const {
  std::uint64_t count = 0;
  for (std::size_t i = 0; i < counts_.size(); i++) {
    count += counts_[i];
    text.sample_of("_bucket", static_cast<double>(count), {{"le", i < kBoundsS.size() ? fmt::format("{}", kBoundsS[i]) : "+Inf"}});
  }
  text.sample_of("_sum", sum_s_);
  text.sample_of("_count", static_cast<double>(count));
}

}  // namespace hf
