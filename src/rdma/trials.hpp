// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// What an adapter can do, found by doing it on scratch memory of this process: nothing here is read from a list of adapters.
#pragma once

#include <string>
#include <vector>

#include "rdma/uverbs.hpp"

namespace hf::rdma {

enum class Verdict {
  works,
  fails,
  untried,  ///< it could not be tried here: `detail` says why
};

struct Trial {
  std::string id;  ///< "odp.rc.write", "rereg.access", ...; stable
  Verdict verdict = Verdict::untried;
  std::string detail;  ///< how, or why not
};

/// Tries everything. Takes up to some seconds on adapters that do not answer.
std::vector<Trial> try_adapter(ibv_context* context);

/// Those of one subject: "odp" has "odp.register", "odp.rc.write", ...
std::vector<const Trial*> trials_of(const std::vector<Trial>& trials, const std::string& subject);
bool works(const std::vector<Trial>& trials, const std::string& id);

}  // namespace hf::rdma
