/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_CHAIN_DEVICE_H
#define _QCOWCTL_CHAIN_DEVICE_H

#include "device/attached.h"
#include "image/chain.h"

int chain_open_device(struct chain *c, int control, const struct device *d,
		      const struct chain_options *o);

#endif /* _QCOWCTL_CHAIN_DEVICE_H */
