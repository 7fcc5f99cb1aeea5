// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "verbs/registration.hpp"

#include <unistd.h>

#include <algorithm>

#include "holdfast_pin.h"

namespace hf::verbs {
namespace {

constexpr std::uint64_t kSettleStepBytes = 64ull << 20;  // bounds what one call to holdfastd takes

std::uint64_t total_bytes(const std::vector<MappedFile>& files) {
  std::uint64_t total = 0;
  for (const auto& file : files)
    for (const auto& range : file.ranges) total += range.length_bytes;
  return total;
}

}  // namespace

tl::unexpected<Error> session_error(hf_session* session, int result) {
  std::string text(hf_error_text(session, nullptr, 0), '\0');
  hf_error_text(session, text.data(), text.size() + 1);
  const auto line = text.find('\n');
  if (line == text.npos) return fail(-result, text.empty() ? std::generic_category().message(-result) : text);
  auto hint = text.substr(line + 1);
  hint.erase(0, hint.find_first_not_of(' '));
  return fail(-result, text.substr(0, line), hint);
}

Registration::Registration(const Request& request) : request_(request), owner_(::getpid()) {}

bool Registration::foreign() const { return owner_ != ::getpid(); }

Registration::~Registration() {
  if (foreign()) return;
  if (region_) ibv_dereg_mr(region_);
  view_ = {};
  for (auto* lease : leases_) hf_release(lease);
}

Result<std::unique_ptr<Registration>> Registration::make(const Request& request) {
  HF_TRY_ASSIGN(const auto files, files_of(request.address, request.length, request.options.flags & HF_REG_FD ? request.options.fd : -1));
  std::unique_ptr<Registration> made(new Registration(request));
  rdma::PlanQuestion question{
      .backing = rdma::Backing::anonymous,
      .writable = (request.access & (IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_ATOMIC | IBV_ACCESS_MW_BIND)) != 0,
      .adapter_odp = rdma::claims_odp(request.domain->context),
      .prefer_odp = (request.options.flags & HF_REG_ODP) != 0,
      .never_odp = (request.options.flags & HF_REG_NO_ODP) != 0,
      .pin = ::access(HOLDFAST_PIN_DEVICE, F_OK) == 0};
  for (const auto& file : files) question.backing = std::max(question.backing, file.backing);
  if (request.options.flags & HF_REG_SETTLE) HF_TRY(made->settle(files));
  HF_TRY(made->lease(files));
  HF_TRY(made->reg(question, files));
  return made;
}

/// Piece by piece, so that each call to holdfastd is short and its progress can be told.
Status Registration::settle(const std::vector<MappedFile>& files) {
  const auto& options = request_.options;
  const auto total = total_bytes(files);
  std::uint64_t done = 0;
  for (const auto& file : files) {
    for (const auto& range : file.ranges) {
      for (std::uint64_t at = 0; at < range.length_bytes; at += kSettleStepBytes) {
        if (options.progress && options.progress(done, total, options.progress_context)) return fail(ECANCELED, "settling was cancelled");
        const hf_range piece{range.offset_bytes + at, std::min(kSettleStepBytes, range.length_bytes - at)};
        hf_lease_handle* lease = nullptr;
        if (const int error = hf_acquire(request_.session, file.file.get(), &piece, 1, HF_ACQUIRE_SETTLE, options.label, &lease))
          return session_error(request_.session, error);
        hf_release(lease);
        done += piece.length_bytes;
      }
    }
  }
  if (options.progress && options.progress(done, total, options.progress_context)) return fail(ECANCELED, "settling was cancelled");
  return {};
}

Status Registration::lease(const std::vector<MappedFile>& files) {
  for (const auto& file : files) {
    for (std::size_t at = 0; at < file.ranges.size(); at += HF_RANGES_MAX) {
      hf_lease_handle* lease = nullptr;
      const auto count = std::min<std::size_t>(HF_RANGES_MAX, file.ranges.size() - at);
      if (const int error = hf_acquire(request_.session, file.file.get(), file.ranges.data() + at, count, 0, request_.options.label, &lease))
        return session_error(request_.session, error);
      leases_.push_back(lease);
    }
  }
  return {};
}

Status Registration::reg(const rdma::PlanQuestion& question, const std::vector<MappedFile>& files) {
  auto plans = rdma::plans_to_try(question);
  // As with ibv_reg_mr(): who says ODP gets ODP or an error.
  const bool only_odp = request_.access & IBV_ACCESS_ON_DEMAND;
  if (only_odp) plans = {rdma::Plan::odp};
  rdma::Attempts attempts;
  for (const auto plan : plans) {
    if (plan == rdma::Plan::pinned) return reg_pinned(files);
    const bool odp = plan == rdma::Plan::odp;
    region_ = ibv_reg_mr(request_.domain, request_.address, request_.length, request_.access | (odp ? IBV_ACCESS_ON_DEMAND : 0));
    if (region_) {
      plan_ = plan;
      if (odp) request_.access |= IBV_ACCESS_ON_DEMAND;
      return {};
    }
    (odp ? attempts.odp : attempts.plain) = errno;
  }
  return tl::unexpected(rdma::refusal(question, attempts, files.empty() ? "the memory" : files.front().path));
}

/// The region is made over another mapping of the same pages, and known to both ends by the addresses that the program has.
Status Registration::reg_pinned(const std::vector<MappedFile>& files) {
  if (files.size() != 1) return fail(EOPNOTSUPP, "a region over several files can't be made by holdfast-pin", "Next: register each of them by itself");
  hf_lease_handle* lease = nullptr;
  auto view = PinnedView::make(files.front(), request_.address, request_.length, request_.session, request_.options, lease);
  // That lease is of all of the file: it comes in the place of the one of the bytes.
  if (lease) std::swap(leases_.front(), lease);
  if (lease) hf_release(lease);
  if (!view) return tl::unexpected(view.error());
  region_ = ibv_reg_mr_iova(request_.domain, view->start(), request_.length, reinterpret_cast<std::uintptr_t>(request_.address), request_.access);
  if (!region_) return tl::unexpected(rdma::refusal({.backing = rdma::Backing::dax, .pin = true}, {.plain = errno, .odp = {}}, files.front().path));
  region_->addr = request_.address;
  view_ = std::move(*view);
  plan_ = rdma::Plan::pinned;
  return {};
}

int Registration::dereg() {
  if (!region_) return 0;
  if (const int error = ibv_dereg_mr(region_)) return error;
  region_ = nullptr;
  return 0;
}

Result<rdma::Raised> Registration::fence(std::span<const rdma::FenceKind> kinds, std::vector<ibv_qp*> pairs) {
  rdma::Fence fence({.region = region_, .address = request_.address, .length = request_.length, .access = request_.access, .pairs = std::move(pairs)});
  auto raised = fence.raise(kinds);
  if (fence.gone()) region_ = nullptr;
  // A region that is in quarantine keeps it; the domain goes after the region.
  if (auto quarantine = fence.take_quarantine()) quarantine_ = std::move(quarantine);
  return raised;
}

}  // namespace hf::verbs
