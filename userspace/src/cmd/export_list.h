/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The output of the command export: export_list.c makes it, export.c calls that.
 */
#ifndef _QCOWCTL_EXPORT_LIST_H
#define _QCOWCTL_EXPORT_LIST_H

#include <stdbool.h>

struct address;

void export_print_new(int index, const char *nqn, const struct address *address, bool json);
int export_print_all(int index, bool json);

#endif /* _QCOWCTL_EXPORT_LIST_H */
