/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_PROGRESS_H
#define _QCOWCTL_PROGRESS_H

#include <stdbool.h>

#include "qcow/ondisk/pure.h"

void progress_catch_signals(void);
bool progress_stopped(void);
int progress_parse(const char *arg);
bool progress_wanted(void);
void progress_beside_output(void);
void progress(const char *what, u64 done, u64 total);
void progress_end(void);

#endif /* _QCOWCTL_PROGRESS_H */
