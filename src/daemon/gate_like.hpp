// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// What the daemon needs of the kernel side. PinnedGate is the real one; tests bring their own.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "kernel/gate.hpp"

namespace hf {

class GateLike {
 public:
  virtual ~GateLike() = default;

  virtual bool took_over() const = 0;
  virtual bool incomplete() const { return false; }
  virtual Result<Gate::Completion> complete() const { return Gate::Completion{}; }
  virtual Status adopt() { return {}; }
  virtual Result<hf_meta> meta() const = 0;
  /// Where modules were loaded since: from then on registrations have their device's name, and the tripwire sees XFS' extents.
  virtual void learn_offsets() = 0;
  virtual Result<hf_facts> facts(int fd) const = 0;
  virtual Result<std::uint64_t> lease_begin(const LeaseRecord& record) = 0;
  virtual Result<OpenOutcome> lease_open(const LeaseRecord& record, const hf_part& first, std::uint32_t page_shift) = 0;
  virtual Result<PartOutcome> lease_part(std::uint64_t lease, const hf_part& part, std::uint32_t holder, std::uint32_t page_shift) = 0;
  /// Is a break of these bytes, let through before the lease stood, still under way?
  virtual Result<bool> raced(const hf_part& part) const = 0;
  virtual Status lease_commit(std::uint64_t lease, hf_lease_state state, std::uint32_t reasons) = 0;
  virtual Status lease_end(std::uint64_t lease) = 0;
  virtual Result<int> sweep(const std::function<bool(const hf_file_key&)>& leased) = 0;
  virtual Result<bool> sweep(const hf_file_key& file) = 0;
  virtual Status trace_begin(const hf_file_key& file) = 0;
  virtual Status trace_end(const hf_file_key& file) = 0;
  virtual Result<std::uint64_t> tripwire_missed() const = 0;
  virtual Result<std::vector<KernelLease>> leases() const = 0;
  virtual Result<std::optional<KernelLease>> lease(std::uint64_t id) const = 0;
  virtual Result<std::optional<KernelFile>> file(const hf_file_key& key) const = 0;
  virtual Result<int> would_refuse(const hf_file_key& key, hf_op op, std::uint64_t first, std::uint64_t end, std::uint32_t task) const = 0;
  virtual Status set_mount(std::uint32_t device, const hf_mount& policy) = 0;
  virtual Result<hf_mount> mount(std::uint32_t device) const = 0;
  virtual Result<std::vector<std::pair<std::uint32_t, hf_mount>>> mounts() const = 0;
  virtual Status set_listed(const std::vector<hf_listed>& wanted) = 0;
  virtual void set_defaults(std::uint32_t flags, std::uint64_t user_registrations) = 0;
  virtual Status open_window(std::uint32_t tgid, std::uint64_t start_ns) = 0;
  virtual Status close_window(std::uint32_t tgid) = 0;
  virtual Result<std::vector<std::pair<std::uint32_t, std::uint64_t>>> windows() const = 0;
  virtual std::optional<Kallsyms> take_symbols() { return std::nullopt; }
  virtual std::vector<Gate::RingFill> ring_fill() const { return {}; }
  virtual std::vector<Gate::ProgramTime> program_times() const { return {}; }
  virtual int event_fd() const = 0;
  virtual Result<bool> consume(const Gate::Handlers& handlers) = 0;
};

class PinnedGate final : public GateLike {
 public:
  explicit PinnedGate(std::unique_ptr<Gate> gate) : gate_(std::move(gate)) {}

  bool took_over() const override { return gate_->took_over(); }
  bool incomplete() const override { return gate_->incomplete(); }
  Result<Gate::Completion> complete() const override { return gate_->complete(); }
  Status adopt() override { return gate_->adopt(); }
  Result<hf_meta> meta() const override { return gate_->meta(); }
  void learn_offsets() override { gate_->learn_offsets(); }
  Result<hf_facts> facts(int fd) const override { return gate_->facts(fd); }
  Result<std::uint64_t> lease_begin(const LeaseRecord& record) override { return gate_->lease_begin(record); }
  Result<OpenOutcome> lease_open(const LeaseRecord& record, const hf_part& first, std::uint32_t page_shift) override {
    return gate_->lease_open(record, first, page_shift);
  }
  Result<PartOutcome> lease_part(std::uint64_t lease, const hf_part& part, std::uint32_t holder, std::uint32_t page_shift) override {
    return gate_->lease_part(lease, part, holder, page_shift);
  }
  Result<bool> raced(const hf_part& part) const override { return gate_->raced(part); }
  Status lease_commit(std::uint64_t lease, hf_lease_state state, std::uint32_t reasons) override { return gate_->lease_commit(lease, state, reasons); }
  Status lease_end(std::uint64_t lease) override { return gate_->lease_end(lease); }
  Result<int> sweep(const std::function<bool(const hf_file_key&)>& leased) override { return gate_->sweep(leased); }
  Result<bool> sweep(const hf_file_key& file) override { return gate_->sweep(file); }
  Status trace_begin(const hf_file_key& file) override { return gate_->trace_begin(file); }
  Status trace_end(const hf_file_key& file) override { return gate_->trace_end(file); }
  Result<std::uint64_t> tripwire_missed() const override { return gate_->tripwire_missed(); }
  Result<std::vector<KernelLease>> leases() const override { return gate_->leases(); }
  Result<std::optional<KernelLease>> lease(std::uint64_t id) const override { return gate_->lease(id); }
  Result<std::optional<KernelFile>> file(const hf_file_key& key) const override { return gate_->file(key); }
  Result<int> would_refuse(const hf_file_key& key, hf_op op, std::uint64_t first, std::uint64_t end, std::uint32_t task) const override {
    return gate_->would_refuse(key, op, first, end, task);
  }
  Status set_mount(std::uint32_t device, const hf_mount& policy) override { return gate_->set_mount(device, policy); }
  Result<hf_mount> mount(std::uint32_t device) const override { return gate_->mount(device); }
  Result<std::vector<std::pair<std::uint32_t, hf_mount>>> mounts() const override { return gate_->mounts(); }
  Status set_listed(const std::vector<hf_listed>& wanted) override { return gate_->set_listed(wanted); }
  void set_defaults(std::uint32_t flags, std::uint64_t user_registrations) override { gate_->set_defaults(flags, user_registrations); }
  Status open_window(std::uint32_t tgid, std::uint64_t start_ns) override { return gate_->open_window(tgid, start_ns); }
  Status close_window(std::uint32_t tgid) override { return gate_->close_window(tgid); }
  Result<std::vector<std::pair<std::uint32_t, std::uint64_t>>> windows() const override { return gate_->windows(); }
  std::optional<Kallsyms> take_symbols() override { return gate_->take_symbols(); }
  std::vector<Gate::RingFill> ring_fill() const override { return gate_->ring_fill(); }
  std::vector<Gate::ProgramTime> program_times() const override { return gate_->program_times(); }
  int event_fd() const override { return gate_->event_fd(); }
  Result<bool> consume(const Gate::Handlers& handlers) override { return gate_->consume(handlers); }

 private:
  std::unique_ptr<Gate> gate_;
};

}  // namespace hf
