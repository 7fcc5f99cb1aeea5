// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// What an administrator tells the daemon to do: {"do": NAME, ...} (docs/json.md). Each is root's, but where the configuration lets a group.
#pragma once

#include <asio/awaitable.hpp>
#include <asio/steady_timer.hpp>
#include <memory>
#include <string>
#include <string_view>

#include "daemon/acquire.hpp"
#include "daemon/configuration.hpp"
#include "daemon/core.hpp"
#include "daemon/drift_watch.hpp"
#include "daemon/json.hpp"
#include "daemon/queries.hpp"
#include "daemon/recalls.hpp"
#include "daemon/static_holds.hpp"

namespace hf {

/// Does the text ask for something to be done, and not only to be told?
bool is_order(std::string_view text);

class Orders {
 public:
  Orders(Core& core, Recalls& recalls, Pools& pools, std::string configuration)
      : core_(core), recalls_(recalls), pools_(pools), directory_(std::move(configuration)) {}

  /// Who is told of what was qualified.
  void set_drift(DriftWatch* drift) { drift_ = drift; }
  /// Called with what is in force from then on.
  std::function<void(const Policy&)> applied{};

  /// Reads the configuration and puts it in force: all of it, or nothing is changed. At the daemon's start.
  Status load();
  /// The same later on: files are read beside the event loop.
  asio::awaitable<Status> reload();
  /// Takes static holds and ends those that are not wanted any more; for as long as the daemon runs.
  asio::awaitable<void> keep_holds();
  /// Once, now.
  asio::awaitable<void> hold_files();
  /// Looks for their files soon.
  void look_for_holds();

  asio::awaitable<Result<std::string>> carry_out(const Peer& peer, std::string_view text, Fd file);

 private:
  Status put_in_force(Configuration configuration);
  void note(const Peer& peer, const Json& order, const Result<Json>& done) const;
  asio::awaitable<Result<Json>> reload_order(const Peer& peer);
  asio::awaitable<Result<Json>> qualified(const Peer& peer, const Json& order);
  asio::awaitable<Result<Json>> guard(const Peer& peer, const Json& order);
  asio::awaitable<Result<Json>> hold(const Peer& peer, const Json& order, const Fd& file);
  asio::awaitable<Status> change(ManagedChange change);
  Result<Json> recall(const Peer& peer, const Json& order, const Fd& file);
  asio::awaitable<Status> hold_file(FoundFile file);

  Core& core_;
  Recalls& recalls_;
  Pools& pools_;
  std::string directory_;
  DriftWatch* drift_ = nullptr;
  std::vector<std::string> warnings_;
  std::unique_ptr<asio::steady_timer> holds_due_;
  std::set<hf_file_key> holding_;
  bool holds_again_ = false;                          ///< asked for while they were looked for
  std::map<std::string, std::string> hold_troubles_;  ///< by path: told once
};

}  // namespace hf
