/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_UNIT_H
#define _QCOWCTL_UNIT_H

#include <stdbool.h>
#include <stdio.h>

char *unit_escape(const char *text);
char *unit_path_word(const char *path);
char *unit_command_word(const char *word);
int unit_write(const char *folder, const char *name, const char *text);
int unit_drop_in(const char *folder, const char *unit, const char *name, const char *text);
int unit_link(const char *folder, const char *by, const char *how, const char *unit);

#endif /* _QCOWCTL_UNIT_H */
