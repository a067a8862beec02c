/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_ATTACH_UNIT_H
#define _QCOWCTL_ATTACH_UNIT_H

struct tab_entry;

int attach_unit_write(const char *folder, const char *tab, const struct tab_entry *entry);

#endif /* _QCOWCTL_ATTACH_UNIT_H */
