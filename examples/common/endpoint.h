/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What the RDMA examples need of librdmacm, in C and C++: a connection, and the target's key as its private data. */
#ifndef ENDPOINT_H
#define ENDPOINT_H

#include <poll.h>
#include <rdma/rdma_cma.h>
#include <rdma/rdma_verbs.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where the target's memory is; what the other end needs to write there. */
struct memory_key {
	uint64_t address;
	uint64_t length;
	uint32_t rkey;
	uint32_t pad;
};

static inline void endpoint_check(int failed, const char *what)
{
	if (!failed)
		return;
	perror(what);
	exit(1);
}

static inline struct ibv_qp_init_attr endpoint_queues(void)
{
	struct ibv_qp_init_attr queues;

	memset(&queues, 0, sizeof(queues));
	queues.cap.max_send_wr = queues.cap.max_recv_wr = 16;
	queues.cap.max_send_sge = queues.cap.max_recv_sge = 1;
	queues.qp_type = IBV_QPT_RC;
	queues.sq_sig_all = 1;
	return queues;
}

static inline struct rdma_cm_id *endpoint_make(const char *address, const char *port, int passive)
{
	struct ibv_qp_init_attr queues = endpoint_queues();
	struct rdma_addrinfo hints, *found = NULL;
	struct rdma_cm_id *id = NULL;

	memset(&hints, 0, sizeof(hints));
	hints.ai_port_space = RDMA_PS_TCP;
	hints.ai_flags = passive ? RAI_PASSIVE : 0;
	endpoint_check(rdma_getaddrinfo(address, port, &hints, &found), "rdma_getaddrinfo");
	endpoint_check(rdma_create_ep(&id, found, NULL, &queues), "rdma_create_ep");
	rdma_freeaddrinfo(found);
	return id;
}

/* Listens on this machine's address. */
static inline struct rdma_cm_id *endpoint_listen(const char *address, const char *port)
{
	struct rdma_cm_id *listener = endpoint_make(address, port, 1);

	endpoint_check(rdma_listen(listener, 4), "rdma_listen");
	return listener;
}

/* Waits for a peer. Its protection domain is known from here on; accept it with the key of what was registered there. */
static inline struct rdma_cm_id *endpoint_request(struct rdma_cm_id *listener)
{
	struct rdma_cm_id *id = NULL;

	endpoint_check(rdma_get_request(listener, &id), "rdma_get_request");
	return id;
}

static inline void endpoint_accept(struct rdma_cm_id *id, const struct memory_key *key)
{
	struct rdma_conn_param parameters;

	memset(&parameters, 0, sizeof(parameters));
	parameters.private_data = key;
	parameters.private_data_len = sizeof(*key);
	parameters.responder_resources = 1;
	endpoint_check(rdma_accept(id, &parameters), "rdma_accept");
}

/* The writing end. */
static inline struct rdma_cm_id *endpoint_connect(const char *address, const char *port, struct memory_key *key)
{
	struct rdma_cm_id *id = endpoint_make(address, port, 0);

	endpoint_check(rdma_connect(id, NULL), "rdma_connect");
	memcpy(key, id->event->param.conn.private_data, sizeof(*key));
	return id;
}

/* Waits for the completion of what was posted last to be sent. @return 0, or -1 where it failed */
static inline int endpoint_sent(struct rdma_cm_id *id)
{
	struct ibv_wc done;

	if (rdma_get_send_comp(id, &done) != 1)
		return -1;
	if (done.status != IBV_WC_SUCCESS)
		fprintf(stderr, "%s\n", ibv_wc_status_str(done.status));
	return done.status == IBV_WC_SUCCESS ? 0 : -1;
}

/* Waits for a message. @return what the other end sent as immediate data or, without it, the message's length; -1: the connection is gone */
static inline int64_t endpoint_received(struct rdma_cm_id *id)
{
	struct ibv_wc done;

	if (rdma_get_recv_comp(id, &done) != 1 || done.status != IBV_WC_SUCCESS)
		return -1;
	return done.wc_flags & IBV_WC_WITH_IMM ? (int64_t)ntohl(done.imm_data) : (int64_t)done.byte_len;
}

/* Has a message come, or does one come within that time (milliseconds, from the last news of the queue on)? Looks after it has asked to be woken: what came before wakes nobody. */
static inline int endpoint_received_within(struct rdma_cm_id *id, int patience_ms)
{
	struct pollfd wait = {id->recv_cq_channel->fd, POLLIN, 0};
	struct ibv_cq *queue;
	struct ibv_wc done;
	void *context;
	int n;

	for (;;) {
		if (ibv_req_notify_cq(id->recv_cq, 0))
			return 0;
		n = ibv_poll_cq(id->recv_cq, 1, &done);
		if (n)
			return n == 1 && done.status == IBV_WC_SUCCESS;
		if (poll(&wait, 1, patience_ms) < 1 || ibv_get_cq_event(id->recv_cq_channel, &queue, &context))
			return 0;
		ibv_ack_cq_events(queue, 1);
	}
}

#endif
