/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_CHANGE_H
#define _QCOW_CHANGE_H

#include "meta/pause.h"
#include "meta/qcow.h"

struct qcow_device;
struct qcow_snap_request;

/**
 * struct qcow_change - a job: a change of a device's image that is not I/O
 * @run: does the job, in a worker. Return: 0 or a negative errno
 * @any_signal: any signal to the caller interrupts the job, not only a fatal one
 */
struct qcow_change {
	int (*run)(struct qcow_device *dev, struct qcow_change *change);
	bool any_signal;
};

/**
 * struct qcow_change_pause - a device's queue, which lower floors can freeze
 * @base: the interface for lower floors
 * @dev: the device
 * @memflags: from freezing the queue
 */
struct qcow_change_pause {
	struct qcow_pause base;
	struct qcow_device *dev;
	unsigned int memflags;
};

/**
 * struct qcow_which - the device of a job
 * @index: its number
 * @diskseq: its diskseq, or 0: any
 * @by: as for qcow_device_get()
 */
struct qcow_which {
	int index;
	u64 diskseq;
	const struct file *by;
};

struct qcow_device *qcow_change_hold(const struct qcow_which *which,
				     struct qcow_msg *msg);
void qcow_change_unhold(struct qcow_device *dev);
int qcow_change_run(struct qcow_device *dev, struct qcow_change *change);
unsigned int qcow_change_freeze(struct qcow_device *dev);
void qcow_change_unfreeze(struct qcow_device *dev, unsigned int flags);
void qcow_change_pause_init(struct qcow_change_pause *p, struct qcow_device *dev);
struct qcow_io qcow_change_io(const struct qcow_device *dev);

int __must_check qcow_change_size(const struct qcow_which *which, u64 bytes,
				  u32 flags, struct qcow_msg *msg);
int __must_check qcow_change_stream(const struct qcow_which *which, u64 bytes,
				    u64 *done, u64 *total, struct qcow_msg *msg);
int __must_check qcow_change_snapshot(const struct qcow_which *which, u32 op,
				      struct qcow_snap_request *req,
				      struct qcow_msg *msg);

int qcow_change_init(void);
void qcow_change_exit(void);

#endif /* _QCOW_CHANGE_H */
