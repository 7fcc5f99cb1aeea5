// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "rdma/loopback.hpp"

#include <poll.h>

#include <algorithm>
#include <chrono>

namespace hf::rdma {
namespace {

constexpr std::chrono::seconds kBound{10};
constexpr std::uint32_t kPacketSequence = 0x1000;
constexpr std::uint32_t kDatagramKey = 0x11111111;
constexpr int kRetries = 5;
constexpr int kAckTimeout = 17;  ///< 4.096 us << 17, half a second: adapters in software on a busy machine are slow

ibv_qp_type qp_type(Transport transport) {
  switch (transport) {
    case Transport::rc:
      return IBV_QPT_RC;
    case Transport::uc:
      return IBV_QPT_UC;
    case Transport::ud:
      return IBV_QPT_UD;
  }
  return IBV_QPT_RC;
}

/// An address that the port answers to: RoCE v2 before what else there is, since it is the one that can be routed back.
std::optional<ibv_gid_entry> find_gid(ibv_context* context, std::uint8_t port) {
  std::vector<ibv_gid_entry> entries(1024);
  const auto count = ibv_query_gid_table(context, entries.data(), entries.size(), 0);
  if (count <= 0) return {};
  entries.resize(static_cast<std::size_t>(count));
  std::erase_if(entries, [port](const ibv_gid_entry& entry) { return entry.port_num != port; });
  if (entries.empty()) return {};
  const auto rank = [](const ibv_gid_entry& entry) {
    const bool ipv4 = std::all_of(entry.gid.raw, entry.gid.raw + 10, [](std::uint8_t byte) { return byte == 0; }) && entry.gid.raw[10] == 0xff;
    return (entry.gid_type == IBV_GID_TYPE_ROCE_V2 ? 0 : 2) + (ipv4 ? 0 : 1);
  };
  return *std::min_element(entries.begin(), entries.end(), [&](const auto& a, const auto& b) { return rank(a) < rank(b); });
}

ibv_sge element(const Piece& piece) { return {reinterpret_cast<std::uintptr_t>(piece.address), piece.length, piece.key}; }

Status modify(ibv_qp* pair, ibv_qp_attr& attributes, int mask, const char* what) {
  if (const int error = ibv_modify_qp(pair, &attributes, mask)) return sys_error(error, "ibv_modify_qp", what);
  return {};
}

}  // namespace

std::uint8_t active_port(ibv_context* context) {
  ibv_device_attr attributes{};
  if (ibv_query_device(context, &attributes)) return 0;
  for (std::uint8_t port = 1; port <= attributes.phys_port_cnt; ++port) {
    ibv_port_attr state{};
    if (!ibv_query_port(context, port, &state) && state.state == IBV_PORT_ACTIVE) return port;
  }
  return 0;
}

Result<std::unique_ptr<Loopback>> Loopback::make(ibv_pd* domain, Transport transport) {
  std::unique_ptr<Loopback> loop(new Loopback());
  loop->transport_ = transport;
  loop->port_ = active_port(domain->context);
  if (!loop->port_) return fail(ENETDOWN, "no port of the adapter is up", "Next: ip link set ... up; rdma link");
  ibv_port_attr port{};
  if (const int error = ibv_query_port(domain->context, loop->port_, &port)) return sys_error(error, "ibv_query_port", "");
  loop->mtu_ = port.active_mtu;
  loop->lid_ = port.lid;
  if (port.link_layer == IBV_LINK_LAYER_ETHERNET || !port.lid) {
    loop->gid_ = find_gid(domain->context, loop->port_);
    if (!loop->gid_) return fail(EADDRNOTAVAIL, "the adapter's port has no address", "Next: ip address add ... to its network device");
  }
  loop->sent_.reset(ibv_create_cq(domain->context, 16, nullptr, nullptr, 0));
  loop->received_.reset(ibv_create_cq(domain->context, 16, nullptr, nullptr, 0));
  if (!loop->sent_ || !loop->received_) return sys_error(errno, "ibv_create_cq", "");
  for (QueuePair* pair : {&loop->requester_, &loop->responder_}) {
    ibv_qp_init_attr init{};
    init.send_cq = loop->sent_.get();
    init.recv_cq = loop->received_.get();
    init.cap = {.max_send_wr = 4, .max_recv_wr = 4, .max_send_sge = 1, .max_recv_sge = 1, .max_inline_data = 0};
    init.qp_type = qp_type(transport);
    pair->reset(ibv_create_qp(domain, &init));
    if (!*pair) return sys_error(errno, "ibv_create_qp", "");
  }
  HF_TRY(loop->connect(loop->requester_.get(), loop->responder_.get()));
  HF_TRY(loop->connect(loop->responder_.get(), loop->requester_.get()));
  return loop;
}

Status Loopback::connect(ibv_qp* from, ibv_qp* to) {
  const bool datagram = transport_ == Transport::ud, reliable = transport_ == Transport::rc;
  ibv_qp_attr attributes{};
  attributes.qp_state = IBV_QPS_INIT;
  attributes.port_num = port_;
  attributes.qkey = kDatagramKey;
  attributes.qp_access_flags = IBV_ACCESS_REMOTE_WRITE | (reliable ? IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_ATOMIC : 0);
  HF_TRY(modify(from, attributes, IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | (datagram ? IBV_QP_QKEY : IBV_QP_ACCESS_FLAGS), "to INIT"));

  ibv_ah_attr way{};
  way.port_num = port_;
  way.dlid = lid_;
  if (gid_) {
    way.is_global = 1;
    way.grh.dgid = gid_->gid;
    way.grh.sgid_index = static_cast<std::uint8_t>(gid_->gid_index);
    way.grh.hop_limit = 64;
  }
  attributes = {};
  attributes.qp_state = IBV_QPS_RTR;
  attributes.ah_attr = way;
  attributes.path_mtu = mtu_;
  attributes.dest_qp_num = to->qp_num;
  attributes.rq_psn = kPacketSequence;
  attributes.max_dest_rd_atomic = 1;
  attributes.min_rnr_timer = 12;
  int mask = IBV_QP_STATE;
  if (!datagram) mask |= IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN | IBV_QP_RQ_PSN;
  if (reliable) mask |= IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER;
  HF_TRY(modify(from, attributes, mask, "to RTR"));

  attributes = {};
  attributes.qp_state = IBV_QPS_RTS;
  attributes.sq_psn = kPacketSequence;
  attributes.timeout = kAckTimeout;
  attributes.retry_cnt = kRetries;
  attributes.rnr_retry = kRetries;
  attributes.max_rd_atomic = 1;
  mask = IBV_QP_STATE | IBV_QP_SQ_PSN;
  if (reliable) mask |= IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY | IBV_QP_MAX_QP_RD_ATOMIC;
  HF_TRY(modify(from, attributes, mask, "to RTS"));

  if (datagram && !route_) {
    route_.reset(ibv_create_ah(from->pd, &way));
    if (!route_) return sys_error(errno, "ibv_create_ah", "");
  }
  return {};
}

Result<ibv_wc_status> Loopback::reap(ibv_cq* completions) {
  const auto until = std::chrono::steady_clock::now() + kBound;
  for (;;) {
    ibv_wc done{};
    const int count = ibv_poll_cq(completions, 1, &done);
    if (count < 0) return fail(EIO, "ibv_poll_cq failed");
    if (count > 0) return done.status;
    if (std::chrono::steady_clock::now() >= until) return fail(ETIMEDOUT, "the adapter did not complete the operation");
    // An adapter in software needs the processor that we are on.
    ::poll(nullptr, 0, 1);
  }
}

Result<ibv_wc_status> Loopback::run(ibv_send_wr& request) {
  request.send_flags = IBV_SEND_SIGNALED;
  if (transport_ == Transport::ud) {
    request.wr.ud.ah = route_.get();
    request.wr.ud.remote_qpn = responder_->qp_num;
    request.wr.ud.remote_qkey = kDatagramKey;
  }
  ibv_send_wr* bad = nullptr;
  if (const int error = ibv_post_send(requester_.get(), &request, &bad)) return sys_error(error, "ibv_post_send", "");
  return reap(sent_.get());
}

Result<ibv_wc_status> Loopback::write(const Piece& local, const Piece& remote) {
  ibv_sge piece = element(local);
  ibv_send_wr request{};
  request.sg_list = &piece;
  request.num_sge = 1;
  request.opcode = IBV_WR_RDMA_WRITE;
  request.wr.rdma = {reinterpret_cast<std::uintptr_t>(remote.address), remote.key};
  return run(request);
}

Result<ibv_wc_status> Loopback::read(const Piece& local, const Piece& remote) {
  ibv_sge piece = element(local);
  ibv_send_wr request{};
  request.sg_list = &piece;
  request.num_sge = 1;
  request.opcode = IBV_WR_RDMA_READ;
  request.wr.rdma = {reinterpret_cast<std::uintptr_t>(remote.address), remote.key};
  return run(request);
}

Result<ibv_wc_status> Loopback::fetch_add(const Piece& local, const Piece& remote, std::uint64_t add) {
  ibv_sge piece = element(local);
  ibv_send_wr request{};
  request.sg_list = &piece;
  request.num_sge = 1;
  request.opcode = IBV_WR_ATOMIC_FETCH_AND_ADD;
  request.wr.atomic = {reinterpret_cast<std::uintptr_t>(remote.address), add, 0, remote.key};
  return run(request);
}

Result<ibv_wc_status> Loopback::send(const Piece& from, const Piece& to) {
  ibv_sge into = element(to);
  ibv_recv_wr receive{};
  receive.sg_list = &into;
  receive.num_sge = 1;
  ibv_recv_wr* bad = nullptr;
  if (const int error = ibv_post_recv(responder_.get(), &receive, &bad)) return sys_error(error, "ibv_post_recv", "");
  ibv_sge piece = element(from);
  ibv_send_wr request{};
  request.sg_list = &piece;
  request.num_sge = 1;
  request.opcode = IBV_WR_SEND;
  HF_TRY_ASSIGN(const auto sent, run(request));
  if (sent != IBV_WC_SUCCESS) return sent;
  return reap(received_.get());
}

Result<std::uint32_t> Loopback::bind(ibv_mw* window, ibv_mr* region, const Piece& piece, unsigned access) {
  ibv_send_wr request{};
  request.opcode = IBV_WR_BIND_MW;
  request.bind_mw.mw = window;
  request.bind_mw.rkey = ibv_inc_rkey(window->rkey);
  request.bind_mw.bind_info = {region, reinterpret_cast<std::uintptr_t>(piece.address), piece.length, access};
  // A window is bound on the end where it is reached.
  std::swap(requester_, responder_);
  const auto done = run(request);
  std::swap(requester_, responder_);
  if (!done) return tl::unexpected(done.error());
  if (*done != IBV_WC_SUCCESS) return fail(EIO, ibv_wc_status_str(*done));
  return ibv_inc_rkey(window->rkey);
}

}  // namespace hf::rdma
