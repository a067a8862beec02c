/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_SEEMS_H
#define _QCOWCTL_SEEMS_H

#include "lib/file.h"

/* Which files that are no image of ours are looked for. */
enum seems_scope {
	SEEMS_FORMATS,	/* formats of disks that QEMU knows by their magic */
	SEEMS_FILES,	/* and other files that are no disks */
	SEEMS_ALL,	/* and raw disks */
};

char *seems_describe(const struct file *f, enum seems_scope scope, const char *as_raw);

#endif /* _QCOWCTL_SEEMS_H */
