// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// What the daemon counts, as Prometheus and OpenMetrics read it. docs/metrics.md lists the names.
#pragma once

#include <array>
#include <concepts>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hf {

/// Text of one scrape. Families come in the order in which they are begun; a counter's samples end in _total.
class MetricsText {
 public:
  enum class Form { kPrometheus, kOpenMetrics };
  using Labels = std::vector<std::pair<std::string_view, std::string>>;

  explicit MetricsText(Form form) : form_(form) {}

  /// @param name without "_total"
  void counter(std::string_view name, std::string_view help);
  void gauge(std::string_view name, std::string_view help);
  void histogram(std::string_view name, std::string_view help);
  /// A sample of the family begun last.
  void sample(double value, const Labels& labels = {});
  template <std::unsigned_integral Number>
  void sample(Number value, const Labels& labels = {}) {
    sample(static_cast<double>(value), labels);
  }
  void sample_of(std::string_view suffix, double value, const Labels& labels = {});

  std::string text() &&;
  static const char* content_type(Form form);

 private:
  void begin(std::string_view name, std::string_view type, std::string_view help);
  Form form_;
  std::string family_;
  std::string suffix_;
  std::string text_;
};

/// How long things took, in buckets.
class Durations {
 public:
  static constexpr std::array kBoundsS{0.0001, 0.001, 0.01, 0.1, 1.0, 10.0};
  void add(std::uint64_t ns);
  void write(MetricsText& text) const;

 private:
  std::array<std::uint64_t, kBoundsS.size() + 1> counts_{};
  double sum_s_ = 0;
};

}  // namespace hf
