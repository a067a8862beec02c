/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_HELD_H
#define _QCOWCTL_HELD_H

#include "mount/request.h"

/**
 * struct held - a device that detaches itself, held open until it is mounted
 * @device: the device
 * @fd: its open node
 * @control: the control node, which keeps the device until it is closed; or -1
 * @lock: keeps other mounts of the image waiting until it is closed; or -1
 * @shared: it was there before, with other mounts
 * @refused: it is attached with other options, which was said
 */
struct held {
	struct device device;
	int fd;
	int control;
	int lock;
	bool shared;
	bool refused;
};

int held_attach(struct held *h, struct request *r);
void held_release(struct held *h, bool mounted);

#endif /* _QCOWCTL_HELD_H */
