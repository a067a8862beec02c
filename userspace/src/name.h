/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_NAME_H
#define _QCOWCTL_NAME_H

const char *name_refused(const char *written);
char *name_resolve(const char *image, const char *written);

#endif /* _QCOWCTL_NAME_H */
