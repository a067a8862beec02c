/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_CACHE_WRITE_H
#define _QCOW_CACHE_WRITE_H

#include "file/cache_slice.h"

void __qcow_cache_dirty(struct qcow_slice *slice);
void qcow_cache_clean(struct qcow_cache *cache, u64 host_offset);
bool qcow_cache_is_dirty(struct qcow_cache *cache, u64 host_offset);
u32 qcow_cache_nr_dirty(const struct qcow_cache *cache);
void qcow_cache_capture(struct qcow_cache *cache, struct list_head *captured, u32 *left);
int __must_check qcow_cache_write(struct qcow_cache *cache,
				  struct list_head *captured);
void qcow_cache_forget(struct qcow_cache *cache, struct list_head *captured,
		       bool written);

int __must_check qcow_cache_write_init(struct qcow_cache *cache);
void qcow_cache_write_exit(struct qcow_cache *cache);

#endif /* _QCOW_CACHE_WRITE_H */
