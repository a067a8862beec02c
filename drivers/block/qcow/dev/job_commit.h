/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_JOB_COMMIT_H
#define _QCOW_JOB_COMMIT_H

#include "meta/qcow.h"

struct qcow_device;
struct qcow_source;

/**
 * struct qcow_commit_request - a step of a commit into the backing file
 * @src: the backing file, if the step opens it; the step fills in the format
 * @bytes: bytes of the disk to look at, more if the disk is written too fast
 * @done: out: bytes of the disk that are in the backing file
 * @total: out: bytes of the disk
 * @below: out: the message is about the backing file
 */
struct qcow_commit_request {
	struct qcow_source *src;
	u64 bytes;
	u64 done;
	u64 total;
	bool below;
};

int __must_check qcow_job_commit_open(struct qcow_device *dev,
				      struct qcow_commit_request *req,
				      struct qcow_msg *msg);
int __must_check qcow_job_commit_start(struct qcow_device *dev,
				       struct qcow_commit_request *req,
				       struct qcow_msg *msg);
int __must_check qcow_job_commit_run(struct qcow_device *dev,
				     struct qcow_commit_request *req,
				     struct qcow_msg *msg);
int __must_check qcow_job_commit_close(struct qcow_device *dev,
				       struct qcow_commit_request *req,
				       struct qcow_msg *msg);

#endif /* _QCOW_JOB_COMMIT_H */
