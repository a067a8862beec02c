/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_DEVICE_H
#define _QCOW_DEVICE_H

#include "dev/device_state.h"

/**
 * struct qcow_attach - arguments of an attach
 * @sources: the chain, top first
 * @nr_sources: at least 1
 * @flags: QCOW_ATTACH_*
 * @index: N of /dev/qcowN, or -1
 * @snapshot: id or name of the snapshot to show; or NULL
 * @offset: guest offset at which the device begins
 * @size_limit: most bytes of the device, 0: no limit
 * @sector_size: bytes of a logical sector
 * @cache_bytes: limit of each image's metadata cache
 * @owner: the open file of the control node that a hidden device belongs to, or NULL
 */
struct qcow_attach {
	const struct qcow_source *sources;
	u32 nr_sources;
	u32 flags;
	int index;
	const char *snapshot;
	u64 offset;
	u64 size_limit;
	u32 sector_size;
	u64 cache_bytes;
	const struct file *owner;
};

struct qcow_ioc_status;

int __must_check qcow_device_attach(const struct qcow_attach *attach,
				    struct qcow_msg *msg, u32 *failed, u64 *diskseq);
int __must_check qcow_device_detach(int index, const struct file *by,
				    u32 flags, u64 diskseq, struct qcow_msg *msg);
void qcow_device_detach_owned(const struct file *owner);
struct qcow_device *qcow_device_get(int index, const struct file *by);
void qcow_device_put(struct qcow_device *dev);
int qcow_device_visit(int index,
		      int (*visit)(struct qcow_device *dev, void *arg), void *arg);
struct qcow_params qcow_device_params(const struct qcow_device *dev);
sector_t qcow_device_sectors(const struct qcow_device *dev, u64 bytes);
int __must_check qcow_device_status(int index, const struct file *by,
				    struct qcow_ioc_status *st);

int qcow_device_init(void);
void qcow_device_exit(void);

#endif /* _QCOW_DEVICE_H */
