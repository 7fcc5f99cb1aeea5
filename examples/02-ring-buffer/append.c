/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Appends the lines of standard input to the log of a peer that runs ring: append ADDRESS. Prints the number of each record once it is durable. */
#include <arpa/inet.h>

#include "endpoint.h"
#include "ring.h"

int main(int argc, char **argv)
{
	static struct ring_record record __attribute__((aligned(4096)));
	struct memory_key key;
	struct ibv_send_wr write, *bad;

	if (argc != 2)
		return fprintf(stderr, "usage: append ADDRESS\n"), 2;
	struct rdma_cm_id *target = endpoint_connect(argv[1], "7472", &key);
	struct ibv_mr *mr = rdma_reg_msgs(target, &record, sizeof(record));
	endpoint_check(!mr, "rdma_reg_msgs");
	for (uint64_t number = key.pad + 1ull; fgets(record.text, sizeof(record.text), stdin); number++) {
		record.number = number;
		record.text_bytes = (uint32_t)strcspn(record.text, "\n");
		memset(record.text + record.text_bytes, 0, sizeof(record.text) - record.text_bytes);
		record.checksum = ring_checksum(&record);
		/* The record, and with it the announcement that it is there. */
		struct ibv_sge piece = {(uintptr_t)&record, sizeof(record), mr->lkey};

		memset(&write, 0, sizeof(write));
		write.sg_list = &piece;
		write.num_sge = 1;
		write.opcode = IBV_WR_RDMA_WRITE_WITH_IMM;
		write.imm_data = htonl((uint32_t)number);
		write.wr.rdma.remote_addr = key.address + (number - 1) % (key.length / RECORD_BYTES) * RECORD_BYTES;
		write.wr.rdma.rkey = key.rkey;
		endpoint_check(rdma_post_recv(target, NULL, &record, 0, mr), "rdma_post_recv");
		endpoint_check(ibv_post_send(target->qp, &write, &bad), "ibv_post_send");
		endpoint_check(endpoint_sent(target) || endpoint_received(target) < 0, "the target");
		printf("durable: %llu\n", (unsigned long long)number);
		fflush(stdout);
	}
	return 0;
}
