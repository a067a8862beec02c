/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_SECRET_H
#define _QCOWCTL_SECRET_H

#include "qcow/ondisk/pure.h"

/**
 * struct secret - a passphrase
 * @bytes: any bytes, NULL: there is none
 * @len: how many
 */
struct secret {
	char *bytes;
	size_t len;
};

int secret_read_file(struct secret *s, const char *name);
int secret_prompt(struct secret *s, const char *image);
int secret_ask_agents(struct secret *s, const char *image);
void secret_wipe(struct secret *s);

#endif /* _QCOWCTL_SECRET_H */
