/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_COUNTERS_H
#define _QCOW_COUNTERS_H

struct attribute_group;

extern const struct attribute_group qcow_counters_group;

#endif /* _QCOW_COUNTERS_H */
