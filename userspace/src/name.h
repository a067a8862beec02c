/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_NAME_H
#define _QCOWCTL_NAME_H

#include <stdbool.h>

const char *name_refused(const char *written);
bool name_suggests_raw(const char *path);
char *name_resolve(const char *image, const char *written);

#endif /* _QCOWCTL_NAME_H */
