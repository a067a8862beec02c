/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_WRITEBACK_H
#define _QCOW_WRITEBACK_H

#include "meta/state.h"

/* Most milliseconds that changes of metadata stay in memory only. */
#define QCOW_WRITEBACK_INTERVAL	5000

/*
 * Queue @work on the flush queue, where it may wait for I/O of the image. Any context.
 * Return: false: it is queued already.
 */
static inline bool qcow_writeback_queue(struct qcow_alloc *a, struct work_struct *work)
{
	return queue_work(a->flush.wq, work);
}

/*
 * Return: 0; or an error: no metadata is written any more. Under a->store_lock, so that
 * a task that is about to write metadata learns of every failure before.
 */
static inline int __must_check __qcow_writeback_over(const struct qcow_alloc *a)
{
	return qcow_image_stopped(a->img) ? -EIO : a->failed;
}

int __must_check __qcow_writeback_flush(struct qcow_alloc *a, struct qcow_file *f);
int __must_check qcow_writeback_refused(const struct qcow_alloc *a);
bool qcow_writeback_caches_full(const struct qcow_alloc *a);
bool qcow_writeback_full(const struct qcow_alloc *a);
void qcow_writeback_soon(struct qcow_alloc *a);
void qcow_writeback_later(struct qcow_alloc *a);

#endif /* _QCOW_WRITEBACK_H */
