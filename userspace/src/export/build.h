/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_BUILD_H
#define _QCOWCTL_BUILD_H

#include <stddef.h>

struct address;

/**
 * struct build - an export to be made
 * @index: the N of /dev/qcowN
 * @nqn: its name
 * @address: where other hosts connect
 * @hosts: NQNs of the hosts that may connect
 * @nr_hosts: how many
 */
struct build {
	int index;
	const char *nqn;
	const struct address *address;
	char *const *hosts;
	size_t nr_hosts;
};

int build_export(const struct build *b);
int build_remove(const char *nqn);

#endif /* _QCOWCTL_BUILD_H */
