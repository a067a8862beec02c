/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_DEVICE_H
#define _QCOW_DEVICE_H

#include "dev/device_list.h"

/**
 * struct qcow_attach - arguments of an attach
 * @options: the argument of the ioctl, which was checked; defaults stand in place of 0.
 *	Its addresses are the caller's, and are not used
 * @sources: the chain of @options->nr_images images, top first
 * @snapshot: id or name of the snapshot to show; or NULL
 * @alias: the name that the user gives the device; or NULL
 * @parent: the device whose snapshot is shown, the caller holds its job_mutex; or NULL
 * @owner: the open file of the control node that a hidden device belongs to, or NULL
 * @holder: the open file that keeps a device which detaches itself, or NULL
 */
struct qcow_attach {
	const struct qcow_ioc_attach *options;
	const struct qcow_source *sources;
	const char *snapshot;
	const char *alias;
	struct qcow_device *parent;
	const struct file *owner;
	const struct file *holder;
};

int __must_check qcow_device_attach(const struct qcow_attach *attach,
				    struct qcow_msg *msg, u32 *failed, u64 *diskseq);
int __must_check qcow_device_detach(int index, const struct file *by,
				    u32 flags, u64 diskseq, struct qcow_msg *msg);
void qcow_device_detach_owned(const struct file *owner);
void qcow_device_let_go_held(const struct file *holder);
struct qcow_params qcow_device_params(struct qcow_device *dev);

int qcow_device_init(void);
void qcow_device_exit(void);

#endif /* _QCOW_DEVICE_H */
