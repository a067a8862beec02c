/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_IN_USE_H
#define _QCOWCTL_IN_USE_H

#include "device/target.h"

void in_use_find(struct in_use *u, int index);
void in_use_find_hidden(struct in_use *u, int index);
void in_use_find_below(struct in_use *u, dev_t dev, bool openers);
int in_use_patiently(struct in_use *u, int index, int (*attempt)(void *arg),
		     void *arg);
void in_use_report(const struct in_use *u, int index, unsigned int openers,
		   const char *advice);
void in_use_find_children(struct in_use *u, int index);
void in_use_free(struct in_use *u);
char **in_use_mountpoints(int index);
void in_use_free_mountpoints(char **list);

#endif /* _QCOWCTL_IN_USE_H */
