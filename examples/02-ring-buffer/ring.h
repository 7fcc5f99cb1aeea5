/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * A log in a ring of records. A peer writes records by RDMA and learns when each is durable; after a crash of the target the log is read back to its last
 * whole record. Records are whole pages, each with its number and a checksum, so that one which was only partly written is told from a whole one.
 */
#ifndef RING_H
#define RING_H

#include <stddef.h>
#include <stdint.h>

#define RECORD_BYTES 4096u
#define RECORD_TEXT_BYTES (RECORD_BYTES - 24u)

struct ring_record {
	uint64_t number; /* from 1; the record's place is (number - 1) modulo the count of records */
	uint64_t checksum;
	uint32_t text_bytes;
	uint32_t pad;
	char text[RECORD_TEXT_BYTES];
};

/* FNV-1a of all but the checksum itself. */
static inline uint64_t ring_checksum(const struct ring_record *record)
{
	const unsigned char *bytes = (const unsigned char *)record;
	uint64_t sum = 0xcbf29ce484222325ull;

	for (size_t i = 0; i < sizeof(*record); i++)
		if (i < offsetof(struct ring_record, checksum) || i >= offsetof(struct ring_record, text_bytes))
			sum = (sum ^ bytes[i]) * 0x100000001b3ull;
	return sum;
}

static inline int ring_is_whole(const struct ring_record *record)
{
	return record->number && record->text_bytes <= RECORD_TEXT_BYTES && record->checksum == ring_checksum(record);
}

/* The number of the last record of the log; 0: it is empty. Records before it that are still in the ring have consecutive numbers. */
static inline uint64_t ring_last(const struct ring_record *ring, size_t count)
{
	uint64_t last = 0;

	for (size_t i = 0; i < count; i++)
		if (ring_is_whole(&ring[i]) && (ring[i].number - 1) % count == i && ring[i].number > last)
			last = ring[i].number;
	return last;
}

#endif
