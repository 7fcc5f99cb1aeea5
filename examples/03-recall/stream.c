/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The writer: stream ADDRESS [--deaf]. Writes pages into the memory of a peer that runs recall, until that asks for quiet; goes on with the new key. With --deaf it
 * does not listen, and is fenced. An ordinary RDMA program: nothing here knows of Holdfast.
 */
#include <poll.h>

#include "recall.h"

static struct recall_message messages[2]; /* out, in */
static struct rdma_cm_id *target;
static struct ibv_mr *messages_mr;

static void listen_for_a_word(void)
{
	endpoint_check(rdma_post_recv(target, NULL, &messages[1], sizeof(messages[1]), messages_mr), "rdma_post_recv");
}

int main(int argc, char **argv)
{
	static char page[4096] __attribute__((aligned(4096)));
	struct memory_key key;
	struct ibv_wc done;
	const int deaf = argc == 3 && !strcmp(argv[2], "--deaf");

	if (argc < 2)
		return fprintf(stderr, "usage: stream ADDRESS [--deaf]\n"), 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	target = endpoint_connect(argv[1], "7473", &key);
	messages_mr = rdma_reg_msgs(target, messages, sizeof(messages));
	struct ibv_mr *mr = rdma_reg_msgs(target, page, sizeof(page));
	endpoint_check(!mr || !messages_mr, "rdma_reg_msgs");
	listen_for_a_word();
	for (uint64_t written = 0;; written++) {
		snprintf(page, sizeof(page), "page %llu", (unsigned long long)written);
		endpoint_check(rdma_post_write(target, NULL, page, sizeof(page), mr, 0, key.address + written * 4096 % (key.length & ~4095ull), key.rkey),
			       "rdma_post_write");
		if (endpoint_sent(target))
			return printf("cut off after %llu pages\n", (unsigned long long)written), 3;
		if (written % 64 == 0)
			printf("written: %llu\n", (unsigned long long)written);
		poll(NULL, 0, 5);
		if (deaf || ibv_poll_cq(target->recv_cq, 1, &done) != 1 || done.status != IBV_WC_SUCCESS || messages[1].word != RECALL_QUIESCE)
			continue;
		/* Every write has completed before: nothing is in flight. The key is waited for before the answer goes out. */
		listen_for_a_word();
		printf("quiet after %llu pages\n", (unsigned long long)written);
		messages[0].word = RECALL_QUIET;
		endpoint_check(rdma_post_send(target, NULL, &messages[0], sizeof(messages[0]), messages_mr, 0), "rdma_post_send");
		if (endpoint_sent(target) || endpoint_received(target) < 0)
			return 0; /* the target has ended */
		key = messages[1].key;
		printf("resumed\n");
		listen_for_a_word();
	}
}
