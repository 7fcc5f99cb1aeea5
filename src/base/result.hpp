// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Failures are values with context: Result<T> holds a T or an Error that says what happened, to what, and what to do next.
#pragma once

#include <fmt/format.h>

#include <cerrno>
#include <string>
#include <system_error>
#include <tl/expected.hpp>
#include <utility>

namespace hf {

/// What went wrong, in words for a person, with the errno that a program reads.
struct [[nodiscard]] Error {
  int code = 0;         ///< positive errno
  std::string message;  ///< what happened, to which file, by whom
  std::string hint;     ///< what to do next; may be empty

  /// The message, and the hint on its own line where there is one.
  std::string text() const { return hint.empty() ? message : message + "\n  " + hint; }
};

template <class T>
using Result = tl::expected<T, Error>;
using Status = Result<void>;

inline tl::unexpected<Error> fail(int code, std::string message, std::string hint = {}) {
  return tl::unexpected<Error>(Error{code, std::move(message), std::move(hint)});
}

/// A failed system call: "CALL WHAT: strerror". Takes the code first, so that errno is read before anything else runs.
inline tl::unexpected<Error> sys_error(int code, std::string_view call, std::string_view what, std::string hint = {}) {
  return fail(code, fmt::format("{} {}: {}", call, what, std::generic_category().message(code)), std::move(hint));
}

}  // namespace hf

/// Returns the error of a Result expression from the enclosing function.
#define HF_TRY(expression)                                                                                 \
  do {                                                                                                     \
    if (auto hf_result_ = (expression); !hf_result_) return tl::unexpected(std::move(hf_result_).error()); \
  } while (0)

/// `HF_TRY_ASSIGN(auto x, f());`: x is the value, or the enclosing function returns the error.
#define HF_TRY_ASSIGN(declaration, expression) HF_TRY_ASSIGN_(declaration, expression, HF_CAT_(hf_result_, __LINE__))
#define HF_TRY_ASSIGN_(declaration, expression, name)        \
  auto name = (expression);                                  \
  if (!name) return tl::unexpected(std::move(name).error()); \
  declaration = std::move(*name)
#define HF_CAT_(a, b) HF_CAT2_(a, b)
#define HF_CAT2_(a, b) a##b
