// SPDX-License-Identifier: GPL-2.0
/*
 * The .hds files of Parallels: a header, and a table with the place of each cluster. In old
 * files it counts sectors, in newer ones clusters.
 */
#include "foreign/bytes.h"
#include "foreign/parallels.h"

#define PARALLELS_OLD		"WithoutFreeSpace"
#define PARALLELS_EXT		"WithouFreSpacExt"
#define PARALLELS_MAGIC_BYTES	16
#define PARALLELS_OPEN		0x746f6e59

/* Sectors of a cluster, at most */
#define PARALLELS_CLUSTER_MAX	((u32)SZ_1M)

static bool has_magic(const u8 *h, const char *magic)
{
	return !memcmp(h, magic, PARALLELS_MAGIC_BYTES);
}

/**
 * parallels_has_magic() - tell whether a file with clusters begins so
 * @h: its header
 *
 * Return: true if it does.
 */
bool parallels_has_magic(const u8 *h)
{
	return has_magic(h, PARALLELS_OLD) || has_magic(h, PARALLELS_EXT);
}

static int take_header(struct foreign *f, struct parallels_image *image, const u8 *h)
{
	bool ext = has_magic(h, PARALLELS_EXT);
	u32 version = get_le32(h + 16), sectors = get_le32(h + 28);

	if (!parallels_has_magic(h))
		return foreign_fail(f, "has no magic of Parallels");
	if (version != PARALLELS_VERSION)
		return foreign_unsupported(f, "is a Parallels image of version %u, which is not supported; convert it with prl_disk_tool",
					   version);
	if (!sectors || sectors > PARALLELS_CLUSTER_MAX)
		return foreign_fail(f, "its header has clusters of %u sectors", sectors);
	image->cluster = (u64)sectors * SZ_512;
	image->entry_unit = ext ? image->cluster : SZ_512;
	image->entries = get_le32(h + 32);
	image->size = ext ? get_le64(h + 36) : get_le32(h + 36);
	if (image->size > (u64)S64_MAX / SZ_512)
		return foreign_fail(f, "its header has a disk of %llu sectors",
				    (unsigned long long)image->size);
	image->size *= SZ_512;
	image->dirty = get_le32(h + 44) == PARALLELS_OPEN;
	image->data_host_offset = get_le32(h + 48) * (u64)SZ_512;
	if (!image->data_host_offset)
		image->data_host_offset = ROUND_UP(PARALLELS_HEADER_BYTES + image->entries * 4,
						   (u64)SZ_512);
	image->ext_host_offset = min(get_le64(h + 56), (u64)S64_MAX / SZ_512) * SZ_512;
	return 0;
}

/**
 * parallels_open_image() - read the header of a file with clusters
 * @f: the image
 * @image: the file, of which the number is set
 *
 * Return: 0, or a negative errno with a message.
 */
int parallels_open_image(struct foreign *f, struct parallels_image *image)
{
	const u8 *h = foreign_peek(f, &image->bat, image->file, 0, PARALLELS_HEADER_BYTES, NULL);

	return h ? take_header(f, image, h) : -EINVAL;
}

/**
 * parallels_find_cluster() - look up a cluster in the table of a file
 * @f: the image
 * @image: the file
 * @in_part: offset of a byte in the part of the disk, for which the table has an entry
 * @host_offset: set to that of the cluster; 0: there is none
 *
 * Return: 0, or a negative errno with a message.
 */
int parallels_find_cluster(struct foreign *f, struct parallels_image *image, u64 in_part,
			   u64 *host_offset)
{
	u64 n = in_part / image->cluster;
	const u8 *entry = foreign_peek(f, &image->bat, image->file,
				       PARALLELS_HEADER_BYTES + n * 4, 4, NULL);

	if (!entry)
		return -EINVAL;
	*host_offset = get_le32(entry) * image->entry_unit;
	return 0;
}
