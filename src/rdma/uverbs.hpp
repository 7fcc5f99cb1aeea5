// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// libibverbs' objects as owned ones, and the one call that libibverbs does not make for every adapter.
#pragma once

#include <infiniband/verbs.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace hf::rdma {

template <class T, auto Free>
struct Freer {
  void operator()(T* object) const { Free(object); }
};
using Context = std::unique_ptr<ibv_context, Freer<ibv_context, ibv_close_device>>;
using ProtectionDomain = std::unique_ptr<ibv_pd, Freer<ibv_pd, ibv_dealloc_pd>>;
using MemoryRegion = std::unique_ptr<ibv_mr, Freer<ibv_mr, ibv_dereg_mr>>;
using CompletionQueue = std::unique_ptr<ibv_cq, Freer<ibv_cq, ibv_destroy_cq>>;
using QueuePair = std::unique_ptr<ibv_qp, Freer<ibv_qp, ibv_destroy_qp>>;
using MemoryWindow = std::unique_ptr<ibv_mw, Freer<ibv_mw, ibv_dealloc_mw>>;

/// Memory from mmap(), unmapped at the end.
class Scratch {
 public:
  Scratch() = default;
  /// Anonymous. @return an empty one where there is no memory
  static Scratch anonymous(std::size_t bytes);
  /// Of a file. @return an empty one on failure; errno says why
  static Scratch file(int fd, std::size_t bytes, bool writable);
  Scratch(Scratch&& other) noexcept : address_(std::exchange(other.address_, nullptr)), bytes_(other.bytes_) {}
  Scratch& operator=(Scratch&& other) noexcept;
  ~Scratch();

  explicit operator bool() const { return address_ != nullptr; }
  unsigned char* data() const { return static_cast<unsigned char*>(address_); }
  std::size_t size() const { return bytes_; }

 private:
  Scratch(void* address, std::size_t bytes) : address_(address), bytes_(bytes) {}
  void* address_ = nullptr;
  std::size_t bytes_ = 0;
};

/// The names of this machine's adapters, as libibverbs lists them.
Result<std::vector<std::string>> adapter_names();
Result<Context> open_adapter(const std::string& name);

/// Does the adapter say that it has ODP at all? What it can really do, trials.hpp finds out.
bool claims_odp(ibv_context* context);

enum class ReregRoute { libibverbs, uverbs };

/**
 * Changes the protection domain (where `domain` is given) or the access of a region, by ibv_rereg_mr(), or where the adapter's provider has none, by a raw
 * REREG_MR on the uverbs descriptor: rdma-core's rxe has no rereg_mr although the kernel's has (rxe_rereg_user_mr). Updates the region's `pd`, `lkey` and
 * `rkey`.
 * @return by which way; EOPNOTSUPP where neither the provider nor the kernel's driver can, EACCES where the process has changed its credentials
 *         since it opened the device (ib_safe_file_access)
 */
Result<ReregRoute> rereg_domain(ibv_mr* region, ibv_pd* domain);
Result<ReregRoute> rereg_access(ibv_mr* region, int access);

}  // namespace hf::rdma
