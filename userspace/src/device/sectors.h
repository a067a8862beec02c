/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_SECTORS_H
#define _QCOWCTL_SECTORS_H

#include "device/attached.h"

#define SECTORS_ALLOWED	"512, 1024, 2048 or 4096"

int sectors_parse(u32 *size, const char *arg);
void sectors_note_table(const struct device *d, const char *image);

#endif /* _QCOWCTL_SECTORS_H */
