/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_WHICH_H
#define _QCOWCTL_WHICH_H

#include "device/attached.h"

int which_index_of_name(const char *arg, bool *partition);
bool which_is(int index, const char *arg);
int which_of_image(struct device *d, const char *arg);
int which_device(struct device *d, const char *arg);
int which_or_image(const char *arg, int *index);
bool which_is_missing(const char *name);

#endif /* _QCOWCTL_WHICH_H */
