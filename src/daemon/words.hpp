// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// The numbers of abi/kern.h in words for people, and what mends what they report.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kern.h"

namespace hf {

std::string_view kind_word(std::uint32_t kind);    ///< enum hf_lease_kind: "registration", "process", "static"
std::string_view state_word(std::uint32_t state);  ///< enum hf_lease_state: "protected", ...

struct ReasonWords {
  std::string_view id;    ///< stable
  std::string_view text;  ///< what it means
  std::string_view mend;  ///< what to do; may be empty
};
/// Those of enum hf_reason that are set.
std::vector<ReasonWords> reason_words(std::uint32_t reasons);

/// IB_ACCESS_*: "local-write", "remote-read", ...
std::vector<std::string> access_words(std::uint32_t access);

std::string errno_name(int code);               ///< "ETXTBSY", or the number
std::string device_text(std::uint32_t device);  ///< "259:0"

/// "2025-01-31T12:00:00.123Z" for nanoseconds since 1970
std::string utc_text(std::uint64_t wall_ns);
/// The same for a time of CLOCK_BOOTTIME.
std::string wall_clock(std::uint64_t boot_time_ns);
std::uint64_t boot_time_ns();

}  // namespace hf
