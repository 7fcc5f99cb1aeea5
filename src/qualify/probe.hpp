// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// The probe: performs every action of the catalogue by every route on scratch files, under a lease and without one, and compares what came of it with the
// catalogue.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "catalog/actions/perform.hpp"
#include "qualify/watcher.hpp"

namespace hf::qualify {

struct ProbeOptions {
  std::string directory;
  bool keep = false;
  std::optional<std::uint64_t> soak_s;  ///< go on in random order for so long
  std::uint64_t seed = 0;               ///< of the soak's order
  std::vector<std::string> routes;      ///< names; empty: all
  std::vector<std::string> sources;     ///< ids; empty: all
  bool leased_only = false;             ///< leave out the runs without a lease
};

/// One attempt and all that was seen of it.
struct Trial {
  const actions::Action* action = nullptr;
  actions::Route route{};
  bool leased = false;
  bool sealed = false;  ///< the mount is sealed against it
  actions::Attempt attempt;
  actions::Verdict verdict{};
  std::string changed;               ///< what is no more as it was; empty: nothing
  std::vector<std::string> denials;  ///< operations that holdfastd reported as refused
  bool by_seal = false;              ///< ... because the mount is sealed, whether leased or not
  bool named = false;                ///< ... with a breaker that lacks nothing
  bool escaped = false;
  std::vector<std::string> choke_points;  ///< kernel functions through which the tripwire saw a break
  std::vector<std::string> differences;   ///< from the catalogue; empty: as it says
};

struct ProbeReport {
  std::string kernel;
  std::string directory;
  actions::Place place;
  bool tripwire = false;  ///< this holdfastd reports breaks of files that are not leased
  std::optional<std::uint64_t> seed;
  double seconds = 0;
  std::vector<Trial> trials;

  std::size_t differences() const;
  std::size_t unnamed() const;     ///< refusals without a complete breaker
  std::size_t known_open() const;  ///< trials that changed a leased layout, as the catalogue says: sources that no hook can refuse
  std::size_t open() const;        ///< trials that changed a leased layout though the catalogue says that the gate refuses them
};

struct Progress {
  std::size_t done, total;
  const Trial* last;
};

/// @param progress called after each trial; false ends the probe early, with ECANCELED
Result<ProbeReport> run_probe(const ProbeOptions& options, const Connect& connect, const std::function<bool(const Progress&)>& progress);

/// What the catalogue says against what was seen; pure.
std::vector<std::string> differences(const Trial& trial, const actions::Place& place, bool tripwire);

Json to_json(const ProbeReport& report);

}  // namespace hf::qualify
