/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_FAT_TIME_H
#define _QCOWCTL_FAT_TIME_H

#include <time.h>

#include "qcow/ondisk/pure.h"

u32 fat_time(time_t t);

#endif /* _QCOWCTL_FAT_TIME_H */
