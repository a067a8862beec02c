/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_JOB_H
#define _QCOW_JOB_H

#include "meta/pause.h"
#include "meta/qcow.h"

struct qcow_device;
struct qcow_snapshot_request;

/**
 * struct qcow_job - a job: a change of a device's image that is not I/O
 * @run: does the job, in a worker. Return: 0 or a negative errno
 * @any_signal: any signal to the caller interrupts the job, not only a fatal one
 */
struct qcow_job {
	int (*run)(struct qcow_device *dev, struct qcow_job *job);
	bool any_signal;
};

/**
 * struct qcow_job_pause - a device's queue, which lower floors can freeze
 * @base: the interface for lower floors
 * @dev: the device
 * @memflags: from freezing the queue
 * @may_end: a signal ends the wait before a freeze; else the queue is frozen then
 */
struct qcow_job_pause {
	struct qcow_pause base;
	struct qcow_device *dev;
	unsigned int memflags;
	bool may_end;
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

struct qcow_device *qcow_job_hold(const struct qcow_which *which, struct qcow_msg *msg);
struct qcow_device *qcow_job_hold_to_read(const struct qcow_which *which,
					  struct qcow_msg *msg);
void qcow_job_unhold(struct qcow_device *dev);
int qcow_job_run(struct qcow_device *dev, struct qcow_job *job);
unsigned int qcow_job_freeze(struct qcow_device *dev);
int __must_check qcow_job_try_freeze(struct qcow_device *dev, unsigned int *flags);
void qcow_job_unfreeze(struct qcow_device *dev, unsigned int flags);
void qcow_job_pause_init(struct qcow_job_pause *p, struct qcow_device *dev);

int __must_check qcow_job_refuse_temporary(const struct qcow_device *dev,
					   struct qcow_msg *msg);
int __must_check qcow_job_size(const struct qcow_which *which, u64 bytes, u32 flags,
			       struct qcow_msg *msg);
int __must_check qcow_job_stream(const struct qcow_which *which, u64 bytes, u64 *done,
				 u64 *total, struct qcow_msg *msg);
int __must_check qcow_job_snapshot(const struct qcow_which *which, u32 op,
				   struct qcow_snapshot_request *req,
				   struct qcow_msg *msg);

int qcow_job_init(void);
void qcow_job_exit(void);

#endif /* _QCOW_JOB_H */
