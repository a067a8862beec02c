/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_FOLDER_H
#define _QCOWCTL_FOLDER_H

const char *folder_kind(int fd, const char **next);
char *folder_descriptor(const char *name);
int folder_open_path(const char *name);

#endif /* _QCOWCTL_FOLDER_H */
