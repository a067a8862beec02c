/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_PARALLELS_H
#define _QCOWCTL_PARALLELS_H

#include "foreign/foreign.h"
#include "foreign/units.h"

/* Bytes of a file before its table */
#define PARALLELS_HEADER_BYTES	64U

/* The version in the header, at byte 16 */
#define PARALLELS_VERSION	2

/* Images of a part of the disk, from its newest snapshot to the first one */
#define PARALLELS_LEVELS_MAX	64U

/**
 * struct parallels_image - a file with a part of the disk at a point in time
 * @plain: it has each byte of the part, and no header
 * @dirty: it was not closed
 * @file: number of the file
 * @cluster: bytes of a cluster
 * @entry_unit: bytes that an entry of the table counts
 * @entries: of the table
 * @data_host_offset: of the first cluster
 * @ext_host_offset: of the extension; 0: none
 * @size: bytes of the disk, as the header has them
 * @bat: the part of the table that is in memory
 */
struct parallels_image {
	bool plain;
	bool dirty;
	u32 file;
	u64 cluster;
	u64 entry_unit;
	u64 entries;
	u64 data_host_offset;
	u64 ext_host_offset;
	u64 size;
	struct foreign_window bat;
};

/**
 * struct parallels_part - a part of the disk, in files of its own
 * @guest_offset: of the part
 * @size: bytes
 * @images: the newest first; each shows the next one where it has no cluster
 * @nr_images: of them
 */
struct parallels_part {
	u64 guest_offset;
	u64 size;
	struct parallels_image *images;
	u32 nr_images;
};

/**
 * struct parallels - a disk
 * @parts: in order, without gaps
 * @nr_parts: of them
 */
struct parallels {
	struct parallels_part *parts;
	u32 nr_parts;
};

bool parallels_has_magic(const u8 *h);
int __must_check parallels_find_cluster(struct foreign *f, struct parallels_image *image,
					u64 in_part, u64 *host_offset);
int __must_check parallels_open_image(struct foreign *f, struct parallels_image *image);
int __must_check parallels_check_extension(struct foreign *f,
					   const struct parallels_image *image,
					   struct units *u);
int __must_check parallels_open_descriptor(struct foreign *f, struct parallels *p);

#endif /* _QCOWCTL_PARALLELS_H */
