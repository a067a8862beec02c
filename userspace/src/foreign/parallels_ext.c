// SPDX-License-Identifier: GPL-2.0
/*
 * The extension of a .hds file, which is a cluster with sections, such as the bitmaps of changed
 * parts that backups use. A check looks at it, as its clusters have a use then.
 *
 * Facts are from QEMU's specification and its reader, which reads a file of Virtuozzo.
 */
#include <md5.h>

#include "foreign/bytes.h"
#include "foreign/parallels.h"

#define EXT_MAGIC		0xab234cef23dcea87ULL
#define EXT_MAGIC_BITMAP	0x20385fae252cb34aULL
#define EXT_SUM			8
#define EXT_SECTIONS		24

/* A section: magic, flags, bytes of data, 4 bytes without a use, and the data */
#define SECTION_BYTES		24
#define SECTION_ALIGN		8U

/* The data of a bitmap: its table begins here, behind the number of its entries */
#define BITMAP_ENTRIES		28
#define BITMAP_TABLE		32

/* Entries of a bitmap's table below this one have no cluster. */
#define BITMAP_FIRST_CLUSTER	2

/**
 * struct ext - an extension that is checked
 * @f: the image
 * @image: its file
 * @u: the units of the file
 * @window: the part of the cluster that is in memory
 */
struct ext {
	struct foreign *f;
	const struct parallels_image *image;
	struct units *u;
	struct foreign_window window;
};

static const u8 *peek(struct ext *x, u64 in_cluster, size_t len)
{
	return foreign_peek(x->f, &x->window, x->image->file,
			    x->image->ext_host_offset + in_cluster, len, NULL);
}

static void tell(struct ext *x, const char *fault)
{
	foreign_fault(x->f, "its extension at host offset %llu %s",
		      (unsigned long long)x->image->ext_host_offset, fault);
}

/* Sets @right. */
static int check_sum(struct ext *x, bool *right)
{
	u64 host_offset = x->image->ext_host_offset, done;
	u8 sum[MD5_DIGEST_LENGTH], wanted[MD5_DIGEST_LENGTH];
	size_t len;
	MD5_CTX md5;
	const u8 *bytes = peek(x, EXT_SUM, sizeof(wanted));

	if (!bytes)
		return -EINVAL;
	memcpy(wanted, bytes, sizeof(wanted));
	MD5Init(&md5);
	for (done = EXT_SECTIONS; done < x->image->cluster; done += len) {
		bytes = foreign_peek(x->f, &x->window, x->image->file, host_offset + done, 1, &len);
		if (!bytes)
			return -EINVAL;
		len = min((u64)len, x->image->cluster - done);
		MD5Update(&md5, bytes, len);
	}
	MD5Final(sum, &md5);
	*right = FOREIGN_FUZZED || !memcmp(sum, wanted, sizeof(sum));
	return 0;
}

/* @in_cluster: of the bitmap's data, which ends at @end */
static int check_bitmap(struct ext *x, u64 in_cluster, u64 end)
{
	const u8 *bytes = in_cluster + BITMAP_TABLE <= end ? peek(x, in_cluster, BITMAP_TABLE) : NULL;
	u64 entry, nr, i;

	nr = bytes ? get_le32(bytes + BITMAP_ENTRIES) : 0;
	in_cluster += BITMAP_TABLE;
	if (!bytes || nr > (end - in_cluster) / 8) {
		tell(x, "has a bitmap that does not fit into it");
		return 0;
	}
	for (i = 0; i < nr; i++) {
		bytes = peek(x, in_cluster + i * 8, 8);
		if (!bytes)
			return -EINVAL;
		entry = get_le64(bytes);
		if (entry >= BITMAP_FIRST_CLUSTER && entry <= (u64)S64_MAX / SZ_512)
			units_add_metadata(x->u, "a bitmap", entry * SZ_512, x->image->cluster);
	}
	return 0;
}

static int check_sections(struct ext *x)
{
	u64 in_cluster = EXT_SECTIONS, magic, end;
	const u8 *bytes;
	int err = 0;

	while (!err && in_cluster + SECTION_BYTES <= x->image->cluster) {
		bytes = peek(x, in_cluster, SECTION_BYTES);
		if (!bytes)
			return -EINVAL;
		magic = get_le64(bytes);
		if (!magic)
			return 0;
		in_cluster += SECTION_BYTES;
		end = in_cluster + get_le32(bytes + 16);
		if (end > x->image->cluster) {
			tell(x, "has a section that does not fit into it");
			return 0;
		}
		if (magic == EXT_MAGIC_BITMAP)
			err = check_bitmap(x, in_cluster, end);
		in_cluster = ROUND_UP(end, (u64)SECTION_ALIGN);
	}
	return err;
}

/**
 * parallels_check_extension() - check the extension of a file, if it has one
 * @f: the image
 * @image: the file
 * @u: its units, to which those of the extension are added
 *
 * That of a file that was not closed is out of date.
 *
 * Return: 0, or a negative errno with a message.
 */
int parallels_check_extension(struct foreign *f, const struct parallels_image *image,
			      struct units *u)
{
	struct ext x = { .f = f, .image = image, .u = u };
	u64 size = foreign_size(f, image->file);
	const u8 *bytes;
	bool right;
	int err;

	if (!image->ext_host_offset || image->dirty)
		return 0;
	if (image->ext_host_offset > size || image->cluster > size - image->ext_host_offset) {
		tell(&x, "lies past the end of the file");
		return 0;
	}
	units_add_metadata(u, "the extension", image->ext_host_offset, image->cluster);
	bytes = peek(&x, 0, EXT_SECTIONS);
	if (!bytes)
		return -EINVAL;
	if (get_le64(bytes) != EXT_MAGIC) {
		tell(&x, "has another magic");
		return 0;
	}
	err = check_sum(&x, &right);
	if (!err && !right)
		tell(&x, "has a wrong checksum");
	return err || !right ? err : check_sections(&x);
}
