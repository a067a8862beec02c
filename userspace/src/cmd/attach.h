/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_ATTACH_H
#define _QCOWCTL_ATTACH_H

#include "device/attached.h"
#include "image/keys.h"
#include "qcow/ondisk/pure.h"

int attach_to_change(struct device *d, int control, const char *name, u32 format,
		     const struct keys_options *keys);

#endif /* _QCOWCTL_ATTACH_H */
