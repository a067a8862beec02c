/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_QUEUES_H
#define _QCOW_QUEUES_H

#include <linux/list.h>

#include "file/request.h"
#include "meta/cow_mem.h"
#include "meta/image.h"

struct super_block;

/* So many devices have queues of their own; later ones share them. */
#define QCOW_QUEUES_OWN	8

/**
 * struct qcow_queues - queues and reserves of one device, or of many
 * @ctx: those that I/O of images uses
 * @comp_wq: queue of decompression and decryption
 * @flush_wq: queue of flushes, which wait for writes
 * @cow_mems: memory for COW
 * @sb: the filesystem that has all files of its devices; NULL: it is one device's own.
 *	Only compared
 * @node: in the list of those that devices may join
 * @devices: devices with open files
 * @users: devices that use it
 */
struct qcow_queues {
	struct qcow_io_ctx ctx;
	struct workqueue_struct *comp_wq;
	struct workqueue_struct *flush_wq;
	struct qcow_cow_mems cow_mems;
	const struct super_block *sb;
	struct list_head node;
	u32 devices;
	u32 users;
};

struct qcow_queues *qcow_queues_join(const char *name, const struct qcow_source *sources,
				     u32 nr_sources, u32 nr_devices);
void qcow_queues_leave(struct qcow_queues *q);
void qcow_queues_put(struct qcow_queues *q);

#endif /* _QCOW_QUEUES_H */
