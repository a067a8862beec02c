/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_SECTORS_H
#define _QCOWCTL_SECTORS_H

#include "device/attached.h"

/* From QCOW_SECTOR_SIZE_MIN to QCOW_SECTOR_SIZE_MAX, for texts and for the completion. */
#define SECTORS_LIST(comma, last)	"512" comma "1024" comma "2048" last "4096"
#define SECTORS_ALLOWED	SECTORS_LIST(", ", " or ")
#define SECTORS_VALUES	SECTORS_LIST(" ", " ")

int sectors_parse(u32 *size, const char *arg);
void sectors_note_table(const struct device *d, const char *image);

#endif /* _QCOWCTL_SECTORS_H */
