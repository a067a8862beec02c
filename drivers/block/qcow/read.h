/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_READ_H
#define _QCOW_READ_H

#include <linux/mempool.h>

#include "io.h"

/* Parts that I/O can always have, so that it goes on when memory is short. */
#define QCOW_READ_RESERVED_PARTS	64

mempool_t *qcow_read_create_pool(void);
void qcow_read(struct qcow_io *io);
void qcow_read_in_worker(struct qcow_io *io);

int qcow_read_init(void);
void qcow_read_exit(void);

#endif /* _QCOW_READ_H */
