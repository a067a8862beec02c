/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_COMMIT_H
#define _QCOW_COMMIT_H

#include "meta/pause.h"
#include "meta/qcow.h"

/* log2 of the bytes of the disk that one bit of the bitmap stands for. */
#define QCOW_COMMIT_SHIFT 16

/**
 * struct qcow_commit - a commit of an image into its backing file
 * @img: the image
 * @todo: bitmap of the pieces of the disk that are not copied yet
 * @next: the bit of @todo to go on with
 * @before: bytes that were to be copied when this pass over the disk began
 * @passes: number of passes over the disk that are done
 * @press: bytes to copy at a time while requests wait, as writers have to be slowed
 *	down; 0: they need not wait
 * @last: so little is left that it is copied while requests wait
 * @settled: number of flushes of qcow_commit_settle()
 * @done: all is copied, and the image is empty
 * @old: the L1 table that the image had before it was emptied
 * @old_size: entries in @old
 */
struct qcow_commit {
	struct qcow_image *img;
	struct qcow_bitmap *todo;
	u64 next;
	u64 before;
	u32 passes;
	u64 press;
	bool last;
	u32 settled;
	bool done;
	u64 *old;
	u32 old_size;
};

int __must_check qcow_commit_check(const struct qcow_image *img, struct qcow_msg *msg);
struct qcow_commit *qcow_commit_create(struct qcow_image *img, u32 shift);
void qcow_commit_begin(struct qcow_commit *commit);
void qcow_commit_end(struct qcow_commit *commit);
void qcow_commit_free(struct qcow_commit *commit);
int __must_check qcow_commit_begin_copy(struct qcow_commit *commit,
					struct qcow_pause *pause, struct qcow_msg *msg);
int __must_check qcow_commit_some(struct qcow_commit *commit, u64 bytes,
				  struct qcow_msg *msg);
int __must_check qcow_commit_settle(struct qcow_commit *commit, struct qcow_msg *msg);
bool qcow_commit_hurry(const struct qcow_commit *commit);
int __must_check qcow_commit_finish(struct qcow_commit *commit, struct qcow_msg *msg);
void qcow_commit_release(struct qcow_commit *commit);
int __must_check qcow_commit_flush(struct qcow_commit *commit, bool started,
				   struct qcow_msg *msg);
u64 qcow_commit_left(const struct qcow_commit *commit);

#endif /* _QCOW_COMMIT_H */
