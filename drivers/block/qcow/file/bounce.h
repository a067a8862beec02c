/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_BOUNCE_H
#define _QCOW_BOUNCE_H

#include <linux/mutex.h>
#include <linux/refcount.h>
#include <linux/types.h>

/**
 * struct qcow_bounce - a bounce buffer for when there is no memory for one
 * @ref: files that use it
 * @bytes: a page, or a block of direct I/O if that is larger
 * @mem: the buffer
 * @lock: held by the user of @mem
 */
struct qcow_bounce {
	refcount_t ref;
	size_t bytes;
	void *mem;
	/* Held by the user of @mem. */
	struct mutex lock;
};

struct qcow_bounce *qcow_bounce_create(size_t bytes);
void qcow_bounce_put(struct qcow_bounce *bounce);
void qcow_bounce_share(struct qcow_bounce **bounce, struct qcow_bounce **largest);

#endif /* _QCOW_BOUNCE_H */
