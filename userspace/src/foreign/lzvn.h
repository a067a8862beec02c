/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_LZVN_H
#define _QCOWCTL_LZVN_H

#include "foreign/lz.h"

int __must_check unpack_lzvn(struct unpack *u);

#endif /* _QCOWCTL_LZVN_H */
