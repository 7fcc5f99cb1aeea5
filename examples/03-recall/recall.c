/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The target: recall FILE ADDRESS. Lets a peer (stream) write into FILE, and gives the file back when it is asked to, without ending. Who may ask:
 *   an administrator		by "holdfast recall FILE": quiesce the peer, deregister, end the lease; when the recall is over, register what the file
 *				is then, tell the peer the new key, go on
 *   whoever types here		"recall" for the first half, "resume" for the second, "quit"
 * It also tells who tried to change the file meanwhile, and stops using the memory when its lease is gone. A peer that does not answer is fenced.
 */
#include <fcntl.h>
#include <holdfast/verbs.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "recall.h"

static struct hf_session *session;
static struct rdma_cm_id *peer;
static struct ibv_mr *region, *messages_mr;
static struct recall_message messages[2]; /* out, in */
static char *memory;
static size_t bytes;
static int file, cut_off; /* the peer was fenced, and its connection is gone */

/* Puts the pieces together: the file as it is now, mapped, leased and registered. */
static struct memory_key hold(void)
{
	const struct hf_reg_options options = {.flags = HF_REG_SETTLE, .label = "recall example"};
	struct stat status;

	endpoint_check(fstat(file, &status), "fstat");
	bytes = (size_t)status.st_size;
	memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (memory == MAP_FAILED || hf_reg_mr(session, peer->pd, memory, bytes, IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE, &options, &region)) {
		fprintf(stderr, "%s\n", memory == MAP_FAILED ? "mmap failed" : hf_verbs_error_text());
		exit(1);
	}
	printf("held: %zu bytes, plan %s\n", bytes, hf_plan_name(hf_mr_plan(region)));
	return (struct memory_key){(uintptr_t)memory, bytes, region->rkey, 0};
}

static void say(enum recall_word word, struct memory_key key)
{
	messages[0] = (struct recall_message){word, 0, key};
	endpoint_check(rdma_post_send(peer, NULL, &messages[0], sizeof(messages[0]), messages_mr, 0), "rdma_post_send");
	endpoint_check(endpoint_sent(peer), "the peer");
}

/* A message of the peer, within its time. */
static int heard(enum recall_word word)
{
	return endpoint_received_within(peer, RECALL_PATIENCE_MS) && messages[1].word == word;
}

/* Takes them apart: when this returns, the file is anyone's. */
static void release(void)
{
	struct hf_fence_report report;

	if (!region)
		return;
	endpoint_check(rdma_post_recv(peer, NULL, &messages[1], sizeof(messages[1]), messages_mr), "rdma_post_recv");
	say(RECALL_QUIESCE, (struct memory_key){0, 0, 0, 0});
	if (!heard(RECALL_QUIET)) {
		if (hf_fence_mr(region, NULL, &report, sizeof(report))) {
			fprintf(stderr, "%s\n", hf_verbs_error_text());
			exit(1); /* the kernel takes the region with the process */
		}
		printf("the peer did not answer: fenced by %s\n", hf_fence_name(report.fence));
		cut_off = 1;
		if (report.fence == HF_FENCE_DEREG)
			region = NULL;
	}
	if (region)
		hf_dereg_mr(region);
	region = NULL;
	munmap(memory, bytes);
	printf("released\n");
}

static void resume(void)
{
	if (!region && !cut_off)
		say(RECALL_RESUME, hold());
}

static void events(void)
{
	struct hf_lease_event event;

	while (hf_next_event(session, &event, sizeof(event)) > 0) {
		switch (event.kind) {
		case HF_LEASE_EVENT_DENIED:
			printf("refused: %s by %s (process %u)\n", hf_operation_name(event.operation), event.breaker_comm, event.breaker_pid);
			break;
		case HF_LEASE_EVENT_RECALL:
		case HF_LEASE_EVENT_FENCE:
		case HF_LEASE_EVENT_ESCAPED: /* what is registered may no longer be the file */
		case HF_LEASE_EVENT_LOST:
			release();
			break;
		case HF_LEASE_EVENT_RECALL_OVER:
			resume();
			break;
		}
	}
}

int main(int argc, char **argv)
{
	char order[64];

	file = argc == 3 ? open(argv[1], O_RDWR) : -1;
	if (file < 0)
		return fprintf(stderr, "usage: recall FILE ADDRESS\n"), 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	setvbuf(stdin, NULL, _IONBF, 0);
	endpoint_check(hf_connect(NULL, &session), "holdfastd");
	struct rdma_cm_id *listener = endpoint_listen(argv[2], "7473");
	puts("listening");
	peer = endpoint_request(listener);
	messages_mr = rdma_reg_msgs(peer, messages, sizeof(messages));
	struct memory_key key = hold();
	endpoint_accept(peer, &key);

	struct pollfd wait[2] = {{STDIN_FILENO, POLLIN, 0}, {hf_event_fd(session), POLLIN, 0}};
	while (poll(wait, 2, -1) > 0) {
		if (wait[1].revents)
			events();
		if (!wait[0].revents)
			continue;
		if (!fgets(order, sizeof(order), stdin) || !strcmp(order, "quit\n"))
			break;
		if (!strcmp(order, "recall\n"))
			release();
		if (!strcmp(order, "resume\n"))
			resume();
	}
	hf_dereg_mr(region);
	hf_disconnect(session);
	return 0;
}
