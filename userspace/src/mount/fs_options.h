/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_FS_OPTIONS_H
#define _QCOWCTL_FS_OPTIONS_H

#include "mount/pick.h"

bool fs_options_report(const struct request *r, const struct pick *p, const char *type);

#endif /* _QCOWCTL_FS_OPTIONS_H */
