/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_COMMIT_H
#define _QCOW_COMMIT_H

#include "meta/state.h"

/* Milliseconds that an I/O waits at most while there is too much of it. */
#define QCOW_COMMIT_THROTTLE	100

/* Bytes of the header that are changed at once, at most. */
#define QCOW_COMMIT_HEADER_MAX	32

int __must_check qcow_commit(struct qcow_alloc *a);
int __must_check __qcow_commit_header(struct qcow_alloc *a, u32 offset,
				      void *fields, u32 len);
int __must_check qcow_commit_header(struct qcow_alloc *a, u32 offset,
				    void *fields, u32 len);
void qcow_commit_init(struct qcow_alloc *a);
void qcow_commit_throttle(struct qcow_alloc *a);
void qcow_commit_stop(struct qcow_alloc *a);
int qcow_commit_close(struct qcow_alloc *a);

#endif /* _QCOW_COMMIT_H */
