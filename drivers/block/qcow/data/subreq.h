/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_SUBREQ_H
#define _QCOW_SUBREQ_H

#include <linux/mempool.h>

#include "meta/qcow.h"

/* Parts that I/O can always have, so that it goes on when memory is short. */
#define QCOW_SUBREQ_RESERVED 64

void qcow_subreq_io_begin(struct qcow_io *io);
void qcow_subreq_io_put(struct qcow_io *io);
void qcow_subreq_io_fail(struct qcow_io *io, int err);
struct qcow_subreq *qcow_subreq_get(struct qcow_io *io);
void qcow_subreq_prepare(struct qcow_subreq *subreq, const struct qcow_io *io,
			 const struct qcow_extent *ext);
void qcow_subreq_start(struct qcow_subreq *subreq, bool nowait);
int __must_check qcow_subreq_write_sync(struct qcow_image *img, struct qcow_file_req *req,
					u64 guest_offset);
mempool_t *qcow_subreq_create_pool(void);

int qcow_subreq_init(void);
void qcow_subreq_exit(void);

#endif /* _QCOW_SUBREQ_H */
