// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// The kernel module holdfast-pin, as the daemon uses it (kmod/holdfast_pin.h, docs/pin-module.md).
#pragma once

#include <cstdint>
#include <string>

#include "base/fd.hpp"
#include "base/result.hpp"
#include "kernel/paths.hpp"
#include "lease/extents.hpp"

namespace hf {

/// The kernel's dev_t of its device; 0 while it is not loaded.
std::uint32_t pin_device();

/// How many bindings there are, about (the device's open descriptors); 0 while it is not loaded.
int pin_bindings();

/// Does a line of /proc/PID/maps show a binding's view?
bool is_pin_view(const Mapping& mapping);

/// Binds whole pages of the file under a lease of all of it, which the gate ends from then on only when nothing pins them through the binding any more.
/// @return the descriptor for whoever fills and maps it
Result<Fd> bind_pin(int file, const Extent& bytes, std::uint64_t lease, const std::string& path);

/// Why there is no such device here, and what mends it.
Error no_pin_device(const std::string& path);

}  // namespace hf
