/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_NEW_LUKS_H
#define _QCOWCTL_NEW_LUKS_H

#include "create/params.h"
#include "lib/secret.h"

/**
 * struct new_luks - the LUKS header of a new image
 * @buf: its bytes
 * @len: bytes, 0: there is none
 * @host_offset: its host offset
 */
struct new_luks {
	char *buf;
	u64 len;
	u64 host_offset;
};

int new_luks_make(struct new_luks *luks, const char *name, const struct create_luks *how,
		  const struct secret *passphrase);
void new_luks_make_empty(struct new_luks *luks);
void new_luks_free(struct new_luks *luks);

#endif /* _QCOWCTL_NEW_LUKS_H */
