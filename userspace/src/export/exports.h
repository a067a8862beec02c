/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_EXPORTS_H
#define _QCOWCTL_EXPORTS_H

#include <stdbool.h>

#include "export/address.h"
#include "export/tree.h"

/* The model of disks that this program exports; it tells them from others. */
#define EXPORT_MODEL	"qcow"

/* The namespace of an export, which has one disk */
#define EXPORT_NSID	1

/* The tool's own ports have this number or a higher one in configfs. */
#define EXPORT_FIRST_PORT	7000

/**
 * struct export - a device that is exported to other hosts
 * @nqn: its name
 * @index: the N of /dev/qcowN; -1: the path leads to no device of ours
 * @ours: made by this program
 * @ports: the numbers of the ports in configfs
 * @hosts: NQNs of the hosts that may connect
 */
struct export {
	char *nqn;
	int index;
	bool ours;
	struct tree_names ports;
	struct tree_names hosts;
};

/**
 * struct exports - several of them
 * @list: sorted by name
 * @nr: how many
 */
struct exports {
	struct export *list;
	size_t nr;
};

void exports_find(struct exports *e, int index);
void exports_free(struct exports *e);
bool exports_made_here(const char *nqn);
bool exports_port_address(struct address *a, const char *port);
char *exports_names(int index);
void exports_resized(int index);

#endif /* _QCOWCTL_EXPORTS_H */
