/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_MODULE_H
#define _QCOWCTL_MODULE_H

void module_report(const char *name, const char *reason);

#endif /* _QCOWCTL_MODULE_H */
