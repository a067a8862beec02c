/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_EXTENSIONS_H
#define _QCOWCTL_EXTENSIONS_H

#include "qcow/ondisk/header.h"

u32 extensions_unknown(const struct qcow_header *h, const void *start, size_t len);

#endif /* _QCOWCTL_EXTENSIONS_H */
