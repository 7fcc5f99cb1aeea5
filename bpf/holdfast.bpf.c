// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Holdfast's kernel side: one object for every supported kernel. The parts, in the order in which they build on each other:
 *   maps      what is pinned and shared          slots     leased extents: take, give back, ask
 *   folio     how the page cache is cut
 *   policy    seals, windows, who may hold       breaker   who it was
 *   gate      refuses                            observer  sees RDMA registrations
 *   calls     what the daemon asks for
 */
#define __VMLINUX_H__ /* kernel_types.bpf.h stands in for it: bpf_tracing.h takes the kernel's names of registers */
#include "kernel_types.bpf.h"

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

#include "kern.h"
#include "decide.h"

#include "maps.bpf.h"
#include "slots.bpf.h"
#include "folio.bpf.h"
#include "policy.bpf.h"
#include "breaker.bpf.h"
#include "gate.bpf.h"
#include "observer.bpf.h"
#include "tripwire.bpf.h"
#include "calls.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";
