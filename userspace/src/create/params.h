/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_PARAMS_H
#define _QCOWCTL_PARAMS_H

#include "qcow/ondisk/header.h"

/* Space that a new image gets at once, beside its header and tables. */
enum create_preallocation {
	PREALLOCATION_OFF,
	PREALLOCATION_METADATA,	/* tables that map the whole disk, to holes in the file */
	PREALLOCATION_FALLOC,	/* and blocks of the filesystem for it */
	PREALLOCATION_FULL,	/* and zeros written there */
};

/**
 * struct create_luks - how the key of an encrypted image is kept
 * @cipher: as QEMU names it, with the key's bits, such as aes-256
 * @mode: of the cipher, such as xts
 * @ivgen: the initialisation vectors, such as plain64
 * @ivgen_hash: a hash for them, such as sha256; NULL: not chosen
 * @hash: for the passphrase, such as sha256
 * @iter_time: milliseconds that deriving a key from it takes
 */
struct create_luks {
	const char *cipher;
	const char *mode;
	const char *ivgen;
	const char *ivgen_hash;
	const char *hash;
	u64 iter_time;
};

/**
 * struct create_params - properties of a new qcow2 image
 * @version: 2 or 3
 * @cluster_size: bytes of a cluster
 * @refcount_bits: bits of a refcount
 * @size: bytes of the disk, a multiple of 512
 * @file_room: bytes of the file that its refcount table has entries for at least; 0: as QEMU
 * @compression: a type of compression.h, for clusters that are compressed later
 * @extended_l2: L2 entries with subclusters
 * @lazy_refcounts: refcounts may be updated late
 * @data_file_raw: the external data file is a raw image of the disk at all times
 * @preallocation: &enum create_preallocation
 * @backing: name of the backing file, as it goes into the header; NULL: none
 * @backing_format: name of its format; NULL: none
 * @data_file: name of the external data file, as it goes into the header; NULL: none
 * @crypt_method: QCOW_DISK_CRYPT_*
 * @luks: for QCOW_DISK_CRYPT_LUKS
 */
struct create_params {
	u32 version;
	u64 cluster_size;
	u64 refcount_bits;
	u64 size;
	u64 file_room;
	u8 compression;
	bool extended_l2;
	bool lazy_refcounts;
	bool data_file_raw;
	enum create_preallocation preallocation;
	const char *backing;
	const char *backing_format;
	const char *data_file;
	u32 crypt_method;
	struct create_luks luks;
};

#define CREATE_DEFAULTS {			\
	.version = 3,				\
	.cluster_size = SZ_64K,			\
	.refcount_bits = 16,			\
	.luks = {				\
		.cipher = "aes-256",		\
		.mode = "xts",			\
		.ivgen = "plain64",		\
		.hash = "sha256",		\
		.iter_time = 2000,		\
	},					\
}

int create_params_check(const char *name, struct create_params *p);

static inline u32 create_cluster_bits(const struct create_params *p)
{
	return __builtin_ctzll(p->cluster_size);
}

static inline u32 create_refcount_order(const struct create_params *p)
{
	return __builtin_ctzll(p->refcount_bits);
}

/* log2 of the bytes of an L2 entry. */
static inline u32 create_entry_bits(const struct create_params *p)
{
	return p->extended_l2 ? 4 : 3;
}

#endif /* _QCOWCTL_PARAMS_H */
