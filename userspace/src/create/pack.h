/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_PACK_H
#define _QCOWCTL_PACK_H

#include "create/space.h"
#include "image/image.h"
#include "qcow/ondisk/entry.h"

/**
 * struct pack - a qcow2 image that gets compressed clusters, in rising order
 * @fd: the image
 * @header: its header
 * @layout: of its tables
 * @space: its host clusters
 * @l1: the L1 table, as it is on disk
 * @l1_changed: the first L1 entry that is to be written
 * @l1_changed_end: the first one behind those
 * @l2: the L2 table that is looked at, as it is on disk
 * @l2_index: its L1 entry; UINT64_MAX: there is none yet
 * @l2_host_offset: its host offset; 0: it has no cluster yet
 * @l2_named: an L1 entry in the file names it
 * @l2_changed: it is to be written
 * @next_byte: host offset behind the latest compressed cluster; 0: begin a cluster
 * @unsynced: bytes that were written since pack_sync()
 */
struct pack {
	int fd;
	const struct qcow_header *header;
	struct qcow_layout layout;
	struct space space;
	__be64 *l1;
	u64 l1_changed;
	u64 l1_changed_end;
	__be64 *l2;
	u64 l2_index;
	u64 l2_host_offset;
	bool l2_named;
	bool l2_changed;
	u64 next_byte;
	u64 unsynced;
};

int pack_open(struct pack *p, const struct image *img);
int pack_has(struct pack *p, u64 guest_offset, bool *has);
int pack_put(struct pack *p, u64 guest_offset, const void *buf, size_t len);
int pack_sync(struct pack *p);
int pack_finish(struct pack *p);
void pack_close(struct pack *p);

#endif /* _QCOWCTL_PACK_H */
