/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_MAP_H
#define _QCOW_MAP_H

#include "meta/qcow.h"

int __must_check qcow_map(struct qcow_image *img, u64 guest_offset, u64 len,
			  unsigned int flags, struct qcow_extent *ext);

#endif /* _QCOW_MAP_H */
