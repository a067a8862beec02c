/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_SNAPSHOT_TABLE_H
#define _QCOW_SNAPSHOT_TABLE_H

#include "meta/state.h"

/**
 * struct qcow_snapshot_table - a copy of the snapshot table, in its form on disk
 * @buf: the entries
 * @bytes: bytes of the entries
 * @nr: number of entries
 */
struct qcow_snapshot_table {
	u8 *buf;
	u64 bytes;
	u32 nr;
};

/**
 * struct qcow_snapshot_entry - a snapshot that was found
 * @s: the entry, decoded
 * @in_table: byte of the table at which it begins
 */
struct qcow_snapshot_entry {
	struct qcow_snapshot s;
	u64 in_table;
};

int __must_check qcow_snapshot_table_load(struct qcow_alloc *a,
					  struct qcow_snapshot_table *t);
void qcow_snapshot_table_free(struct qcow_snapshot_table *t);
int __must_check qcow_snapshot_table_find(const struct qcow_alloc *a,
					  const struct qcow_snapshot_table *t,
					  const char *name,
					  struct qcow_snapshot_entry *found);
int __must_check qcow_snapshot_table_new_id(const struct qcow_alloc *a,
					    const struct qcow_snapshot_table *t, char *id,
					    size_t len);
int __must_check qcow_snapshot_table_add(struct qcow_snapshot_table *t,
					 const struct qcow_snapshot *s, const char *id,
					 const char *name);
void qcow_snapshot_table_remove(struct qcow_snapshot_table *t,
				const struct qcow_snapshot_entry *e);
int __must_check qcow_snapshot_table_publish(struct qcow_alloc *a,
					     const struct qcow_snapshot_table *t);

#endif /* _QCOW_SNAPSHOT_TABLE_H */
