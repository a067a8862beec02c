/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_PARENTS_H
#define _QCOWCTL_PARENTS_H

#include "image/link.h"

u32 parents_format(const struct image *child);
int parents_next(struct link *l, const struct image *child, const char *beneath);
bool parents_mismatch(const struct image *child, const struct image *parent);
void parents_note_mismatch(const struct image *child, const struct image *parent);
int parents_refuse_mismatch(const struct image *child, const struct image *parent);
int parents_refuse_missing(const struct image *child, const char *beneath);
bool parents_absent(const struct image *child);

#endif /* _QCOWCTL_PARENTS_H */
