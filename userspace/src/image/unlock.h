/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_UNLOCK_H
#define _QCOWCTL_UNLOCK_H

#include "image/image.h"
#include "lib/secret.h"

/* Bytes of the longest key to an image's data. */
#define UNLOCK_KEY_MAX	128

/**
 * struct unlock_key - the key to an image's data
 * @cipher: its cipher, spelled as the driver wants it
 * @bytes: it
 * @len: bytes of it
 */
struct unlock_key {
	char cipher[QCOW_CIPHER_MAX + 1];
	char bytes[UNLOCK_KEY_MAX];
	size_t len;
};

/* The results of an attempt to unlock an image. */
enum unlock_result {
	UNLOCK_DONE,
	UNLOCK_WRONG,	/* it is another passphrase */
	UNLOCK_FAILED,	/* it was said why */
};

bool unlock_needed(const struct image *img);
bool unlock_can_tell(const struct image *img);
enum unlock_result unlock_image(const struct image *img,
				const struct secret *s, struct unlock_key *key);
char *unlock_describe(const struct image *img);

#endif /* _QCOWCTL_UNLOCK_H */
