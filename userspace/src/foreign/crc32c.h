/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_CRC32C_H
#define _QCOWCTL_CRC32C_H

#include "qcow/ondisk/pure.h"

u32 crc32c(u32 crc, const void *data, size_t len);
u32 crc32c_without(const void *data, size_t len, size_t field);

#endif /* _QCOWCTL_CRC32C_H */
