// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Where the gate's programs, maps and links stand in bpffs, and what this kernel's complete set of hooks is.
#pragma once

#include <bpf/btf.h>

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "kernel/gate.hpp"
#include "kernel/kallsyms.hpp"

namespace hf {

inline constexpr const char* kMapsDirectory = "/sys/fs/bpf/holdfast/maps";
inline constexpr const char* kLinksDirectory = "/sys/fs/bpf/holdfast/links";
inline constexpr const char* kCallPin = "/sys/fs/bpf/holdfast/call";
/// Of programs that are being put in place, and then of those whose place they have taken, until these go.
inline constexpr const char* kNewLinksDirectory = "/sys/fs/bpf/holdfast/links_new";
inline constexpr const char* kNewCallPin = "/sys/fs/bpf/holdfast/call_new";

/// The maps that are pinned; by the names of bpf/maps.bpf.h.
inline constexpr std::array kPinnedMaps = {"hf_meta",    "hf_control", "hf_fast",      "hf_facts",  "hf_request",  "hf_files",   "hf_chunks",
                                           "hf_mounts",  "hf_leases",  "hf_parts",     "hf_umems",  "hf_pinnings", "hf_flights", "hf_denials",
                                           "hf_escapes", "hf_traced",  "hf_lifecycle", "hf_listed", "hf_windows",  "hf_users",   "hf_devices"};

struct BtfDelete {
  void operator()(struct btf* btf) const { btf__free(btf); }
};
using BtfPtr = std::unique_ptr<struct btf, BtfDelete>;
Result<BtfPtr> kernel_btf();

/// What a start wants to know of the kernel's functions. Reading it is most of the time of a takeover, so each part is read once, when it is wanted first.
class KernelFunctions {
 public:
  Result<const struct btf*> btf();
  Result<const Kallsyms*> symbols();
  /// The symbols, if they were read; they are not here any more.
  std::optional<Kallsyms> take_symbols() { return std::exchange(symbols_, std::nullopt); }

 private:
  BtfPtr btf_;
  std::optional<Kallsyms> symbols_;
};
Result<GateState> gate_state(KernelFunctions& kernel);

/// What is pinned as hf_meta; nothing where there is no such map. Of another version, only what all versions have.
Result<std::optional<hf_meta>> pinned_meta();
/// Digest of the pins, and of the kernel's modules and their places. The same again, before the next boot: no hook is missing that was not missing then.
/// 0: can't be told.
std::uint64_t pins_and_modules();

/// A program of the gate and whether this kernel gets it.
struct GateHook {
  const char* program;
  const char* function;  ///< kernel function in BTF; an LSM hook's is bpf_lsm_NAME
  int arguments;         ///< that the function must have; -1: any
  bool required;         ///< false: a kernel without the function is complete without the hook
};
/// The hooks of bpf/gate.bpf.h, in their order.
const std::vector<GateHook>& gate_hooks();
/// Those that this kernel gets. @errors ENOTSUP where a required function is missing: the gate would be incomplete.
Result<std::vector<GateHook>> hooks_of_kernel(const struct btf& btf);

std::vector<std::string> list_directory(const std::string& path);
/// Removes a directory of pins, one level deep. @return how many pins went.
Result<int> remove_pins(const std::string& directory);
/// Removes what putting programs in place leaves, or has left where it was cut off. @return how many pins went.
Result<int> remove_new_pins();

}  // namespace hf
