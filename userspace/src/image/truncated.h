/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_TRUNCATED_H
#define _QCOWCTL_TRUNCATED_H

#include "image/image.h"

int truncated_check(const struct image *img);

#endif /* _QCOWCTL_TRUNCATED_H */
