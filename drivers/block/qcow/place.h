/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_PLACE_H
#define _QCOW_PLACE_H

#include "qcow.h"

int __must_check qcow_place_fio(struct qcow_image *img, struct qcow_fio *fio,
				u64 pos);
ssize_t __must_check qcow_place_write(struct qcow_io *io, u64 pos, u32 len);

int __must_check qcow_place_check(struct qcow_image *img, u64 pos,
				  const struct qcow_extent *ext);

/* Whether an extent is written where it lies. */
static inline bool qcow_place_is_in_place(const struct qcow_extent *ext)
{
	return ext->type == QCOW_EXTENT_DATA && ext->copied;
}

#endif /* _QCOW_PLACE_H */
