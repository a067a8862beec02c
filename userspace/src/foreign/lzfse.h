/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_LZFSE_H
#define _QCOWCTL_LZFSE_H

#include "foreign/lz.h"

int __must_check unpack_lzfse(struct unpack *u);

#endif /* _QCOWCTL_LZFSE_H */
