/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_MERGE_H
#define _QCOW_MERGE_H

#include "meta/pause.h"
#include "meta/qcow.h"

/* log2 of the bytes of the disk that one bit of the bitmap stands for. */
#define QCOW_MERGE_SHIFT	16

/**
 * struct qcow_merge - a commit of an image into its backing file
 * @img: the image
 * @todo: bitmap of the pieces of the disk that are not copied yet
 * @next: the bit of @todo to go on with
 * @before: bytes that were to be copied when this pass over the disk began
 * @passes: number of passes over the disk that are done
 * @press: bytes to copy at a time while requests wait, as writers have to be slowed
 *	down; 0: they need not wait
 * @last: so little is left that it is copied while requests wait
 * @done: all is copied, and the image is empty
 * @old: the L1 table that the image had before it was emptied
 * @old_size: entries in @old
 */
struct qcow_merge {
	struct qcow_image *img;
	struct qcow_bitmap *todo;
	u64 next;
	u64 before;
	u32 passes;
	u64 press;
	bool last;
	bool done;
	u64 *old;
	u32 old_size;
};

int __must_check qcow_merge_check(const struct qcow_image *img,
				  struct qcow_msg *msg);
struct qcow_merge *qcow_merge_create(struct qcow_image *img, u32 shift);
void qcow_merge_begin(struct qcow_merge *m);
void qcow_merge_end(struct qcow_merge *m);
void qcow_merge_free(struct qcow_merge *m);
int __must_check qcow_merge_start(struct qcow_merge *m,
				  const struct qcow_io *like,
				  struct qcow_pause *pause, struct qcow_msg *msg);
int __must_check qcow_merge_some(struct qcow_merge *m,
				 const struct qcow_io *like, u64 bytes,
				 struct qcow_msg *msg);
int __must_check qcow_merge_finish(struct qcow_merge *m,
				   const struct qcow_io *like,
				   struct qcow_msg *msg);
void qcow_merge_release(struct qcow_merge *m);
int __must_check qcow_merge_flush(struct qcow_merge *m, bool started,
				  struct qcow_msg *msg);
u64 qcow_merge_left(const struct qcow_merge *m);

#endif /* _QCOW_MERGE_H */
