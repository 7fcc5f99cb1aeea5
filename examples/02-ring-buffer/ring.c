/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The target: ring FILE ADDRESS. Recovers the log that is in FILE, then takes records from a peer (append) and makes each durable before it says so.
 * On FS-DAX the bytes are in persistent memory once the processor's and the adapter's buffers are flushed: msync() does that. An adapter with IBV_WR_FLUSH
 * (holdfast devices: flush.persistent) can do it without this processor; the peer would post that in place of waiting for the answer.
 */
#include <fcntl.h>
#include <holdfast/verbs.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "endpoint.h"
#include "ring.h"

int main(int argc, char **argv)
{
	const struct hf_reg_options options = {.flags = HF_REG_SETTLE, .label = "ring"};
	struct hf_session *session;
	struct ibv_mr *mr;
	struct stat file;
	int fd = argc == 3 ? open(argv[1], O_RDWR) : -1;

	if (fd < 0 || fstat(fd, &file) || (size_t)file.st_size < RECORD_BYTES)
		return fprintf(stderr, "usage: ring FILE ADDRESS\n"), 2;
	const size_t count = (size_t)file.st_size / RECORD_BYTES, bytes = count * RECORD_BYTES;
	struct ring_record *ring = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	uint64_t last = ring_last(ring, count);

	printf("recovered: %llu records; the last: %.*s\n", (unsigned long long)last, last ? (int)ring[(last - 1) % count].text_bytes : 4,
	       last ? ring[(last - 1) % count].text : "none");
	endpoint_check(hf_connect(NULL, &session), "holdfastd");
	struct rdma_cm_id *listener = endpoint_listen(argv[2], "7472");
	puts("listening");
	fflush(stdout);
	struct rdma_cm_id *peer = endpoint_request(listener);
	if (hf_reg_mr(session, peer->pd, ring, bytes, IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE, &options, &mr))
		return fprintf(stderr, "%s\n", hf_verbs_error_text()), 1;
	printf("registered: plan %s\n", hf_plan_name(hf_mr_plan(mr)));
	fflush(stdout);
	/* The peer goes on after the last record: told in the place of the key that is free. */
	struct memory_key key = {(uintptr_t)ring, bytes, mr->rkey, (uint32_t)last};
	for (int i = 0; i < 8; i++)
		endpoint_check(rdma_post_recv(peer, NULL, ring, 0, mr), "rdma_post_recv");
	endpoint_accept(peer, &key);

	for (int64_t number; (number = endpoint_received(peer)) > 0;) {
		struct ring_record *record = &ring[((uint64_t)number - 1) % count];

		if (!ring_is_whole(record) || msync(record, RECORD_BYTES, MS_SYNC))
			return fprintf(stderr, "record %lld is not what was announced\n", (long long)number), 1;
		printf("durable: %lld\n", (long long)number);
		fflush(stdout);
		endpoint_check(rdma_post_recv(peer, NULL, ring, 0, mr), "rdma_post_recv");
		endpoint_check(rdma_post_send(peer, NULL, NULL, 0, NULL, IBV_SEND_INLINE), "rdma_post_send");
		if (endpoint_sent(peer))
			break;
	}
	hf_dereg_mr(mr);
	hf_disconnect(session);
	return 0;
}
