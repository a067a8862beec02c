/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_FOLDER_H
#define _QCOWCTL_FOLDER_H

const char *folder_kind(int fd, const char **next);

#endif /* _QCOWCTL_FOLDER_H */
