/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_OPERAND_H
#define _QCOWCTL_OPERAND_H

#include <linux/qcow.h>
#include <stdbool.h>

#include "device/attached.h"
#include "image/keys.h"
#include "qcow/ondisk/pure.h"

/**
 * struct operand - the device of an image that a command changes
 * @control: the driver's control node
 * @index: the N of /dev/qcowN
 * @diskseq: the device's, 0: not known; for ioctls that change it
 * @name: as the user named it, for messages
 * @ours: it was attached for the command, and goes with it
 */
struct operand {
	int control;
	int index;
	u64 diskseq;
	const char *name;
	bool ours;
};

int operand_open(struct operand *o, const char *arg, u32 format,
		 const struct keys_options *keys);
struct device operand_device(const struct operand *o);
int operand_status(const struct operand *o, struct qcow_ioc_status *status);
void operand_replaced(struct operand *o);
int operand_close(struct operand *o);

#endif /* _QCOWCTL_OPERAND_H */
