/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_LIFE_H
#define _QCOW_LIFE_H

#include "meta/state.h"

struct qcow_alloc *qcow_life_begin(struct qcow_image *img,
				   const struct qcow_header *h,
				   const struct qcow_params *params);
void qcow_life_end(struct qcow_alloc *a);

#endif /* _QCOW_LIFE_H */
