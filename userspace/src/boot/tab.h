/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_TAB_H
#define _QCOWCTL_TAB_H

#include <stdbool.h>
#include <stddef.h>

/**
 * struct tab_list - strings
 * @words: each to be freed
 * @nr: how many
 */
struct tab_list {
	char **words;
	size_t nr;
};

/**
 * struct tab_entry - a line of /etc/qcowtab
 * @name: of the device
 * @image: its path
 * @key: path of the key file, or NULL: passphrases are asked for
 * @options: of the command attach, as its arguments
 * @export: arguments of the command export; none: it is not exported
 * @paths: files that have to be there, the image and the key among them
 * @timeout: for the attach, or NULL: the default
 * @device_timeout: for the block device that the image is on, or NULL: the default
 * @nofail: the boot does not wait for it
 * @noauto: it is not attached at boot
 * @netdev: it needs the network
 */
struct tab_entry {
	char *name;
	char *image;
	char *key;
	struct tab_list options;
	struct tab_list export;
	struct tab_list paths;
	char *timeout;
	char *device_timeout;
	bool nofail;
	bool noauto;
	bool netdev;
};

int tab_read(const char *file, int (*found)(void *arg, const struct tab_entry *entry),
	     void *arg);

#endif /* _QCOWCTL_TAB_H */
