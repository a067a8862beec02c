/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_SPACE_H
#define _QCOWCTL_SPACE_H

#include "create/params.h"

/**
 * struct space - the host clusters of a new image, and their refcounts
 * @fd: the image
 * @cluster_bits: log2 of the cluster size in bytes
 * @order: log2 of the bits of a refcount
 * @block_bits: log2 of the refcounts of a refcount block
 * @table: the refcount table: host offsets, 0: there is no block
 * @blocks: the refcount blocks, as they are on disk, by the same index
 * @room: entries of @table and @blocks
 * @entries: of the refcount table on disk; those of @table behind them are 0
 * @table_host_offset: host offset of the refcount table
 * @next_free: no cluster below it is free
 * @end: bytes of the file so far
 * @changed: the first refcount block that space_sync() has to write
 * @changed_end: the first one behind those
 * @new_blocks: there are refcount blocks that the table in the file does not name
 * @loaded: the image was there: its refcount table stays where it is
 */
struct space {
	int fd;
	u32 cluster_bits;
	u32 order;
	u32 block_bits;
	u64 *table;
	void **blocks;
	u64 room;
	u64 entries;
	u64 table_host_offset;
	u64 next_free;
	u64 end;
	u64 changed;
	u64 changed_end;
	bool new_blocks;
	bool loaded;
};

int space_begin(struct space *s, int fd, const struct create_params *p);
int space_alloc(struct space *s, u64 bytes, u64 *host_offset);
int space_alloc_at(struct space *s, u64 host_offset, u64 nr, u64 *got);
int space_reserve(struct space *s, u64 clusters, u64 *host_offset);
int space_write(struct space *s, const void *buf, size_t len, u64 host_offset);
int space_finish(struct space *s);
int space_load(struct space *s, int fd, const struct qcow_header *h);
int space_count(struct space *s, u64 first, u64 nr);
int space_share(struct space *s, u64 host_offset);
u64 space_used(const struct space *s);
int space_sync(struct space *s);
void space_free(struct space *s);

static inline u64 space_clusters(const struct space *s, u64 bytes)
{
	return bytes ? ((bytes - 1) >> s->cluster_bits) + 1 : 0;
}

static inline void space_extend(struct space *s, u64 end)
{
	if (s->end < end)
		s->end = end;
}

#endif /* _QCOWCTL_SPACE_H */
