/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_TABLES_H
#define _QCOWCTL_TABLES_H

#include "create/space.h"

/**
 * struct tables - the L1 table of a new image, and its L2 tables
 * @p: properties of the image
 * @s: its space
 * @data_fd: its external data file, or -1
 * @l1_table_offset: host offset of the L1 table, 0: the disk is empty
 * @l1_entries: of the L1 table
 * @l1: the L1 table, as it is on disk
 * @l2: the latest L2 table, as it is on disk
 * @l2_host_offset: its host offset, 0: there is none yet
 */
struct tables {
	const struct create_params *p;
	struct space *s;
	int data_fd;
	u64 l1_table_offset;
	u64 l1_entries;
	__be64 *l1;
	__be64 *l2;
	u64 l2_host_offset;
};

int tables_make(struct tables *t, const struct create_params *p, struct space *s, int data_fd);
void tables_free(struct tables *t);

#endif /* _QCOWCTL_TABLES_H */
