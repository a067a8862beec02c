/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_UNITS_H
#define _QCOWCTL_UNITS_H

#include "foreign/foreign.h"

/**
 * struct units - the uses of a file that is divided into units, such as clusters
 * @f: the image
 * @file: number of the file
 * @bytes: of a unit
 * @first: host offset of the first one
 * @nr: how many; the last one may be a part
 * @use: of each: UNIT_FREE, or the first use that was found
 */
struct units {
	struct foreign *f;
	u32 file;
	u64 bytes;
	u64 first;
	u64 nr;
	u8 *use;
};

int __must_check units_init(struct units *u, struct foreign *f, u32 file, u64 first,
			    u64 bytes);
void units_add_metadata(struct units *u, const char *what, u64 host_offset, u64 len);
void units_add_data(struct units *u, u64 guest_offset, u64 host_offset);
int __must_check units_add_disk(struct units *u);
void units_tell_free(struct units *u, const char *name);

#endif /* _QCOWCTL_UNITS_H */
