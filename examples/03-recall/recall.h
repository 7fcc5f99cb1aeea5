/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What the two ends of the recall example tell each other, as messages. */
#ifndef RECALL_H
#define RECALL_H

#include <stdint.h>

#include "endpoint.h"

enum recall_word {
	RECALL_QUIESCE = 1, /* target: finish what is in flight, then say QUIET */
	RECALL_QUIET = 2,   /* writer: nothing of mine is in flight, and nothing will be until RESUME */
	RECALL_RESUME = 3   /* target: go on, with this key */
};

struct recall_message {
	uint32_t word; /* enum recall_word */
	uint32_t pad;
	struct memory_key key;
};

#define RECALL_PATIENCE_MS 5000 /* after that the writer is fenced */

#endif
