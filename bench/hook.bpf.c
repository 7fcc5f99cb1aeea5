// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A program that does nothing at the hook that every read and write passes (security_file_permission()): what the kernel itself asks for any program there. */
#define __VMLINUX_H__ /* as in bpf/holdfast.bpf.c */
#include "../bpf/kernel_types.bpf.h"

#include <bpf/bpf_helpers.h>

SEC("lsm/file_permission")
int hf_nothing(void *ctx)
{
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
