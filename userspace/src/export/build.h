/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_BUILD_H
#define _QCOWCTL_BUILD_H

#include <stddef.h>

#include "qcow/ondisk/pure.h"

struct address;

/**
 * struct build - an export to be made
 * @index: the N of /dev/qcowN
 * @diskseq: of its disk; 0: not known
 * @nqn: its name
 * @disk: the text that the identifiers of the disk are made of
 * @address: where other hosts connect
 * @hosts: NQNs of the hosts that may connect
 * @nr_hosts: how many
 */
struct build {
	int index;
	u64 diskseq;
	const char *nqn;
	const char *disk;
	const struct address *address;
	char *const *hosts;
	size_t nr_hosts;
};

int build_export(const struct build *b);
void build_hide(const char *nqn);
int build_remove(const char *nqn);

#endif /* _QCOWCTL_BUILD_H */
