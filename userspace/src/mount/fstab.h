/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_FSTAB_H
#define _QCOWCTL_FSTAB_H

char *fstab_line_of(const char *image, const char *dir, const char *options);

#endif /* _QCOWCTL_FSTAB_H */
