/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's side of a power cut.
 */
#include <stdio.h>
#include <string.h>

#include "common/bytes.h"
#include "tests/crash/guest.h"

#define SECTOR 512

void
guest_fill(uint8_t *buf, uint64_t sector, uint64_t sectors, uint32_t number)
{
	uint64_t i, word;

	for (i = 0; i < sectors; i++)
		for (word = 0; word < SECTOR; word += 8)
			put_be64(buf + i * SECTOR + word,
				 number ? (uint64_t)number << 32 | (uint32_t)(sector + i) : 0);
}

/* The write that a sector is from: false when it is from none, or torn, or of another place. */
static bool
number_of(const uint8_t *buf, uint64_t sector, uint32_t *number)
{
	const uint64_t first = get_be64(buf);

	if (memcmp(buf, buf + 8, SECTOR - 8) != 0)
		return false;
	*number = (uint32_t)(first >> 32);
	return !first || (*number && (uint32_t)first == (uint32_t)sector);
}

/* Has a flush confirmed it, before the cut? */
static bool
is_flushed(const struct guest *guest, const struct guest_write *write, uint64_t moment)
{
	size_t i;

	if (write->is_durable && write->end < moment)
		return true;
	for (i = 0; i < guest->flush_count; i++)
		if (guest->flushes[i].begin > write->end && guest->flushes[i].end < moment)
			return true;
	return false;
}

static bool
covers(const struct guest_write *write, uint64_t sector, uint64_t moment)
{
	return write->begin < moment && sector >= write->sector &&
	       sector - write->sector < write->sectors;
}

/* The latest confirmed write to the sector; NULL: none. */
static const struct guest_write *
base_of(const struct guest *guest, uint64_t sector, uint64_t moment)
{
	const struct guest_write *base = NULL, *write;
	size_t i;

	for (i = 0; i < guest->write_count; i++) {
		write = &guest->writes[i];
		if (covers(write, sector, moment) && !write->may_be_older &&
		    is_flushed(guest, write, moment) && (!base || write->end > base->end))
			base = write;
	}
	return base;
}

static bool
allows_sector(const struct guest *guest, uint64_t moment, uint64_t sector, uint32_t number)
{
	const struct guest_write *base = base_of(guest, sector, moment), *write;
	size_t i;

	if (!base && !number)
		return true;
	for (i = 0; i < guest->write_count; i++) {
		write = &guest->writes[i];
		if (!covers(write, sector, moment) || write->number != number)
			continue;
		/* Older than what was confirmed: gone for good. */
		if (base && write->end < base->begin)
			continue;
		return true;
	}
	return false;
}

/* What is found, and what was written there. */
static void
explain(struct guest *guest, uint64_t moment, uint64_t sector, uint32_t number)
{
	const struct guest_write *write;
	size_t i, length;

	snprintf(guest->why, sizeof(guest->why), "sector %llu has write %u, of",
		 (unsigned long long)sector, number);
	for (i = 0; i < guest->write_count; i++) {
		write = &guest->writes[i];
		length = strlen(guest->why);
		if (covers(write, sector, moment))
			snprintf(guest->why + length, sizeof(guest->why) - length,
				 " %u%s%s (%llu-%llu)", write->number,
				 write->may_be_older ? " discard" : "",
				 is_flushed(guest, write, moment) ? " durable" : "",
				 (unsigned long long)write->begin, (unsigned long long)write->end);
	}
}

bool
guest_allows(struct guest *guest, uint64_t moment, uint64_t sector, uint64_t sectors,
	     const uint8_t *buf)
{
	uint32_t number;
	uint64_t i;

	for (i = 0; i < sectors; i++) {
		if (!number_of(buf + i * SECTOR, sector + i, &number)) {
			snprintf(guest->why, sizeof(guest->why),
				 "sector %llu: not a sector of this disk: %016llx",
				 (unsigned long long)(sector + i),
				 (unsigned long long)get_be64(buf + i * SECTOR));
			return false;
		}
		if (!allows_sector(guest, moment, sector + i, number)) {
			explain(guest, moment, sector + i, number);
			return false;
		}
	}
	return true;
}

bool
guest_restart(struct guest *guest, uint64_t *now, uint64_t sectors, const uint8_t *buf)
{
	struct guest_write *run = NULL;
	uint32_t number;
	uint64_t i;

	guest->write_count = guest->flush_count = 0;
	for (i = 0; i < sectors; i++) {
		if (!number_of(buf + i * SECTOR, i, &number) || guest->write_count == GUEST_WRITES)
			return false;
		if (run && run->number == number) {
			run->sectors++;
			continue;
		}
		run = &guest->writes[guest->write_count++];
		*run = (struct guest_write){ .begin = *now,
					     .end = *now + 1,
					     .sector = i,
					     .sectors = 1,
					     .number = number,
					     .is_durable = true };
		*now += 2;
	}
	return true;
}
