/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_UNNAMED_H
#define _QCOWCTL_UNNAMED_H

const char *unnamed_folder(const char *wanted);
int unnamed_open(const char *folder);

#endif /* _QCOWCTL_UNNAMED_H */
