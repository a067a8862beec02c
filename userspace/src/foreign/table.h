/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_TABLE_H
#define _QCOWCTL_TABLE_H

#include <linux/qcow_map.h>

#include "qcow/ondisk/pure.h"

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

int __must_check table_get(struct table *t, u64 number, struct qcow_map_entry *e, u64 *guest_end);
int __must_check table_find(struct table *t, u64 guest_offset, u64 *number);
const char *table_check(struct table *t, const u64 *file_sizes);
int __must_check table_write_header(const struct table *t);
void table_free(struct table *t);

#endif /* _QCOWCTL_TABLE_H */
