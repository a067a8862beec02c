/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_CHECK_PRINT_H
#define _QCOWCTL_CHECK_PRINT_H

#include "check/check.h"

void check_print_text(const struct check_result *res);
void check_print_json(const struct check_result *res, const char *name);

#endif /* _QCOWCTL_CHECK_PRINT_H */
