/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_CLOCK_H
#define _QCOWCTL_CLOCK_H

#include "qcow/ondisk/pure.h"

u64 clock_now(void);
void clock_pause(void);

#endif /* _QCOWCTL_CLOCK_H */
