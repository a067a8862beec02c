/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_TAR_H
#define _QCOWCTL_TAR_H

#include "foreign/foreign.h"

/* Bytes of a header; data begins and ends at multiples. */
#define TAR_BLOCK		SZ_512

/* Longest name of a member, with its NUL */
#define TAR_NAME_SIZE		SZ_4K

/**
 * struct tar_member - a file in an archive
 * @name: without ./ in front; from foreign_alloc()
 * @host_offset: of its data
 * @size: bytes
 * @is_file: it is a regular file
 * @is_sparse: its data has a map of its own in front
 */
struct tar_member {
	const char *name;
	u64 host_offset;
	u64 size;
	bool is_file;
	bool is_sparse;
};

/**
 * struct tar - an archive that is read
 * @host_offset: of the next header
 * @long_name: of the next member, from a header of its own; empty: none
 * @long_size: of the next member, from such a header
 * @has_long_size: there is one
 * @is_sparse: such a header said that the member is sparse
 */
struct tar {
	u64 host_offset;
	char long_name[TAR_NAME_SIZE];
	u64 long_size;
	bool has_long_size;
	bool is_sparse;
};

bool tar_first_name_ends(const u8 *start, size_t len, const char *ending);
int __must_check tar_next(struct foreign *f, struct tar *t, struct tar_member *m);

#endif /* _QCOWCTL_TAR_H */
