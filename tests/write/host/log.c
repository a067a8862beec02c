// SPDX-License-Identifier: GPL-2.0
/*
 * The log of dm-log-writes: a sector with a head, then for each entry a sector
 * with its description, followed by its data unless it is a discard. All
 * numbers are little-endian.
 */
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "cut.h"

#define MAGIC	0x6a736677736872ull
#define VERSION	1

struct super {
	uint64_t magic;
	uint64_t version;
	uint64_t nr_entries;
	uint32_t sectorsize;
};

struct raw_entry {
	uint64_t sector;
	uint64_t nr_sectors;
	uint64_t flags;
	uint64_t data_len;
	char data[];
};

static uint32_t mark_number(const struct raw_entry *raw)
{
	char text[16] = "";
	size_t len = le64toh(raw->data_len);

	memcpy(text, raw->data, len < sizeof(text) ? len : sizeof(text) - 1);
	return strtoul(text, NULL, 10);
}

void log_load(struct log *l, const char *path, uint64_t begin)
{
	size_t size, in_log = begin + BLOCK_SIZE, i;
	unsigned char *p = map_file(path, &size);
	const struct super *super = (void *)(p + begin);

	if (size < begin + BLOCK_SIZE || le64toh(super->magic) != MAGIC ||
	    le64toh(super->version) != VERSION)
		die("%s is no log of dm-log-writes", path);
	if (le32toh(super->sectorsize) != BLOCK_SIZE)
		die("%s: sectors of %u bytes", path, le32toh(super->sectorsize));
	l->nr = le64toh(super->nr_entries);
	l->e = xcalloc(l->nr, sizeof(*l->e));
	for (i = 0; i < l->nr; i++) {
		const struct raw_entry *raw = (void *)(p + in_log);
		struct entry *e = &l->e[i];

		if (in_log + BLOCK_SIZE > size)
			die("%s ends at entry %zu of %zu", path, i, l->nr);
		e->sector = le64toh(raw->sector);
		e->nr = le64toh(raw->nr_sectors);
		e->flags = le64toh(raw->flags) & 15;
		in_log += BLOCK_SIZE;
		if (e->flags & LOG_MARK)
			e->mark = mark_number(raw);
		else if (e->nr && !(e->flags & LOG_DISCARD))
			e->data = p + in_log;
		if (e->data)
			in_log += e->nr * BLOCK_SIZE;
		if (in_log > size)
			die("%s ends in entry %zu of %zu", path, i, l->nr);
	}
}
