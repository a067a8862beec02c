/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_CACHE_H
#define _QCOW_CACHE_H

#include "file/cache_slice.h"
#include "file/cache_write.h"

struct qcow_cache *qcow_cache_create(struct qcow_file *file, u32 slice_bits,
				     u64 bytes);
void qcow_cache_destroy(struct qcow_cache *cache);
struct qcow_slice *qcow_cache_get(struct qcow_cache *cache, u64 host_offset);
struct qcow_slice *qcow_cache_get_new(struct qcow_cache *cache, u64 host_offset);
bool qcow_cache_crowded(const struct qcow_cache *cache);
bool qcow_cache_full(const struct qcow_cache *cache);
bool qcow_cache_overfull(const struct qcow_cache *cache);
void qcow_cache_set_writeback(struct qcow_cache *cache,
			      struct workqueue_struct *wq,
			      struct delayed_work *work);
u64 qcow_cache_used(const struct qcow_cache *cache);
bool qcow_cache_count_pinned(struct qcow_cache *cache, unsigned long *index, u32 most,
			     u32 *pinned);

int qcow_cache_init(void);
void qcow_cache_exit(void);

#endif /* _QCOW_CACHE_H */
