// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "rdma/uverbs.hpp"

#include <rdma/ib_user_verbs.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

namespace hf::rdma {
namespace {

/// A request as uverbs reads it from write(2): header and body without a gap.
struct ReregCommand {
  ib_uverbs_cmd_hdr header;
  ib_uverbs_rereg_mr body;
};
static_assert(sizeof(ReregCommand) == 56, "uverbs counts the request in words of 4 bytes");

int raw_rereg(ibv_mr* region, std::uint32_t flags, ibv_pd* domain, int access) {
  ib_uverbs_rereg_mr_resp response{};
  ReregCommand command{};
  command.header.command = IB_USER_VERBS_CMD_REREG_MR;
  command.header.in_words = sizeof command / 4;
  command.header.out_words = sizeof response / 4;
  command.body.response = reinterpret_cast<std::uintptr_t>(&response);
  command.body.mr_handle = region->handle;
  command.body.flags = flags;
  command.body.pd_handle = domain ? domain->handle : 0;
  command.body.access_flags = static_cast<std::uint32_t>(access);
  if (::write(region->context->cmd_fd, &command, sizeof command) != static_cast<ssize_t>(sizeof command)) return errno;
  if (response.lkey || response.rkey) {
    region->lkey = response.lkey;
    region->rkey = response.rkey;
  }
  return 0;
}

Result<ReregRoute> rereg(ibv_mr* region, int flags, ibv_pd* domain, int access, const char* what) {
  errno = 0;
  if (ibv_rereg_mr(region, flags, domain, nullptr, 0, access) == 0) return ReregRoute::libibverbs;
  const int by_provider = errno;
  if (by_provider != EOPNOTSUPP && by_provider != ENOSYS && by_provider != 0) return sys_error(by_provider, "ibv_rereg_mr", what);
  const int by_kernel = raw_rereg(region, static_cast<std::uint32_t>(flags), domain, access);
  if (by_kernel == 0) {
    if (domain) region->pd = domain;
    return ReregRoute::uverbs;
  }
  // ENOSYS is libibverbs' word, EOPNOTSUPP the kernel's, for the same.
  return sys_error(by_kernel == ENOSYS ? EOPNOTSUPP : by_kernel, "uverbs REREG_MR", what);
}

}  // namespace

Scratch Scratch::anonymous(std::size_t bytes) {
  void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return memory == MAP_FAILED ? Scratch() : Scratch(memory, bytes);
}

Scratch Scratch::file(int fd, std::size_t bytes, bool writable) {
  void* memory = ::mmap(nullptr, bytes, PROT_READ | (writable ? PROT_WRITE : 0), MAP_SHARED, fd, 0);
  return memory == MAP_FAILED ? Scratch() : Scratch(memory, bytes);
}

Scratch& Scratch::operator=(Scratch&& other) noexcept {
  std::swap(address_, other.address_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

Scratch::~Scratch() {
  if (address_) ::munmap(address_, bytes_);
}

Result<std::vector<std::string>> adapter_names() {
  int count = 0;
  const std::unique_ptr<ibv_device*, Freer<ibv_device*, ibv_free_device_list>> list(ibv_get_device_list(&count));
  if (!list) return sys_error(errno, "ibv_get_device_list", "", errno == ENOSYS ? "Next: modprobe ib_uverbs, and the adapter's driver" : "");
  std::vector<std::string> names;
  for (int i = 0; i < count; ++i) names.emplace_back(ibv_get_device_name(list.get()[i]));
  return names;
}

Result<Context> open_adapter(const std::string& name) {
  int count = 0;
  const std::unique_ptr<ibv_device*, Freer<ibv_device*, ibv_free_device_list>> list(ibv_get_device_list(&count));
  if (!list) return sys_error(errno, "ibv_get_device_list", "");
  for (int i = 0; i < count; ++i) {
    if (name != ibv_get_device_name(list.get()[i])) continue;
    Context context(ibv_open_device(list.get()[i]));
    if (!context) return sys_error(errno, "ibv_open_device", name, "Next: see who may open /dev/infiniband/uverbs*");
    return context;
  }
  return fail(ENODEV, fmt::format("there is no RDMA adapter {}", name), "Next: holdfast devices lists them");
}

bool claims_odp(ibv_context* context) {
  ibv_device_attr_ex attributes{};
  if (ibv_query_device_ex(context, nullptr, &attributes)) return false;
  return attributes.odp_caps.general_caps & IBV_ODP_SUPPORT;
}

Result<ReregRoute> rereg_domain(ibv_mr* region, ibv_pd* domain) { return rereg(region, IBV_REREG_MR_CHANGE_PD, domain, 0, "to another protection domain"); }

Result<ReregRoute> rereg_access(ibv_mr* region, int access) { return rereg(region, IBV_REREG_MR_CHANGE_ACCESS, nullptr, access, "to other access"); }

}  // namespace hf::rdma
