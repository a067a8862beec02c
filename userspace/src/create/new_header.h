/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_NEW_HEADER_H
#define _QCOWCTL_NEW_HEADER_H

#include "create/new_luks.h"
#include "create/tables.h"

int new_header_write(const struct create_params *p, struct space *s, const struct tables *t,
		     const struct new_luks *luks);

#endif /* _QCOWCTL_NEW_HEADER_H */
