/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_CRYPT_H
#define _QCOW_CRYPT_H

#include "file.h"

struct qcow_crypt;

/* Longest specification of a cipher that is accepted. */
#define QCOW_CRYPT_SPEC_MAX	63

/* Bytes that a sector's number counts, whatever the disk's sectors are. */
#define QCOW_CRYPT_SECTOR	512

struct qcow_crypt *qcow_crypt_create(const char *spec, bool by_guest,
				     const u8 *key, u32 key_len,
				     struct qcow_msg *msg);
struct qcow_crypt *qcow_crypt_open(const char *spec, bool by_guest,
				   const char *description,
				   struct qcow_msg *msg);
void qcow_crypt_destroy(struct qcow_crypt *c);

int __must_check qcow_crypt_bvecs(struct qcow_crypt *c,
				  const struct bio_vec *bvec, u32 nr_bvec,
				  size_t skip, size_t len, u64 pos, u64 host,
				  bool encrypt);
int __must_check qcow_crypt_write(struct qcow_crypt *c, struct qcow_fio *fio,
				  u64 pos);

#endif /* _QCOW_CRYPT_H */
