/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_VVFAT_NAMES_H
#define _QCOWCTL_VVFAT_NAMES_H

#include "vvfat/tree.h"

/* Characters of a name in an entry of a directory. */
#define NAME_PART	13

void names_choose(struct tree *t, struct node *folder);

/* Entries of a directory that a file needs. */
static inline u32 names_entries(const struct node *n)
{
	return 1 + (n->long_name ? DIV_ROUND_UP_ULL(n->long_len, NAME_PART) : 0);
}

#endif /* _QCOWCTL_VVFAT_NAMES_H */
