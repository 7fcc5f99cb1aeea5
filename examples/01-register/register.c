/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* A file that a peer may write by RDMA, in whatever way its filesystem and the adapter allow: register FILE ADDRESS. The peer: write ADDRESS TEXT. */
#include <fcntl.h>
#include <holdfast/verbs.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "endpoint.h"

int main(int argc, char **argv)
{
	struct hf_session *session;
	struct ibv_mr *mr;
	struct stat file;
	int fd = argc == 3 ? open(argv[1], O_RDWR) : -1;

	if (fd < 0 || fstat(fd, &file))
		return fprintf(stderr, "usage: register FILE ADDRESS\n"), 2;
	endpoint_check(hf_connect(NULL, &session), "holdfastd");
	char *memory = mmap(NULL, (size_t)file.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	struct rdma_cm_id *listener = endpoint_listen(argv[2], "7471");
	puts("listening");
	fflush(stdout);
	struct rdma_cm_id *peer = endpoint_request(listener);
	if (hf_reg_mr(session, peer->pd, memory, (size_t)file.st_size, IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE, NULL, &mr))
		return fprintf(stderr, "%s\n", hf_verbs_error_text()), 1;
	printf("registered %s: plan %s, lease %llu\n", argv[1], hf_plan_name(hf_mr_plan(mr)), (unsigned long long)hf_mr_lease_id(mr, 0));
	fflush(stdout);
	struct memory_key key = {(uintptr_t)memory, (uint64_t)file.st_size, mr->rkey, 0};
	endpoint_check(rdma_post_recv(peer, NULL, memory, 0, mr), "rdma_post_recv");
	endpoint_accept(peer, &key);
	endpoint_check(endpoint_received(peer) < 0, "the peer"); /* it says when it has written */
	printf("the peer wrote: %s\n", memory);
	hf_dereg_mr(mr);
	hf_disconnect(session);
	return 0;
}
