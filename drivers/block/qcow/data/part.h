/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_PART_H
#define _QCOW_PART_H

#include <linux/mempool.h>

#include "meta/qcow.h"

/* Parts that I/O can always have, so that it goes on when memory is short. */
#define QCOW_PART_RESERVED_PARTS	64

void qcow_part_io_begin(struct qcow_io *io);
void qcow_part_io_put(struct qcow_io *io);
void qcow_part_io_fail(struct qcow_io *io, int err);
struct qcow_part *qcow_part_get(struct qcow_io *io);
void qcow_part_prepare(struct qcow_part *part, const struct qcow_io *io,
		       const struct qcow_extent *ext);
void qcow_part_start(struct qcow_part *part, bool nowait);
int __must_check qcow_part_write_sync(struct qcow_image *img,
				      struct qcow_fio *fio, u64 pos);
mempool_t *qcow_part_create_pool(void);

int qcow_part_init(void);
void qcow_part_exit(void);

#endif /* _QCOW_PART_H */
