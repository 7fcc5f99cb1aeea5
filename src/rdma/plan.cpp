// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "rdma/plan.hpp"

#include <linux/magic.h>

#include <cstring>

namespace hf::rdma {
namespace {

std::string answer(const char* way, std::optional<int> error) {
  if (!error || !*error) return {};
  const char* name = ::strerrorname_np(*error);
  return fmt::format("{}{}: {}", way, *way ? " registration" : "", name ? name : std::to_string(*error));
}

std::string answers(const Attempts& attempts) {
  const auto plain = answer("plain", attempts.plain), odp = answer("ODP", attempts.odp);
  return plain.empty() ? odp : odp.empty() ? plain : plain + ", " + odp;
}

}  // namespace

Backing backing_of(std::uint32_t magic, bool dax) {
  if (magic == TMPFS_MAGIC || magic == HUGETLBFS_MAGIC) return Backing::memory_file;
  return dax ? Backing::dax : Backing::page_cache;
}

std::vector<Plan> plans_to_try(const PlanQuestion& question) {
  const bool odp = question.adapter_odp && !question.never_odp;
  const bool odp_first = question.prefer_odp || question.backing == Backing::dax || question.backing == Backing::page_cache;
  if (question.backing == Backing::dax && question.pin) return odp ? std::vector{Plan::odp, Plan::pinned} : std::vector{Plan::pinned};
  if (!odp) return {Plan::plain};
  return odp_first ? std::vector{Plan::odp, Plan::plain} : std::vector{Plan::plain, Plan::odp};
}

Error refusal(const PlanQuestion& question, const Attempts& attempts, std::string_view what) {
  const int error = attempts.plain.value_or(attempts.odp.value_or(EOPNOTSUPP));
  const std::string said = answers(attempts);
  const auto text = [&](std::string_view why) { return fmt::format("{} can't be registered: {} ({})", what, why, said); };
  const bool pinned_too_much = attempts.plain == ENOMEM;
  if (pinned_too_much)
    return {ENOMEM, text("the process may not pin that much memory, or there is none left"),
            "Next: raise its limit on locked memory (ulimit -l; LimitMEMLOCK= of a unit)"};
  if (question.backing == Backing::dax && !question.adapter_odp && !question.pin)
    return {
        EOPNOTSUPP, text("it is on FS-DAX, which this kernel does not let be pinned for long, and the adapter has no ODP"),
        "Next: use an adapter with ODP (holdfast devices), load the kernel module holdfast-pin (Linux 6.1 to 6.14), or keep the file on tmpfs or hugetlbfs"};
  if (question.backing == Backing::dax && question.never_odp)
    return {EOPNOTSUPP, text("it is on FS-DAX, which this kernel does not let be pinned for long, and ODP was ruled out"), "Next: allow ODP"};
  if (question.backing == Backing::page_cache && question.writable && !question.adapter_odp)
    return {attempts.plain == EFAULT ? EOPNOTSUPP : error,
            text("it is in the page cache, where this kernel does not let a writable page be pinned for long, and the adapter has no ODP"),
            "Next: register it for reading only, use an adapter with ODP, or keep the file on tmpfs, hugetlbfs or FS-DAX"};
  // Before 6.2 ib_umem_get() pins with FOLL_FORCE | FOLL_WRITE whatever the access, which a read-only shared mapping does not bear.
  if (error == EFAULT && !question.writable)
    return {EFAULT, text("this kernel pins memory for reading as if for writing, and it is mapped for reading only (or not at all)"),
            "Next: map it with PROT_READ | PROT_WRITE, and register it for reading all the same"};
  if (error == EFAULT)
    return {EFAULT, text("not all of it is mapped, or not with the access that is asked for"),
            "Next: map it with PROT_WRITE, MAP_SHARED for writing; see that the file is as long as the mapping"};
  return {error, text("the adapter or its driver refused it"), "Next: holdfast devices shows what the adapter can do"};
}

std::string_view plan_word(Plan plan) {
  switch (plan) {
    case Plan::plain:
      return "plain";
    case Plan::odp:
      return "odp";
    case Plan::pinned:
      return "pinned";
    case Plan::refused:
      break;
  }
  return "refused";
}

std::string_view backing_word(Backing backing) {
  switch (backing) {
    case Backing::memory_file:
      return "memory";
    case Backing::page_cache:
      return "page-cache";
    case Backing::dax:
      return "dax";
    case Backing::anonymous:
      break;
  }
  return "anonymous";
}

}  // namespace hf::rdma
