// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// What else runs on this machine that would break a layout: units, timers and cron jobs, log rotation, rules of tmpfiles.d, NFS and SMB exports.
// Everything is read below a root folder, so that a test can be a machine.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <map>

namespace hf::qualify {

/// What a program is feared for.
enum class Hazard : std::uint8_t { defragment, scrub, trim, dedupe, backup };
std::string_view name(Hazard hazard);

struct HazardousProgram {
  std::string_view program;  ///< name of its file
  Hazard hazard;
  std::string_view does;
};
/// nullptr for a program that is harmless, or not known.
const HazardousProgram* find_hazard(std::string_view program);

/// One that will run by itself.
struct Neighbour {
  Hazard hazard{};
  std::string program;
  std::string where;  ///< "fstrim.timer", or "/etc/cron.d/dedupe:3"
  std::string unit;   ///< the systemd unit to be kept from starting; empty for cron
  std::string command;
};

struct CopyTruncate {
  std::string where;    ///< "/etc/logrotate.d/x:4"
  std::string pattern;  ///< "/mnt/pool/*.log"
};

struct TmpfilesRule {
  std::string where, type, path;
};

/// A folder of the mount that others reach over the network.
struct Export {
  std::string where, path, options;
  bool smb = false;
  bool pnfs = false;
};

struct Neighbours {
  std::vector<Neighbour> programs;
  std::vector<CopyTruncate> copytruncates;
  std::vector<TmpfilesRule> rules;
  std::vector<Export> exports;

  /// Each in one stable line, by a stable key: for certificates and for the drift watch.
  std::map<std::string, std::string> lines() const;
};

/// Those that reach into `mount`. @param root in whose place / stands
Neighbours read_neighbours(const std::string& mount, const std::string& root = "");

/// The folders in which they are told, where a change may mean another neighbour.
std::vector<std::string> neighbour_folders(const std::string& root = "");

/// Is one of the two paths in the other, or are they the same? A pattern's letters * ? [ { end the path.
bool related(std::string_view path, std::string_view mount);

/// The first line of a drop-in by which --fix keeps a unit from starting.
inline constexpr std::string_view kDropInName = "50-holdfast-qualify.conf";
inline constexpr std::string_view kDropInText =
    "# By holdfast qualify --fix; holdfast qualify --undo takes it back.\n[Unit]\nConditionPathExists=\nConditionPathExists=!/\n";

}  // namespace hf::qualify
