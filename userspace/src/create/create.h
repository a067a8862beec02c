/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_CREATE_H
#define _QCOWCTL_CREATE_H

#include "create/params.h"
#include "lib/secret.h"

/* Files that a new image consists of; @data is -1 if it has no external data file. */
struct create_fds {
	int image;
	int data;
};

int create_write(const char *name, const struct create_params *p,
		 const struct create_fds *fds, const struct secret *passphrase);
int create_write_raw(const char *name, const struct create_params *p, int fd);

#endif /* _QCOWCTL_CREATE_H */
