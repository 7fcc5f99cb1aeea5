// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Answers from the journal: {"query": "history"} and {"query": "escapes"} (docs/json.md). Read beside the event loop.
#pragma once

#include <asio/awaitable.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/acquire.hpp"
#include "daemon/queries.hpp"
#include "journal/journal.hpp"

namespace hf {

class Histories {
 public:
  Histories(Core& core, Pools& pools, Journal& journal) : core_(core), pools_(pools), journal_(journal) {}

  /// @return nothing where the question is for somebody else, or where the journal can't be read and the daemon's memory has an answer
  asio::awaitable<std::optional<Result<std::string>>> answer(const Peer& peer, std::string_view text);

 private:
  Core& core_;
  Pools& pools_;
  Journal& journal_;
};

}  // namespace hf
