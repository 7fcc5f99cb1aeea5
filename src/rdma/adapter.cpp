// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "rdma/adapter.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <filesystem>
#include <fstream>

#include "rdma/loopback.hpp"

namespace hf::rdma {
namespace {

namespace fs = std::filesystem;

std::string first_line(const fs::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

std::string driver_of(const std::string& name) {
  std::error_code error;
  const auto link = fs::read_symlink("/sys/class/infiniband/" + name + "/device/driver/module", error);
  if (!error) return link.filename();
  // Adapters in software stand on a network device and have no driver of their own there; their names begin with the module's.
  std::error_code none;
  for (const char* module : {"rdma_rxe", "siw"})
    if (fs::exists(std::string("/sys/module/") + module, none) && !fs::exists("/sys/class/infiniband/" + name + "/device", none)) return module;
  return {};
}

void claims(const char* transport, std::uint32_t caps, std::vector<std::string>& into) {
  static constexpr std::array<std::pair<std::uint32_t, const char*>, 6> kOperations{{{IBV_ODP_SUPPORT_SEND, "send"},
                                                                                     {IBV_ODP_SUPPORT_RECV, "receive"},
                                                                                     {IBV_ODP_SUPPORT_WRITE, "write"},
                                                                                     {IBV_ODP_SUPPORT_READ, "read"},
                                                                                     {IBV_ODP_SUPPORT_ATOMIC, "atomic"},
                                                                                     {IBV_ODP_SUPPORT_SRQ_RECV, "srq-receive"}}};
  for (const auto& [bit, word] : kOperations)
    if (caps & bit) into.push_back(fmt::format("{}.{}", transport, word));
}

std::string transport_of(ibv_context* context, const ibv_port_attr& port) {
  if (context->device->transport_type == IBV_TRANSPORT_IWARP) return "iWARP";
  if (context->device->transport_type != IBV_TRANSPORT_IB) return "other";
  return port.link_layer == IBV_LINK_LAYER_ETHERNET ? "RoCE" : "InfiniBand";
}

bool module_present(const std::string& sys, const char* module) {
  std::error_code none;
  return fs::exists(sys + "/module/" + module, none);
}

}  // namespace

Result<Adapter> describe(ibv_context* context) {
  ibv_device_attr_ex attributes{};
  if (const int error = ibv_query_device_ex(context, nullptr, &attributes))
    return sys_error(error, "ibv_query_device_ex", ibv_get_device_name(context->device));
  Adapter adapter;
  adapter.name = ibv_get_device_name(context->device);
  adapter.driver = driver_of(adapter.name);
  adapter.firmware = attributes.orig_attr.fw_ver;
  std::uint8_t port = active_port(context);
  ibv_port_attr state{};
  if (!ibv_query_port(context, port ? port : 1, &state)) {
    adapter.transport = transport_of(context, state);
    adapter.link = ibv_port_state_str(state.state);
    // "PORT_ACTIVE"
    if (adapter.link.starts_with("PORT_")) adapter.link.erase(0, 5);
    std::transform(adapter.link.begin(), adapter.link.end(), adapter.link.begin(), [](unsigned char letter) { return std::tolower(letter); });
  }
  adapter.network_device = first_line(fmt::format("/sys/class/infiniband/{}/ports/{}/gid_attrs/ndevs/0", adapter.name, port ? port : 1));
  adapter.odp_claimed = attributes.odp_caps.general_caps & IBV_ODP_SUPPORT;
  claims("rc", attributes.odp_caps.per_transport_caps.rc_odp_caps, adapter.odp_claims);
  claims("uc", attributes.odp_caps.per_transport_caps.uc_odp_caps, adapter.odp_claims);
  claims("ud", attributes.odp_caps.per_transport_caps.ud_odp_caps, adapter.odp_claims);
  claims("xrc", attributes.xrc_odp_caps, adapter.odp_claims);
  if (attributes.odp_caps.general_caps & IBV_ODP_SUPPORT_IMPLICIT) adapter.odp_claims.emplace_back("implicit");
  const auto& attr = attributes.orig_attr;
  const auto count = [](int value) { return static_cast<std::uint64_t>(std::max(value, 0)); };
  adapter.limits = {.region_bytes = attr.max_mr_size,
                    .regions = count(attr.max_mr),
                    .windows = count(attr.max_mw),
                    .queue_pairs = count(attr.max_qp),
                    .domains = count(attr.max_pd),
                    .page_sizes = attr.page_size_cap,
                    .odp_region_bytes = 0};
  return adapter;
}

std::vector<Unobserved> unobserved_pins(const std::string& sys, const std::string& proc) {
  std::error_code none;
  const std::string uring = first_line(proc + "/sys/kernel/io_uring_disabled");
  return {
      {"io_uring", "io_uring's fixed buffers (IORING_REGISTER_BUFFERS)",
       "pinned for long by io_uring itself; kernels from about 6.5 refuse page-cache and FS-DAX files there",
       uring != "2" && fs::exists(proc + "/sys/kernel", none)},
      {"vfio", "VFIO and iommufd DMA mappings (virtual machines, DPDK, SPDK)", "pinned for long outside of the RDMA core", module_present(sys, "vfio")},
      {"af_xdp", "AF_XDP packet memory (XDP_UMEM_REG)", "pinned for long by the socket",
       fs::exists(proc + "/net/xdp", none) || module_present(sys, "xsk_diag")},
      {"hfi1", "Omni-Path's own sends and receives (PSM)", "the hfi1 driver pins user memory with code of its own", module_present(sys, "hfi1")},
      {"peer-memory", "memory of GPUs (peer memory, dma-buf)", "it is no file's memory; the driver that exports it keeps it in place",
       module_present(sys, "nvidia_peermem") || module_present(sys, "amdgpu")},
      {"device-dax", "device DAX (/dev/daxN.M)", "a character device without a layout that could change: it can be pinned as it is, and needs no lease",
       fs::exists(sys + "/bus/dax/devices", none) && !fs::is_empty(sys + "/bus/dax/devices", none)},
  };
}

}  // namespace hf::rdma
