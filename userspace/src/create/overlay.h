/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_OVERLAY_H
#define _QCOWCTL_OVERLAY_H

#include "image/chain.h"

int overlay_add(struct chain *c, const char *folder, u64 size);

#endif /* _QCOWCTL_OVERLAY_H */
