/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_UNLOCK_H
#define _QCOWCTL_UNLOCK_H

#include "chain.h"

/**
 * struct unlocked - what the driver needs to decrypt an image
 * @description: of the key in the keyring of this process, or NULL: none needed
 * @cipher: what the key is for
 * @key: the key's serial number
 */
struct unlocked {
	char *description;
	char *cipher;
	int key;
};

/**
 * struct key_files - files that hold passphrases, as given
 * @names: "-" is the standard input
 * @nr: how many
 */
struct key_files {
	const char **names;
	u32 nr;
};

struct unlocked *unlock_chain(const struct chain *c,
			      const struct key_files *files);
void unlock_forget(struct unlocked *u, u32 nr);

#endif /* _QCOWCTL_UNLOCK_H */
