/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_PERFORM_H
#define _QCOWCTL_PERFORM_H

#include "mount/pick.h"

int perform_mount(const struct request *r, const struct pick *p);
int perform_remount(const struct request *r);
bool perform_done(const struct request *r, const struct pick *p);

#endif /* _QCOWCTL_PERFORM_H */
