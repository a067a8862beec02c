/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_NODE_H
#define _QCOWCTL_NODE_H

#include "attached.h"

/**
 * enum node_state - of the nodes of a device and its partitions
 * @NODE_READY: all are in /dev
 * @NODE_MISSING: one is not
 * @NODE_UNSETTLED: all are there, but udev has not finished with them
 * @NODE_GONE: the device has gone; another one may have its number
 */
enum node_state {
	NODE_READY,
	NODE_MISSING,
	NODE_UNSETTLED,
	NODE_GONE,
};

enum node_state node_wait(const struct device *device, u64 began);
void node_report_missing(int index);
void node_refresh(int index);
void node_tidy(void);
bool node_control_stale(int fd);
int node_make_control(const char *path);

#endif /* _QCOWCTL_NODE_H */
