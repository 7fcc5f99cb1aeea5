/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Holds a file's layout still and reports who tried to change it: example_hold_c FILE. cc hold.c $(pkg-config --cflags --libs libholdfast) */
#include <fcntl.h>
#include <holdfast/holdfast.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
	struct hf_session *session;
	struct hf_lease_handle *lease;
	struct hf_lease_event event;
	char text[512];
	int fd = argc == 2 ? open(argv[1], O_RDWR | O_CLOEXEC) : -1;
	int error = fd < 0 ? -1 : hf_connect(NULL, &session);

	if (error) {
		fprintf(stderr, "%s: %s\n", argc == 2 ? argv[1] : "usage: example_hold_c FILE", fd < 0 ? "can't open" : strerror(-error));
		return 1;
	}
	if (hf_acquire(session, fd, NULL, 0, 0, "example", &lease) != 0) {
		hf_error_text(session, text, sizeof(text));
		fprintf(stderr, "%s: %s\n", argv[1], text);
		return 1;
	}
	printf("lease %llu holds %s; ^C ends it\n", (unsigned long long)hf_lease_id(lease), argv[1]);
	for (struct pollfd wait = {hf_event_fd(session), POLLIN, 0}; poll(&wait, 1, -1) > 0;)
		while (hf_next_event(session, &event, sizeof(event)) > 0)
			printf("event %u: %s by %s (process %u, %s)\n", event.kind, hf_operation_name(event.operation), event.breaker_comm, event.breaker_pid, event.breaker_exe);
	hf_disconnect(session);
	return 0;
}
