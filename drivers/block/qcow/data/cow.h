/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_COW_H
#define _QCOW_COW_H

#include "meta/qcow.h"

ssize_t __must_check qcow_cow_write(struct qcow_io *io, u64 guest_offset, u32 len);

ssize_t __must_check qcow_cow_copy_up(struct qcow_io *io, u64 guest_offset, u32 len,
				      void *buf);

int __must_check qcow_cow_check(struct qcow_image *img, u64 guest_offset,
				const struct qcow_extent *ext);

/*
 * Return: true if an extent reads as zeros, has no cluster, and zeros of the file are
 * zeros of the disk, which they are not in an encrypted image. A mapped extent does not
 * count, since its cluster moves as a whole, and other subclusters may have data.
 */
static inline bool qcow_cow_is_empty(const struct qcow_image *img,
				     const struct qcow_extent *ext)
{
	if (ext->mapped || img->crypt)
		return false;
	return ext->type == QCOW_EXTENT_ZERO ||
	       (ext->type == QCOW_EXTENT_HOLE && !img->backing);
}

/* Return: true if a write to an extent goes to it in place. */
static inline bool qcow_cow_is_in_place(const struct qcow_extent *ext)
{
	return ext->type == QCOW_EXTENT_DATA && ext->copied;
}

#endif /* _QCOW_COW_H */
