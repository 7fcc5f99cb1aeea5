// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Recalls under way: carries out what the state machine (src/lease/recall) decides. Everything that must outlast this daemon stands in the gate: the hold
// over the recalled file, and the window of the command.
//
// The window belongs to the process that asked (the holdfast command), and those that it starts. It ends with that process, whatever it was killed by.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "daemon/core.hpp"
#include "daemon/json.hpp"
#include "daemon/queries.hpp"
#include "lease/recall.hpp"

namespace hf {

class Recalls {
 public:
  struct Outside {
    std::function<void(const ProcessKey&, LeaseId, hf_event_kind, std::uint64_t deadline_ns)> tell;  ///< the sessions of a holder
    std::function<Status(const ProcessKey&, int signal)> signal;
    std::function<void(std::function<void()>)> hold_again;  ///< take static holds up again, then call
    std::function<void(const std::string&)> log;
    std::function<std::uint64_t()> now_ns;
  };

  Recalls(Core& core, Outside outside) : core_(core), outside_(std::move(outside)) {}

  /// Takes over what stands in the gate; what nobody alive asked for ends. Before the configuration is loaded.
  Status restore();

  /// Begins one for the peer. @param key of the file; its device alone for a whole filesystem
  Result<Json> begin(const Peer& peer, const hf_file_key& key, bool whole_filesystem, const std::string& path, const RecallRules& rules);
  /// How the peer's stands. ENOENT where it has none (any more: a daemon that restarts forgets those that had not come to their window).
  Result<Json> status(const Peer& peer) const;
  /// The peer's command has ended.
  Result<Json> finish(const Peer& peer);
  /// A holder's answer. @param answer HF_WIRE_RECALL_*
  Status answer(const ProcessKey& process, LeaseId lease, std::uint32_t answer);

  void lease_came(const Lease& lease);
  void lease_went(const Lease& lease);
  void process_went(const ProcessKey& process);
  void tick();

  bool covers(const hf_file_key& key) const;
  bool asked_by(const ProcessKey& process) const;
  std::size_t size() const { return active_.size(); }
  /// All, for `holdfast status`.
  Json list() const;

 private:
  struct Active {
    explicit Active(Recall recall) : machine(std::move(recall)) {}
    Recall machine;
    ProcessKey requester;
    std::uint32_t uid = 0;
    std::string comm;
    hf_file_key key{};
    bool whole = false;
    std::string path;
    LeaseId hold = 0;      ///< over the file, of this recall
    bool closing = false;  ///< over, but for what comes back: static holds, then the end of the hold
    bool covers(const hf_file_key& other) const { return !closing && is_target(other); }
    bool is_target(const hf_file_key& other) const {
      return whole ? other.device == key.device : other.inode == key.inode && other.device == key.device && other.generation == key.generation;
    }
  };
  using ActivePtr = std::shared_ptr<Active>;

  Status take_hold(Active& active);
  void carry_out(const ActivePtr& active, const RecallEffects& effects);
  void drain();
  void carry_out(const ActivePtr& active, const RecallEffect& effect);
  void open(Active& active);
  void close(const ActivePtr& active);
  void closed(const ActivePtr& active);
  void end_process(const Active& active, const RecallEffect& effect, int signal);
  RecallHolder holder_of(const Lease& lease) const;
  bool is_holder(const Active& active, const Lease& lease) const;
  Json json(const Active& active) const;
  void announce(const Active& active, std::string_view what) const;
  ActivePtr of(const Peer& peer) const;

  Core& core_;
  Outside outside_;
  std::map<std::uint32_t, ActivePtr> active_;  ///< by the requester's thread group
  std::map<std::uint32_t, Json> last_;         ///< how the last one of each ended, for as long as its requester lives
  std::deque<std::pair<ActivePtr, RecallEffect>> effects_;
  bool draining_ = false;
};

}  // namespace hf
