/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_NODE_H
#define _QCOWCTL_NODE_H

#include "lib/sysfs.h"

bool node_is_there(const struct sysfs_node *node);
bool node_make(int index, u64 diskseq);
void node_report_missing(int index, u64 diskseq);
void node_refresh(int index);
void node_tidy(void);
bool node_control_stale(const char *path);
int node_make_control(const char *path);

#endif /* _QCOWCTL_NODE_H */
