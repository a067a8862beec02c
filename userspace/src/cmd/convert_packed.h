/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_CONVERT_PACKED_H
#define _QCOWCTL_CONVERT_PACKED_H

#include "cmd/work.h"

int convert_packed(const struct work_options *options, const char *from, const char *to,
		   const char *interrupted);

#endif /* _QCOWCTL_CONVERT_PACKED_H */
