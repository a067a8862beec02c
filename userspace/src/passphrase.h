/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_PASSPHRASE_H
#define _QCOWCTL_PASSPHRASE_H

#include <stddef.h>

/* Longest passphrase in bytes. */
#define PASSPHRASE_MAX	65536

/**
 * struct passphrase - to be wiped
 * @bytes: not NUL-terminated
 * @len: of @bytes
 */
struct passphrase {
	char bytes[PASSPHRASE_MAX + 1];
	size_t len;
};

int passphrase_read(struct passphrase *p, const char *name);
int passphrase_ask(struct passphrase *p, const char *image);

#endif /* _QCOWCTL_PASSPHRASE_H */
