/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_SNAPSHOT_OPS_H
#define _QCOW_SNAPSHOT_OPS_H

#include "meta/pause.h"
#include "meta/state.h"

/**
 * struct qcow_snapshot_users - tells whether a snapshot is in use
 * @refuse: called before a snapshot is deleted, with the host offset of its L1 table;
 *	names the user in @msg. Does not sleep. Return: 0: it has none; or -EBUSY
 */
struct qcow_snapshot_users {
	int (*refuse)(struct qcow_snapshot_users *users, u64 l1_host_offset,
		      struct qcow_msg *msg);
};

/**
 * struct qcow_snapshot_request - argument and result of a snapshot operation
 * @name: create: its name; else its id or name; not empty
 * @pause: holds the image's I/O up; apply: and sees to it that nobody uses the disk
 * @users: delete: those of the image's snapshots; or NULL. It gets no more meanwhile
 * @min_size: apply: bytes that the disk must have after it
 * @id: out: its id, as far as it fits
 * @applied: out: the disk is another one; set before I/O goes on
 * @stopped_ns: out: how long I/O was held up, nanoseconds
 */
struct qcow_snapshot_request {
	const char *name;
	struct qcow_pause *pause;
	struct qcow_snapshot_users *users;
	u64 min_size;
	char id[32];
	bool applied;
	u64 stopped_ns;
};

int __must_check qcow_snapshot_create(struct qcow_image *img,
				      struct qcow_snapshot_request *req,
				      struct qcow_msg *msg);
int __must_check qcow_snapshot_delete(struct qcow_image *img,
				      struct qcow_snapshot_request *req,
				      struct qcow_msg *msg);
int __must_check qcow_snapshot_apply(struct qcow_image *img,
				     struct qcow_snapshot_request *req,
				     struct qcow_msg *msg);

#endif /* _QCOW_SNAPSHOT_OPS_H */
