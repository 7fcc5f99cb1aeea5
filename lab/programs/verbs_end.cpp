// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "verbs_end.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <vector>

namespace lab {

void die(const std::string& what, int error) { throw std::runtime_error(what + ": " + std::generic_category().message(error)); }

namespace {

constexpr std::uint8_t kPort = 1;
constexpr std::uint32_t kPacketSequence = 0x1000;  // both ends start here: no need to tell it

bool is_ipv4_mapped(const ibv_gid& gid) {
  constexpr std::array<std::uint8_t, 12> prefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  return std::memcmp(gid.raw, prefix.data(), prefix.size()) == 0;
}

/// The RoCEv2 GID that stands for the device's IPv4 address.
ibv_gid_entry find_gid(ibv_context* context) {
  std::vector<ibv_gid_entry> entries(256);
  const ssize_t count = ibv_query_gid_table(context, entries.data(), entries.size(), 0);
  if (count < 0) die("ibv_query_gid_table", static_cast<int>(-count));
  for (ssize_t i = 0; i < count; ++i) {
    if (entries[i].gid_type == IBV_GID_TYPE_ROCE_V2 && is_ipv4_mapped(entries[i].gid)) return entries[i];
  }
  throw std::runtime_error("the device has no RoCEv2 GID for an IPv4 address");
}

void transfer(int socket, void* data, std::size_t size, bool send) {
  auto* next = static_cast<char*>(data);
  while (size > 0) {
    const ssize_t done = send ? ::send(socket, next, size, MSG_NOSIGNAL) : ::recv(socket, next, size, 0);
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) die(send ? "send" : "recv", errno);
    if (done == 0) throw std::runtime_error("the other end closed the connection");
    next += done;
    size -= static_cast<std::size_t>(done);
  }
}

}  // namespace

Context open_device(const std::string& name) {
  int count = 0;
  const std::unique_ptr<ibv_device*, Freer<ibv_device*, ibv_free_device_list>> list(ibv_get_device_list(&count));
  if (!list) die("ibv_get_device_list", errno);
  for (int i = 0; i < count; ++i) {
    if (name != ibv_get_device_name(list.get()[i])) continue;
    Context context(ibv_open_device(list.get()[i]));
    if (!context) die("ibv_open_device " + name, errno);
    return context;
  }
  throw std::runtime_error("no RDMA device " + name);
}

Peer exchange(int socket, const Peer& mine) {
  Peer sent = mine;
  Peer other;
  transfer(socket, &sent, sizeof sent, true);
  transfer(socket, &other, sizeof other, false);
  return other;
}

Connection::Connection(ibv_context* context, ibv_pd* domain, std::uint32_t send_depth) {
  completions_.reset(ibv_create_cq(context, static_cast<int>(send_depth) + 16, nullptr, nullptr, 0));
  if (!completions_) die("ibv_create_cq", errno);
  ibv_qp_init_attr init{};
  init.send_cq = completions_.get();
  init.recv_cq = completions_.get();
  init.cap = {.max_send_wr = send_depth, .max_recv_wr = 1, .max_send_sge = 1, .max_recv_sge = 1, .max_inline_data = 0};
  init.qp_type = IBV_QPT_RC;
  queue_pair_.reset(ibv_create_qp(domain, &init));
  if (!queue_pair_) die("ibv_create_qp", errno);

  const ibv_gid_entry entry = find_gid(context);
  gid_ = entry.gid;
  gid_index_ = static_cast<std::uint8_t>(entry.gid_index);

  ibv_qp_attr attr{};
  attr.qp_state = IBV_QPS_INIT;
  attr.port_num = kPort;
  attr.qp_access_flags = IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ;
  if (const int error = ibv_modify_qp(queue_pair_.get(), &attr, IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS))
    die("ibv_modify_qp to INIT", error);
}

Peer Connection::self() const {
  Peer peer;
  peer.qp_number = queue_pair_->qp_num;
  peer.gid = gid_;
  return peer;
}

void Connection::connect(const Peer& other) {
  // The largest packets that the port carries: 4096 bytes on the lab's wire. Smaller ones must not be used for ODP there: the rxe of Linux 7.3 copies each
  // packet to the start of its page, whatever its offset in the page (rxe_odp.c), so that only whole pages arrive where they belong.
  ibv_port_attr port{};
  if (const int error = ibv_query_port(queue_pair_->context, kPort, &port)) die("ibv_query_port", error);

  ibv_qp_attr attr{};
  attr.qp_state = IBV_QPS_RTR;
  attr.path_mtu = port.active_mtu;
  attr.dest_qp_num = other.qp_number;
  attr.rq_psn = kPacketSequence;
  attr.max_dest_rd_atomic = 1;
  attr.min_rnr_timer = 12;
  attr.ah_attr.is_global = 1;
  attr.ah_attr.port_num = kPort;
  attr.ah_attr.grh.dgid = other.gid;
  attr.ah_attr.grh.sgid_index = gid_index_;
  attr.ah_attr.grh.hop_limit = 64;
  if (const int error =
          ibv_modify_qp(queue_pair_.get(), &attr,
                        IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN | IBV_QP_RQ_PSN | IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER))
    die("ibv_modify_qp to RTR", error);

  attr = {};
  attr.qp_state = IBV_QPS_RTS;
  attr.timeout = 18;  // about a second: software emulation is slow
  attr.retry_cnt = 7;
  attr.rnr_retry = 7;
  attr.sq_psn = kPacketSequence;
  attr.max_rd_atomic = 1;
  if (const int error = ibv_modify_qp(queue_pair_.get(), &attr,
                                      IBV_QP_STATE | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY | IBV_QP_SQ_PSN | IBV_QP_MAX_QP_RD_ATOMIC))
    die("ibv_modify_qp to RTS", error);
}

hf::Fd listen_on(std::uint16_t port) {
  hf::Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket) die("socket", errno);
  const int on = 1;
  setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_ANY);
  if (bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) die(fmt::format("bind to port {}", port), errno);
  if (listen(socket.get(), 4) != 0) die("listen", errno);
  return socket;
}

hf::Fd connect_to(const std::string& host, std::uint16_t port) {
  hf::Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket) die("socket", errno);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  if (inet_pton(AF_INET, host.c_str(), &address.sin_addr) != 1) throw std::runtime_error("not an IPv4 address: " + host);
  if (connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) die(fmt::format("connect to {} port {}", host, port), errno);
  return socket;
}

}  // namespace lab
