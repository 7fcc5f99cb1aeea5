// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// The checks of `holdfast qualify`: each a pure function from facts to a finding.
#pragma once

#include <span>

#include "qualify/facts.hpp"
#include "qualify/finding.hpp"

namespace hf::qualify {

using Check = Finding (*)(const Facts&);

std::span<const Check> kernel_checks();
std::span<const Check> filesystem_checks();
std::span<const Check> adapter_checks();
std::span<const Check> gate_checks();
std::span<const Check> neighbour_checks();
std::span<const Check> proof_checks();

/// All of them, in this order.
std::vector<Finding> judge(const Facts& facts);

/// The seals that a mount of this kind is to have: what would make a file's layout unfit for a lease, or act past the gate.
std::vector<std::string> wanted_seals(const FilesystemFacts& filesystem);

/// "1.5 GiB"
std::string bytes_text(std::uint64_t bytes);
/// For a shell: quoted where that is needed.
std::string quoted(const std::string& word);

}  // namespace hf::qualify
