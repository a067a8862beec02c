/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_CHANGE_MERGE_H
#define _QCOW_CHANGE_MERGE_H

#include "meta/qcow.h"

struct qcow_device;
struct qcow_source;

/**
 * struct qcow_merge_request - a step of writing an image's data to its backing file
 * @src: the backing file, if it is opened anew; the format is filled in
 * @bytes: of the disk to look at; more if it is written too fast
 * @done: out: bytes of the disk that are in the backing file
 * @total: out: bytes of the disk
 * @below: out: a message is about the backing file
 */
struct qcow_merge_request {
	struct qcow_source *src;
	u64 bytes;
	u64 done;
	u64 total;
	bool below;
};

int __must_check qcow_change_merge_open(struct qcow_device *dev,
					struct qcow_merge_request *req,
					struct qcow_msg *msg);
int __must_check qcow_change_merge_start(struct qcow_device *dev,
					 struct qcow_merge_request *req,
					 struct qcow_msg *msg);
int __must_check qcow_change_merge_run(struct qcow_device *dev,
				       struct qcow_merge_request *req,
				       struct qcow_msg *msg);
int __must_check qcow_change_merge_close(struct qcow_device *dev,
					 struct qcow_merge_request *req,
					 struct qcow_msg *msg);

#endif /* _QCOW_CHANGE_MERGE_H */
