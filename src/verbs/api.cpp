// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// The C functions of verbs.h: check what comes in, know which ibv_mr is whose, keep C++ exceptions from going out.
#include <algorithm>
#include <cstring>
#include <mutex>
#include <new>
#include <unordered_map>

#include "holdfast/verbs.h"
#include "verbs/registration.hpp"

namespace {

using hf::rdma::FenceKind;
using hf::verbs::Registration;

static_assert(static_cast<int>(HF_PLAN_PLAIN) == static_cast<int>(hf::rdma::Plan::plain) &&
              static_cast<int>(HF_PLAN_ODP) == static_cast<int>(hf::rdma::Plan::odp) &&
              static_cast<int>(HF_PLAN_PINNED) == static_cast<int>(hf::rdma::Plan::pinned));

/// An ibv_mr has no room for what belongs to it, so that is found by its address.
struct Regions {
  std::mutex mutex;
  std::unordered_map<const ibv_mr*, std::unique_ptr<Registration>> by_region;

  Registration* find(const ibv_mr* mr) {
    const std::lock_guard lock(mutex);
    const auto found = by_region.find(mr);
    return found == by_region.end() ? nullptr : found->second.get();
  }
  void add(std::unique_ptr<Registration> registration) {
    const std::lock_guard lock(mutex);
    const auto* mr = registration->region();
    by_region[mr] = std::move(registration);
  }
  std::unique_ptr<Registration> take(const ibv_mr* mr) {
    const std::lock_guard lock(mutex);
    const auto found = by_region.find(mr);
    if (found == by_region.end()) return nullptr;
    auto registration = std::move(found->second);
    by_region.erase(found);
    return registration;
  }
};

/// Never destroyed: a region that a program does not end goes with its process.
Regions& regions() {
  static auto* const all = new Regions;
  return *all;
}

thread_local std::string error_text;

int fail(int error, std::string text) {
  error_text = std::move(text);
  return -error;
}
int fail(const hf::Error& error) { return fail(error.code, error.text()); }

template <class Body>
int guarded(Body body) noexcept {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return -ENOMEM;
  } catch (...) {
    return -EIO;
  }
}

void put(char (&to)[256], std::string_view text) {
  const auto kept = std::min(text.size(), sizeof to - 1);
  std::memcpy(to, text.data(), kept);
  to[kept] = '\0';
}

constexpr std::pair<hf_fence, FenceKind> kFences[] = {{HF_FENCE_REREG_DOMAIN, FenceKind::rereg_domain},
                                                      {HF_FENCE_REREG_ACCESS, FenceKind::rereg_access},
                                                      {HF_FENCE_DEREG, FenceKind::dereg},
                                                      {HF_FENCE_QUEUE_PAIRS, FenceKind::queue_pairs}};
constexpr std::uint32_t kRegionOnly = HF_FENCE_BIT(HF_FENCE_REREG_DOMAIN) | HF_FENCE_BIT(HF_FENCE_REREG_ACCESS) | HF_FENCE_BIT(HF_FENCE_DEREG);
constexpr std::uint32_t kAllFences = kRegionOnly | HF_FENCE_BIT(HF_FENCE_QUEUE_PAIRS);
constexpr std::uint32_t kAllFlags = HF_REG_SETTLE | HF_REG_ODP | HF_REG_NO_ODP | HF_REG_FD;

std::uint32_t number_of(FenceKind kind) {
  for (const auto& [number, known] : kFences)
    if (known == kind) return number;
  return 0;
}

}  // namespace

int hf_reg_mr(hf_session* session, ibv_pd* pd, void* addr, size_t length, int access, const hf_reg_options* options, ibv_mr** mr) {
  return guarded([&] {
    if (!session || !pd || !mr) return fail(EINVAL, "a session, a protection domain and a place for the region are needed");
    const auto start = reinterpret_cast<std::uintptr_t>(addr);
    if (!length || start + length < start) return fail(EINVAL, "the region is empty, or wraps around");
    hf::verbs::Request request{.session = session, .domain = pd, .address = addr, .length = length, .access = access, .options = {}};
    if (options) request.options = *options;
    const auto flags = request.options.flags;
    if (flags & ~kAllFlags) return fail(EINVAL, "unknown flags");
    if ((flags & HF_REG_NO_ODP) && ((flags & HF_REG_ODP) || (access & IBV_ACCESS_ON_DEMAND))) return fail(EINVAL, "ODP is asked for and ruled out");
    // A child's session answers this way itself; a region without files would not ask it.
    if (const int event = hf_event_fd(session); event == -ECHILD) return fail(ECHILD, "the session is the parent process's\n  Next: connect in the child");
    auto made = Registration::make(request);
    if (!made) return fail(made.error());
    *mr = (*made)->region();
    regions().add(std::move(*made));
    return 0;
  });
}

int hf_dereg_mr(ibv_mr* mr) {
  if (!mr) return 0;
  return guarded([&] {
    auto* const registration = regions().find(mr);
    if (!registration) return fail(ENOENT, "not a region of hf_reg_mr()");
    if (registration->foreign()) return fail(ECHILD, "the region is the parent process's");
    if (const int error = registration->dereg())
      return fail(error, error == EBUSY || error == EINVAL ? "the region is in use\n  Next: deallocate the memory windows that are bound to it"
                                                           : "ibv_dereg_mr failed");
    regions().take(mr);
    return 0;
  });
}

uint32_t hf_mr_plan(const ibv_mr* mr) {
  const auto* registration = regions().find(mr);
  return registration ? static_cast<uint32_t>(registration->plan()) : static_cast<uint32_t>(HF_PLAN_NONE);
}

uint64_t hf_mr_lease_id(const ibv_mr* mr, size_t index) {
  const auto* registration = regions().find(mr);
  return registration && index < registration->leases().size() ? hf_lease_id(registration->leases()[index]) : 0;
}

const char* hf_plan_name(uint32_t plan) {
  switch (plan) {
    case HF_PLAN_NONE:
      return "none";
    case HF_PLAN_PLAIN:
      return "plain";
    case HF_PLAN_ODP:
      return "odp";
    case HF_PLAN_PINNED:
      return "pinned";
    default:
      return "unknown";
  }
}

int hf_fence_mr(ibv_mr* mr, const hf_fence_options* options, hf_fence_report* report, size_t report_bytes) {
  return guarded([&] {
    if (!mr || (report && report_bytes < sizeof *report)) return fail(EINVAL, "no region, or a report of another size");
    const auto wanted = options && options->kinds ? options->kinds : kRegionOnly;
    if (wanted & ~kAllFences) return fail(EINVAL, "unknown kinds of fences");
    auto* const registration = regions().find(mr);
    if (!registration) return fail(ENOENT, "not a region of hf_reg_mr()");
    if (registration->foreign()) return fail(ECHILD, "the region is the parent process's");
    std::vector<FenceKind> kinds;
    for (const auto& [number, kind] : kFences)
      if (wanted & HF_FENCE_BIT(number)) kinds.push_back(kind);
    std::vector<ibv_qp*> pairs;
    if (options && options->queue_pairs) pairs.assign(options->queue_pairs, options->queue_pairs + options->queue_pair_count);
    const auto raised = registration->fence(kinds, std::move(pairs));
    if (!registration->region()) regions().take(mr);
    if (!raised) return fail(raised.error());
    if (report) {
      std::memset(report, 0, report_bytes);
      report->fence = number_of(raised->kind);
      put(report->proof, raised->proof);
      put(report->reach, hf::rdma::fence_reach(raised->kind));
    }
    return 0;
  });
}

const char* hf_fence_name(uint32_t fence) {
  for (const auto& [number, kind] : kFences)
    if (fence == static_cast<uint32_t>(number)) return hf::rdma::fence_word(kind).data();
  return "unknown";
}

const char* hf_verbs_error_text(void) { return error_text.c_str(); }
