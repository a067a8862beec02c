// SPDX-License-Identifier: GPL-2.0
/*
 * A table that the child of a parser has written: nothing of it is believed before it was
 * checked by the rules that the driver has, and against the files.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <unistd.h>

#include "foreign/table.h"
#include "lib/fd.h"
#include "lib/memory.h"
#include "qcow/ondisk/map_table.h"

/* Entries that are in memory at a time. */
#define TABLE_ENTRIES	2048

static int read_entries(struct table *t, u64 number)
{
	u64 nr = min(t->header.nr_entries - number, (u64)TABLE_ENTRIES);
	size_t bytes = nr * sizeof(*t->entries), got;
	int err;

	if (!t->entries)
		t->entries = xcalloc(TABLE_ENTRIES, sizeof(*t->entries));
	t->nr = 0;
	err = fd_read(t->fd, t->entries, bytes, table_offset(number), &got);
	if (err || got < bytes)
		return err ? err : -EIO;
	t->first = number;
	t->nr = nr;
	return 0;
}

static int find_entry(struct table *t, u64 number, const struct qcow_map_entry **e)
{
	int err = 0;

	if (number < t->first || number - t->first >= t->nr)
		err = read_entries(t, number);
	if (!err)
		*e = &t->entries[number - t->first];
	return err;
}

/**
 * table_get() - read an entry
 * @t: the table
 * @number: of the entry, below nr_entries
 * @e: the entry
 * @guest_end: guest offset of the end of its piece
 *
 * Return: 0 or a negative errno.
 */
int table_get(struct table *t, u64 number, struct qcow_map_entry *e, u64 *guest_end)
{
	const struct qcow_map_entry *found;
	int err = find_entry(t, number, &found);

	if (err)
		return err;
	*e = *found;
	*guest_end = t->header.disk_size;
	if (number + 1 == t->header.nr_entries)
		return 0;
	err = find_entry(t, number + 1, &found);
	if (!err)
		*guest_end = found->start;
	return err;
}

/**
 * table_find() - find the entry of a guest offset
 * @t: the table
 * @guest_offset: of a byte, below disk_size
 * @number: set to the number of the entry
 *
 * Return: 0 or a negative errno.
 */
int table_find(struct table *t, u64 guest_offset, u64 *number)
{
	u64 low = 0, high = t->header.nr_entries, middle;
	const struct qcow_map_entry *e;
	int err;

	while (high - low > 1) {
		middle = low + (high - low) / 2;
		err = find_entry(t, middle, &e);
		if (err)
			return err;
		if (e->start <= guest_offset)
			low = middle;
		else
			high = middle;
	}
	*number = low;
	return 0;
}

/* Whether the bytes of a piece are in its file. */
static bool is_in_file(const struct qcow_map_entry *e, u64 guest_end, const u64 *file_sizes)
{
	u64 bytes, size;

	if (e->kind != QCOW_MAP_DATA && e->kind != QCOW_MAP_COMPRESSED)
		return true;
	bytes = e->kind == QCOW_MAP_DATA ? guest_end - e->start : e->stored;
	size = file_sizes[e->file];
	return e->host <= size && bytes <= size - e->host;
}

/* The largest chunk is not known yet when an entry is checked. */
static const char *check_entry(struct table *t, const struct qcow_map_entry *e, u64 guest_end,
			       const u64 *file_sizes)
{
	struct qcow_map_header header = t->header;
	const char *fault;

	header.chunk_max = QCOW_MAP_CHUNK_MAX;
	fault = qcow_map_table_fault(&header, e, guest_end);
	if (!fault && !is_in_file(e, guest_end, file_sizes))
		fault = "past the end of a file";
	if (e->plain > t->header.chunk_max)
		t->header.chunk_max = e->plain;
	return fault;
}

/**
 * table_check() - check all entries of a table
 * @t: the table; its header is set but for chunk_max, which is set here
 * @file_sizes: bytes of each file of it
 *
 * Return: NULL, or the fault in words.
 */
const char *table_check(struct table *t, const u64 *file_sizes)
{
	struct qcow_map_entry e;
	const char *fault = NULL;
	u64 guest_end, number;

	for (number = 0; !fault && number < t->header.nr_entries; number++) {
		if (table_get(t, number, &e, &guest_end))
			return "it cannot be read";
		if (!number && e.start)
			return "it does not begin at the start of the disk";
		fault = check_entry(t, &e, guest_end, file_sizes);
	}
	return fault;
}

/**
 * table_set_header() - fill in the header of a new table, but for chunk_max
 * @t: the table
 * @format: name of the image's format
 * @d: its disk
 * @nr_entries: entries of the table
 * @nr_files: files that they refer to
 */
void table_set_header(struct table *t, const char *format, const struct foreign_disk *d,
		      u64 nr_entries, u32 nr_files)
{
	t->header = (struct qcow_map_header) {
		.magic = QCOW_MAP_MAGIC,
		.version = QCOW_MAP_VERSION,
		.flags = d->has_parent ? QCOW_MAP_HAS_HOLES : 0,
		.disk_size = ROUND_UP(d->size, (u64)SZ_512),
		.nr_entries = nr_entries,
		.nr_files = nr_files,
		.sector_size = d->sector_size,
	};
	snprintf(t->header.format, sizeof(t->header.format), "%s", format);
}

/**
 * table_write_header() - write the header of a table
 * @t: the table
 *
 * Return: 0 or a negative errno.
 */
int table_write_header(const struct table *t)
{
	char bytes[QCOW_MAP_HEADER_BYTES] = { };

	memcpy(bytes, &t->header, sizeof(t->header));
	return fd_write(t->fd, bytes, sizeof(bytes), 0);
}

/**
 * table_free() - close a table
 * @t: the table
 */
void table_free(struct table *t)
{
	if (t->fd >= 0)
		close(t->fd);
	free(t->entries);
	t->entries = NULL;
	t->fd = -1;
}
