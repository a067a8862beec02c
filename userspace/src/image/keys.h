/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_KEYS_H
#define _QCOWCTL_KEYS_H

#include <keyutils.h>

#include "image/chain.h"
#include "image/unlock.h"

/**
 * struct keys_options - where passphrases come from
 * @files: key files, for the encrypted images of a chain in its order; the last
 *	is for the rest, too. If there is none the terminal is asked
 * @nr: of them
 * @agents: ask with systemd-ask-password in place of the terminal
 */
struct keys_options {
	const char **files;
	u32 nr;
	bool agents;
};

/**
 * struct key_slot - the key of one image, in a keyring of this process
 * @cipher: its cipher; empty: the image is not encrypted
 * @name: its description there
 * @id: its number there
 */
struct key_slot {
	char cipher[QCOW_CIPHER_MAX + 1];
	char name[64];
	key_serial_t id;
};

int keys_add_file(struct keys_options *o, const char *name);
struct key_slot *keys_open(const struct chain *c, const struct keys_options *o);
void keys_close(struct key_slot *slots, u32 nr);

#endif /* _QCOWCTL_KEYS_H */
