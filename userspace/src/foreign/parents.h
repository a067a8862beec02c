/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_PARENTS_H
#define _QCOWCTL_PARENTS_H

#include "foreign/foreign.h"

/* Names of a parent that an image may have, and bytes of the longest one with its NUL. */
#define PARENTS_MAX		16
#define PARENTS_NAME_SIZE	SZ_4K

/**
 * struct parents - the names under which the parent of an image may be found
 * @names: in the order in which they are tried
 * @nr: of them
 */
struct parents {
	char names[PARENTS_MAX][PARENTS_NAME_SIZE];
	u32 nr;
};

void parents_add(struct parents *parents, const char *name);
void parents_add_windows(struct parents *parents, const char *path);
void parents_add_utf16(struct parents *parents, const u8 *path, size_t bytes,
		       bool big_endian);
void parents_add_url(struct parents *parents, const char *url);
void parents_tell(struct parents *parents, struct foreign *f);

#endif /* _QCOWCTL_PARENTS_H */
