// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Remote writes into a registered file, by a process of their own, while another one tries to break its layout and the probe does all that it does.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.hpp"
#include "qualify/facts.hpp"

namespace hf::qualify {

struct SoakResult {
  std::uint64_t writes = 0;  ///< RDMA writes that completed
  std::uint64_t lost = 0;    ///< ... and were not in the file afterwards
  std::string error;         ///< why there were none, or why they ended
};

class Soak {
 public:
  /// Begins on the first adapter that files of this mount can be registered on. It goes on until finish(), or until this process ends.
  static Soak start(const std::string& mount, const std::vector<AdapterFacts>& adapters);
  SoakResult finish();

 private:
  std::string trouble_;  ///< it could not begin
  Fd stop_, result_;
  pid_t process_ = -1;
};

}  // namespace hf::qualify
