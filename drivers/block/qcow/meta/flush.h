/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_FLUSH_H
#define _QCOW_FLUSH_H

#include "meta/state.h"

/* Most milliseconds that an I/O waits while too much metadata is dirty. */
#define QCOW_FLUSH_THROTTLE 100

int __must_check qcow_flush(struct qcow_alloc *a);
int __must_check qcow_flush_range(struct qcow_alloc *a, u64 guest_offset, u64 len);
void qcow_flush_mark_corrupt(struct qcow_image *img);
void qcow_flush_init(struct qcow_alloc *a);
void qcow_flush_throttle(struct qcow_alloc *a);
void qcow_flush_stop(struct qcow_alloc *a);
int qcow_flush_close(struct qcow_alloc *a);

#endif /* _QCOW_FLUSH_H */
