/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_DATA_IO_H
#define _QCOW_DATA_IO_H

#include <linux/mempool.h>

#include "meta/qcow.h"
#include "meta/release.h"

/* Sub-requests in reserve, so that I/O goes on when memory is short. */
#define QCOW_SUBREQ_RESERVED 64

void qcow_io_start(struct qcow_io *io, int (*step)(struct qcow_io *io));
void qcow_io_start_in_worker(struct qcow_io *io, int (*step)(struct qcow_io *io));
void qcow_io_start_here(struct qcow_io *io, int (*step)(struct qcow_io *io));
int __must_check qcow_io_sync(struct qcow_io *io,
			      void (*start)(struct qcow_io *io));

int __must_check qcow_io_transfer(struct qcow_io *io,
				  const struct qcow_extent *ext);
int __must_check qcow_io_write_file(struct qcow_image *img, struct qcow_file_req *req,
				    u64 guest_offset);
mempool_t *qcow_io_create_pool(void);

/*
 * Return: true if a request that failed so is tried again, as more memory or space may
 * come, and a job tells its caller of the error: it is not logged. Any context.
 */
static inline bool qcow_io_is_retried(const struct qcow_image *img, int err)
{
	return err == -ENOMEM || qcow_release_helps(img->alloc, err);
}

int qcow_io_init(void);
void qcow_io_exit(void);

#endif /* _QCOW_DATA_IO_H */
