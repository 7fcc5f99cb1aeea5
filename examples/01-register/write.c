/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Writes a text into the memory of a peer that runs register: write ADDRESS TEXT. An ordinary RDMA program: nothing here knows of Holdfast. */
#include "endpoint.h"

int main(int argc, char **argv)
{
	struct memory_key key;
	static char page[4096] __attribute__((aligned(4096)));

	if (argc != 3)
		return fprintf(stderr, "usage: write ADDRESS TEXT\n"), 2;
	snprintf(page, sizeof(page), "%s", argv[2]);
	struct rdma_cm_id *target = endpoint_connect(argv[1], "7471", &key);
	struct ibv_mr *mr = rdma_reg_msgs(target, page, sizeof(page));
	endpoint_check(!mr, "rdma_reg_msgs");
	endpoint_check(rdma_post_write(target, NULL, page, sizeof(page), mr, 0, key.address, key.rkey), "rdma_post_write");
	endpoint_check(endpoint_sent(target), "the write");
	endpoint_check(rdma_post_send(target, NULL, page, 0, mr, 0), "rdma_post_send"); /* it is there: look */
	endpoint_check(endpoint_sent(target), "the message");
	return 0;
}
