// SPDX-License-Identifier: GPL-2.0
/*
 * Images of Parallels: a .hds file has a header and a table with the place of each cluster.
 * A disk is a folder of such files, in which DiskDescriptor.xml names them: one for each part
 * of a split disk, and for each snapshot. Numbers are little-endian.
 *
 * A .hds file alone is read as QEMU reads it: clusters that it has not are zeros. Whether the
 * file of a snapshot has a parent is told by the descriptor only.
 *
 * Facts are from QEMU's specifications and its reader. Those of split disks and of snapshots
 * are from the specification alone, for QEMU reads neither.
 */
#define _GNU_SOURCE
#include "foreign/bytes.h"
#include "foreign/formats.h"
#include "foreign/parallels.h"
#include "foreign/units.h"

/* Whether a file is XML of Parallels. The content of a disk may well have such text. */
static bool is_descriptor(const u8 *start, size_t len)
{
	static const u8 mark[] = { 0xef, 0xbb, 0xbf };
	size_t i = len >= sizeof(mark) && !memcmp(start, mark, sizeof(mark)) ? sizeof(mark) : 0;

	while (i < len && start[i] && strchr(" \t\r\n", start[i]))
		i++;
	return i < len && start[i] == '<' && memmem(start, len, "<Parallels_disk_image", 21);
}

/* QEMU reads no descriptors. */
static bool parallels_probe_backing(const struct foreign_sample *s)
{
	return parallels_has_magic(s->start) && get_le32(s->start + 16) == PARALLELS_VERSION;
}

static bool parallels_probe(const struct foreign_sample *s)
{
	return parallels_has_magic(s->start) ||
	       is_descriptor(s->start, sizeof(s->start));
}

/* Sets @p to the content in an image, or makes its length end where that of the image may. */
static int find_in_image(struct foreign *f, struct parallels_image *image, u64 in_part,
			 struct foreign_piece *p)
{
	u64 host_offset = 0, in_cluster = 0;
	int err = 0;

	if (!image->plain) {
		in_cluster = in_part % image->cluster;
		p->length = min(p->length, image->cluster - in_cluster);
		err = parallels_find_cluster(f, image, in_part, &host_offset);
	}
	if (err || (!image->plain && !host_offset))
		return err;
	p->kind = QCOW_MAP_DATA;
	p->file = image->file;
	p->host_offset = image->plain ? in_part : host_offset + in_cluster;
	return 0;
}

static const struct parallels_part *part_at(const struct parallels *p, u64 guest_offset)
{
	u32 low = 0, high = p->nr_parts, middle;

	while (high - low > 1) {
		middle = low + (high - low) / 2;
		if (p->parts[middle].guest_offset <= guest_offset)
			low = middle;
		else
			high = middle;
	}
	return &p->parts[low];
}

static int parallels_find(struct foreign *f, u64 guest_offset, struct foreign_piece *p)
{
	const struct parallels_part *part = part_at(f->private, guest_offset);
	u64 in_part = guest_offset - part->guest_offset;
	u32 i;
	int err = 0;

	p->length = part->size - in_part;
	p->kind = QCOW_MAP_ZERO;
	for (i = 0; !err && i < part->nr_images && p->kind != QCOW_MAP_DATA; i++)
		err = find_in_image(f, &part->images[i], in_part, p);
	return err;
}

static int open_single(struct foreign *f, struct parallels *p)
{
	struct parallels_part *part = foreign_alloc(f, 1, sizeof(*part));
	int err;

	if (!part)
		return -ENOMEM;
	p->parts = part;
	p->nr_parts = 1;
	part->nr_images = 1;
	part->images = foreign_alloc(f, 1, sizeof(*part->images));
	if (!part->images)
		return -ENOMEM;
	err = parallels_open_image(f, part->images);
	part->size = part->images->size;
	return err;
}

/* Each cluster of a part has an entry, in each of its images. */
static int check_parts(struct foreign *f, const struct parallels *p)
{
	const struct parallels_part *part;
	const struct parallels_image *image;

	for (part = p->parts; part < p->parts + p->nr_parts; part++)
		for (image = part->images; image < part->images + part->nr_images; image++) {
			f->disk.dirty |= image->dirty;
			if (!image->plain &&
			    DIV_ROUND_UP_ULL(part->size, image->cluster) > image->entries)
				return foreign_fail(f, "has a table of %llu clusters for %llu bytes",
						    (unsigned long long)image->entries,
						    (unsigned long long)part->size);
			if (!image->plain)
				f->disk.cluster_size = image->cluster;
		}
	return 0;
}

static int parallels_open(struct foreign *f)
{
	struct parallels *p = foreign_alloc(f, 1, sizeof(*p));
	struct foreign_window w = { };
	const struct parallels_part *last;
	size_t len;
	const u8 *h;
	int err;

	f->private = p;
	h = p ? foreign_peek(f, &w, 0, 0, PARALLELS_HEADER_BYTES, &len) : NULL;
	if (!h)
		return -EINVAL;
	err = !parallels_has_magic(h) && is_descriptor(h, len) ? parallels_open_descriptor(f, p) :
								   open_single(f, p);
	if (err)
		return err;
	last = &p->parts[p->nr_parts - 1];
	f->disk.size = last->guest_offset + last->size;
	return check_parts(f, p);
}

static void check_cluster(struct units *u, u64 guest_offset, u64 host_offset)
{
	if (host_offset % u->bytes != u->first % u->bytes)
		foreign_fault(u->f, "the data of guest offset %llu is at host offset %llu, which is not aligned",
			      (unsigned long long)guest_offset,
			      (unsigned long long)host_offset);
	units_add_data(u, guest_offset, host_offset);
}

static int check_image(struct foreign *f, const struct parallels_part *part,
		       struct parallels_image *image)
{
	struct units u;
	u64 i, host_offset;
	int err = units_init(&u, f, image->file, image->data_host_offset, image->cluster);

	if (!err)
		err = parallels_check_extension(f, image, &u);
	for (i = 0; !err && i < image->entries; i++) {
		err = parallels_find_cluster(f, image, i * image->cluster, &host_offset);
		if (!err && host_offset)
			check_cluster(&u, part->guest_offset + i * image->cluster, host_offset);
	}
	if (!err)
		units_tell_free(&u, "clusters");
	return err;
}

static int parallels_check(struct foreign *f)
{
	const struct parallels *p = f->private;
	const struct parallels_part *part;
	u32 i;
	int err = 0;

	for (part = p->parts; !err && part < p->parts + p->nr_parts; part++)
		for (i = 0; !err && i < part->nr_images; i++)
			if (!part->images[i].plain)
				err = check_image(f, part, &part->images[i]);
	return err;
}

const struct foreign_format foreign_parallels = {
	.name = "parallels",
	.title = "Parallels",
	.probe = parallels_probe,
	.probe_backing = parallels_probe_backing,
	.open = parallels_open,
	.find = parallels_find,
	.check = parallels_check,
};
