/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
#include "layout.h"

static const struct layout table[] = HF_LAYOUT;

const struct layout *layout_in_c(size_t *count);

const struct layout *layout_in_c(size_t *count)
{
	*count = sizeof(table) / sizeof(table[0]);
	return table;
}
