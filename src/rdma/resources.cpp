// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "rdma/resources.hpp"

#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <rdma/rdma_netlink.h>

#include <functional>
#include <memory>
#include <optional>

namespace hf::rdma {
namespace {

using Attributes = nlattr* [RDMA_NLDEV_ATTR_MAX];
using Row = std::function<void(Attributes&)>;

struct SocketFree {
  void operator()(nl_sock* socket) const { nl_socket_free(socket); }
};
struct MessageFree {
  void operator()(nl_msg* message) const { nlmsg_free(message); }
};
using Socket = std::unique_ptr<nl_sock, SocketFree>;

int on_row(nl_msg* message, void* context) {
  Attributes attributes{};
  if (nlmsg_parse(nlmsg_hdr(message), 0, attributes, RDMA_NLDEV_ATTR_MAX - 1, nullptr) == 0) (*static_cast<Row*>(context))(attributes);
  return NL_OK;
}

/// Asks for a list and calls `row` for each message of the answer.
Status dump(nl_sock* socket, int command, std::optional<std::uint32_t> device, Row row) {
  const std::unique_ptr<nl_msg, MessageFree> request(nlmsg_alloc_simple(RDMA_NL_GET_TYPE(RDMA_NL_NLDEV, command), NLM_F_REQUEST | NLM_F_ACK | NLM_F_DUMP));
  if (!request || (device && nla_put_u32(request.get(), RDMA_NLDEV_ATTR_DEV_INDEX, *device))) return fail(ENOMEM, "no memory for a netlink request");
  if (const int sent = nl_send_auto(socket, request.get()); sent < 0) return fail(EIO, fmt::format("rdma netlink: {}", nl_geterror(sent)));
  nl_socket_modify_cb(socket, NL_CB_VALID, NL_CB_CUSTOM, on_row, &row);
  if (const int received = nl_recvmsgs_default(socket); received < 0) return fail(EIO, fmt::format("rdma netlink: {}", nl_geterror(received)));
  return {};
}

void add_regions(const std::string& device, nlattr* table, std::vector<ExistingRegion>& into) {
  nlattr* entry = nullptr;
  int left = 0;
  nla_for_each_nested(entry, table, left) {
    Attributes attributes{};
    if (nla_parse_nested(attributes, RDMA_NLDEV_ATTR_MAX - 1, entry, nullptr)) continue;
    // The kernel's own regions have a name in place of a process.
    if (!attributes[RDMA_NLDEV_ATTR_RES_PID] || !attributes[RDMA_NLDEV_ATTR_RES_MRLEN] || !attributes[RDMA_NLDEV_ATTR_RES_MRN]) continue;
    into.push_back({device, nla_get_u32(attributes[RDMA_NLDEV_ATTR_RES_MRN]), nla_get_u32(attributes[RDMA_NLDEV_ATTR_RES_PID]),
                    nla_get_u64(attributes[RDMA_NLDEV_ATTR_RES_MRLEN])});
  }
}

}  // namespace

Result<std::vector<ExistingRegion>> existing_regions() {
  const Socket socket(nl_socket_alloc());
  if (!socket) return fail(ENOMEM, "no memory for a netlink socket");
  // The family comes with ib_core: without it there are no regions.
  if (nl_connect(socket.get(), NETLINK_RDMA)) return std::vector<ExistingRegion>{};
  nl_socket_disable_seq_check(socket.get());
  std::vector<std::pair<std::uint32_t, std::string>> devices;
  HF_TRY(dump(socket.get(), RDMA_NLDEV_CMD_GET, {}, [&](Attributes& row) {
    if (row[RDMA_NLDEV_ATTR_DEV_INDEX] && row[RDMA_NLDEV_ATTR_DEV_NAME])
      devices.emplace_back(nla_get_u32(row[RDMA_NLDEV_ATTR_DEV_INDEX]), nla_get_string(row[RDMA_NLDEV_ATTR_DEV_NAME]));
  }));
  std::vector<ExistingRegion> regions;
  for (const auto& [index, name] : devices) {
    const Row add = [&, device = name](Attributes& row) {
      if (row[RDMA_NLDEV_ATTR_RES_MR]) add_regions(device, row[RDMA_NLDEV_ATTR_RES_MR], regions);
    };
    HF_TRY(dump(socket.get(), RDMA_NLDEV_CMD_RES_MR_GET, index, add));
  }
  return regions;
}

}  // namespace hf::rdma
