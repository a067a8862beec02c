/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_PICK_H
#define _QCOWCTL_PICK_H

#include "mount/request.h"

/**
 * struct pick - the filesystem that is to be mounted
 * @path: of its block device
 * @type: of the filesystem
 */
struct pick {
	char *path;
	char *type;
};

int pick_filesystem(struct pick *p, const struct device *d, const struct request *r);
void pick_free(struct pick *p);

#endif /* _QCOWCTL_PICK_H */
