/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_STREAM_H
#define _QCOWCTL_STREAM_H

#include "cmd/work.h"

extern const struct work stream_work;

#endif /* _QCOWCTL_STREAM_H */
