/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_CRYPT_H
#define _QCOW_CRYPT_H

#include "file/file.h"

/* Bytes of the longest cipher specification, and of the longest key. */
#define QCOW_CRYPT_CIPHER_MAX	63 /* QCOW_CIPHER_MAX */
#define QCOW_CRYPT_KEY_MAX	128

/**
 * struct qcow_crypt_key - the key to an image's data
 * @cipher: specification such as aes-xts-plain64 or aes-cbc-essiv:sha256
 * @len: bytes of @bytes
 * @bytes: the key itself
 */
struct qcow_crypt_key {
	char cipher[QCOW_CRYPT_CIPHER_MAX + 1];
	u32 len;
	u8 bytes[QCOW_CRYPT_KEY_MAX];
};

struct qcow_crypt;

int __must_check qcow_crypt_open(struct qcow_crypt **crypt, u32 method,
				 const struct qcow_crypt_key *key,
				 struct qcow_crypt *same, struct qcow_msg *msg);
void qcow_crypt_close(struct qcow_crypt *c);
u64 qcow_crypt_sector(const struct qcow_crypt *c, u64 guest_offset, u64 host_offset);
int __must_check qcow_crypt_decrypt(struct qcow_crypt *c, const struct qcow_file_req *req,
				    u64 sector);
int __must_check qcow_crypt_write(struct qcow_crypt *c, struct qcow_file_req *req,
				  u64 sector);

#endif /* _QCOW_CRYPT_H */
