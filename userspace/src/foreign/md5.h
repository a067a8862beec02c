/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_MD5_H
#define _QCOWCTL_MD5_H

#include "qcow/ondisk/pure.h"

#define MD5_BYTES	16U
#define MD5_BLOCK	64U

/**
 * struct md5 - a checksum so far; md5_start() it
 * @state: of the whole blocks
 * @bytes: of all data
 * @block: the bytes that are no whole block yet
 */
struct md5 {
	u32 state[4];
	u64 bytes;
	u8 block[MD5_BLOCK];
};

void md5_start(struct md5 *m);
void md5_add(struct md5 *m, const u8 *data, size_t len);
void md5_end(struct md5 *m, u8 *sum);

#endif /* _QCOWCTL_MD5_H */
