/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The options that say how a device is exported, for the command export and for
 * /etc/qcowtab.
 */
#ifndef _QCOWCTL_EXPORT_OPTIONS_H
#define _QCOWCTL_EXPORT_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "export/address.h"

/**
 * struct export_options - how a device is exported
 * @address: where other hosts connect
 * @given: whether @address was given
 * @nqn: name of the export; NULL: one is made
 * @hosts: NQNs of the hosts that may connect
 * @nr_hosts: how many
 */
struct export_options {
	struct address address;
	bool given;
	const char *nqn;
	char **hosts;
	size_t nr_hosts;
};

int export_take_address(void *options, const char *arg);
int export_take_host(void *options, const char *arg);
int export_take_nqn(void *options, const char *arg);
void export_options_release(struct export_options *o);

#endif /* _QCOWCTL_EXPORT_OPTIONS_H */
