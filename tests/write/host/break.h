/* SPDX-License-Identifier: GPL-2.0 */
#ifndef BREAK_H
#define BREAK_H

#include "cut.h"

/* @q: the image at the end of the log, checked */
void break_log(struct log *l, const char *way, const struct disk *d,
	       const struct qcow2 *q);

#endif /* BREAK_H */
