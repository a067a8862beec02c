/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The options that say how a device is exported.
 */
#ifndef _QCOWCTL_EXPORT_OPTIONS_H
#define _QCOWCTL_EXPORT_OPTIONS_H

#include <stddef.h>

#include "export/address.h"

/**
 * struct export_options - how a device is exported
 * @address: where other hosts connect; its host is empty if none was given
 * @nqn: name of the export; NULL: one is made
 * @hosts: NQNs of the hosts that may connect
 * @nr_hosts: how many
 */
struct export_options {
	struct address address;
	const char *nqn;
	char **hosts;
	size_t nr_hosts;
};

int export_take_address(void *options, const char *arg);
int export_take_host(void *options, const char *arg);
int export_take_nqn(void *options, const char *arg);
void export_options_release(struct export_options *o);

#endif /* _QCOWCTL_EXPORT_OPTIONS_H */
