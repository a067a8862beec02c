/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_QUICK_H
#define _QCOW_QUICK_H

#include "qcow.h"

int __must_check qcow_quick_write(struct qcow_io *io,
				  const struct qcow_extent *ext);

#endif /* _QCOW_QUICK_H */
