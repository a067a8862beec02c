/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_TABLE_H
#define _QCOWCTL_TABLE_H

#include "foreign/foreign.h"

/**
 * struct table - entries of a table, read in order
 * @fd: the table
 * @header: its header; that of a new one is set by table_check()
 * @entries: those that are in memory
 * @first: number of the first one
 * @nr: how many there are
 */
struct table {
	int fd;
	struct qcow_map_header header;
	struct qcow_map_entry *entries;
	u64 first;
	u32 nr;
};

/* Where an entry is in the file of a table. */
static inline u64 table_offset(u64 number)
{
	return QCOW_MAP_HEADER_BYTES + number * sizeof(struct qcow_map_entry);
}

int __must_check table_get(struct table *t, u64 number, struct qcow_map_entry *e, u64 *guest_end);
int __must_check table_find(struct table *t, u64 guest_offset, u64 *number);
const char *table_check(struct table *t, const u64 *file_sizes);
void table_set_header(struct table *t, const char *format, const struct foreign_disk *d,
		      u64 nr_entries, u32 nr_files);
int __must_check table_write_header(const struct table *t);
void table_free(struct table *t);

#endif /* _QCOWCTL_TABLE_H */
