/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_VVFAT_DIR_H
#define _QCOWCTL_VVFAT_DIR_H

#include "vvfat/fat.h"

u32 dir_entries(const struct node *folder);
u8 *dir_make(const struct fat *fat, const struct node *folder);

#endif /* _QCOWCTL_VVFAT_DIR_H */
