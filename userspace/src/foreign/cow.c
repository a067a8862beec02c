// SPDX-License-Identifier: GPL-2.0
/*
 * COW, the format of User-Mode Linux and of old versions of QEMU: the changes of another
 * disk, with a bitmap of the sectors that are in the file. Each sector has a fixed place, so
 * the file is sparse, and as large as the disk.
 *
 * Facts are from the kernel's cow_user.c, from QEMU 2.1, and from files of version 3 that
 * uml_mkcow and User-Mode Linux made. Versions 1 and 2 are from the sources alone.
 */
#include "foreign/bits.h"
#include "foreign/bytes.h"
#include "foreign/formats.h"
#include "foreign/parents.h"

#define COW_MAGIC		0x4f4f4f4d
#define COW_HEADER_BYTES	SZ_4K
#define COW_SECTOR_MAX		SZ_64K
#define COW_ALIGNMENT_MAX	SZ_1M

/**
 * struct cow_layout - places of the fields of a header
 * @name: of the parent's name
 * @name_bytes: of it
 * @mtime: when the parent was changed
 * @size: bytes of the disk
 * @sector: bytes of a sector
 * @alignment: that of the bitmap and the data; 0: a sector
 * @kind: must be 0; 0: there is no such field
 * @end: bytes of the header
 * @title: for people
 */
struct cow_layout {
	u16 name;
	u16 name_bytes;
	u16 mtime;
	u16 size;
	u16 sector;
	u16 alignment;
	u16 kind;
	u16 end;
	const char *title;
};

static const struct cow_layout cow_1 = {
	.name = 8, .name_bytes = 256, .mtime = 264, .size = 268,
	.sector = 276, .end = 280, .title = "UML 1",
};

static const struct cow_layout cow_2 = {
	.name = 8, .name_bytes = 4096, .mtime = 4104, .size = 4108,
	.sector = 4116, .end = 4120, .title = "UML 2",
};

static const struct cow_layout cow_3 = {
	.mtime = 8, .size = 12, .sector = 20, .alignment = 24, .kind = 28,
	.name = 32, .name_bytes = 4096, .end = 4128, .title = "UML 3",
};

/*
 * That of 64-bit kernels before 2.6.15. The time has 8 bytes, of which a little-endian
 * machine filled the first four, in big-endian order.
 */
static const struct cow_layout cow_3_wide = {
	.mtime = 8, .size = 16, .sector = 24, .alignment = 28, .kind = 32,
	.name = 36, .name_bytes = 4096, .end = 4132, .title = "UML 3, 64 bits",
};

/* QEMU's structure depends on the machine that it was compiled for. */
static const struct cow_layout cow_qemu = {
	.name = 8, .name_bytes = 1024, .mtime = 1032, .size = 1040,
	.sector = 1048, .end = 1056, .title = "QEMU",
};

static const struct cow_layout cow_qemu_i386 = {
	.name = 8, .name_bytes = 1024, .mtime = 1032, .size = 1036,
	.sector = 1044, .end = 1048, .title = "QEMU, i386",
};

/**
 * struct cow - the numbers of a header that find sectors
 * @layout: of the header
 * @version: of the header
 * @little_endian: order of its bytes
 * @sector: bytes of a sector
 * @alignment: of the bitmap and the data
 * @bits: sectors that have a bit in the bitmap
 * @bitmap_host_offset: of the bitmap
 * @data_host_offset: of sector 0
 * @bitmap: the part of the bitmap that is in memory
 */
struct cow {
	const struct cow_layout *layout;
	u32 version;
	bool little_endian;
	u32 sector;
	u32 alignment;
	u64 bits;
	u64 bitmap_host_offset;
	u64 data_host_offset;
	struct foreign_window bitmap;
};

static bool cow_probe(const struct foreign_sample *s)
{
	return get_be32(s->start) == COW_MAGIC ||
	       (get_le32(s->start) == COW_MAGIC && get_le32(s->start + 4) == 1);
}

/* --- The header --- */

static u32 get_32(const struct cow *c, const u8 *p)
{
	return c->little_endian ? get_le32(p) : get_be32(p);
}

static u64 get_64(const struct cow *c, const u8 *p)
{
	return c->little_endian ? get_le64(p) : get_be64(p);
}

/*
 * Version 2 of UML and of QEMU can only be told apart by the size of sectors: in the place
 * of QEMU's, a header of UML has a name, or the zeros behind it.
 */
static const struct cow_layout *layout_of_2(const u8 *h)
{
	if (get_be32(h + cow_qemu.sector) == SZ_512)
		return &cow_qemu;
	if (get_be32(h + cow_qemu_i386.sector) == SZ_512 && get_be32(h + cow_qemu_i386.size + 4))
		return &cow_qemu_i386;
	return &cow_2;
}

static const struct cow_layout *layout_of(u32 version, const u8 *h)
{
	switch (version) {
	case 1:
		return &cow_1;
	case 2:
		return layout_of_2(h);
	case 3:
		return get_be32(h + cow_3.name) ? &cow_3 : &cow_3_wide;
	}
	return NULL;
}

static bool is_qemu(const struct cow *c)
{
	return c->layout == &cow_qemu || c->layout == &cow_qemu_i386;
}

static u64 round_up_to(u64 n, u32 unit)
{
	return (n + unit - 1) / unit * unit;
}

/* UML drops the part of a byte at the end of the bitmap before version 3. */
static void cow_place(struct foreign *f, struct cow *c)
{
	u64 sectors = DIV_ROUND_UP_ULL(f->disk.size, c->sector), bytes = DIV_ROUND_UP_ULL(sectors, 8);

	if (c->version < 3 && !is_qemu(c))
		bytes = (f->disk.size + c->sector - 1) / (8 * (u64)c->sector);
	c->bits = min(sectors, bytes * 8);
	c->bitmap_host_offset = c->layout->end;
	if (c->version == 3)
		c->bitmap_host_offset = round_up_to(c->layout->end, c->alignment);
	c->data_host_offset = round_up_to(c->bitmap_host_offset + bytes, c->alignment);
}

static int cow_check_header(struct foreign *f, const struct cow *c, const u8 *h)
{
	const struct cow_layout *l = c->layout;

	if (c->sector < SZ_512 || c->sector > COW_SECTOR_MAX || c->sector & (c->sector - 1))
		return foreign_fail(f, "its header has sectors of %u bytes", c->sector);
	if (!c->alignment || c->alignment > COW_ALIGNMENT_MAX || c->alignment % SZ_512)
		return foreign_fail(f, "its header has an alignment of %u bytes", c->alignment);
	if (l->kind && get_32(c, h + l->kind))
		return foreign_unsupported(f, "is a COW image with a bitmap of kind %u, which is not known; convert it with uml_moo",
					   get_32(c, h + l->kind));
	if (!f->disk.size || f->disk.size > (u64)S64_MAX / 2)
		return foreign_fail(f, "its header has a disk of %llu bytes",
				    (unsigned long long)f->disk.size);
	return 0;
}

/* Name the parent. UML wants one that was not changed. QEMU has not looked. */
static int cow_parent(struct foreign *f, const struct cow *c, const u8 *h)
{
	const struct cow_layout *l = c->layout;
	struct parents *parents = foreign_alloc(f, 1, sizeof(*parents));
	char *name = parents ? foreign_alloc(f, l->name_bytes + 1, 1) : NULL;

	if (!name)
		return -ENOMEM;
	memcpy(name, h + l->name, l->name_bytes);
	if (!name[0] && is_qemu(c))
		return 0;
	if (!name[0])
		return foreign_fail(f, "its header does not name its backing file");
	parents_add(parents, name);
	if (!parents->nr)
		return foreign_fail(f, "its header has no valid name of its backing file");
	parents_tell(parents, f);
	strcpy(f->disk.parent_format, is_qemu(c) ? "probe" : "raw");
	if (is_qemu(c))
		return 0;
	f->disk.parent_size = f->disk.size;
	f->disk.parent_mtime = get_32(c, h + l->mtime);
	if (!f->disk.parent_mtime && l == &cow_3_wide)
		f->disk.parent_mtime = get_32(c, h + l->mtime + 4);
	return 0;
}

static int cow_read_header(struct foreign *f, struct cow *c, const u8 *h)
{
	const struct cow_layout *l = c->layout;
	int err;

	f->disk.size = get_64(c, h + l->size);
	c->sector = get_32(c, h + l->sector);
	c->alignment = l->alignment ? get_32(c, h + l->alignment) : c->sector;
	err = cow_check_header(f, c, h);
	if (err)
		return err;
	cow_place(f, c);
	f->disk.cluster_size = c->sector;
	foreign_tell(f, "subformat", l->title);
	return cow_parent(f, c, h);
}

static int cow_open(struct foreign *f)
{
	struct cow *c = foreign_alloc(f, 1, sizeof(*c));
	u8 *h = c ? foreign_alloc(f, 1, COW_HEADER_BYTES + SZ_512) : NULL;
	int err;

	if (!h)
		return -ENOMEM;
	f->private = c;
	err = foreign_read(f, 0, h, cow_1.end, 0);
	if (err)
		return err;
	c->little_endian = get_le32(h) == COW_MAGIC;
	if (!c->little_endian && get_be32(h) != COW_MAGIC)
		return foreign_fail(f, "has no signature of COW");
	c->version = get_32(c, h + 4);
	/* Headers of other versions are at least as long as QEMU's. */
	err = c->version == 1 ? 0 : foreign_read(f, 0, h, cow_qemu.end, 0);
	c->layout = layout_of(c->version, h);
	if (!c->layout || (c->little_endian && c->version != 1))
		return foreign_unsupported(f, "is COW of version %u, which is not known; convert it with uml_moo",
					   c->version);
	err = err ? err : foreign_read(f, 0, h, c->layout->end, 0);
	return err ? err : cow_read_header(f, c, h);
}

/* --- Sectors --- */

static int cow_find(struct foreign *f, u64 guest_offset, struct foreign_piece *p)
{
	struct cow *c = f->private;
	u64 sector = guest_offset / c->sector, bytes = DIV_ROUND_UP_ULL(c->bits, 8);
	u32 skip = guest_offset % c->sector, first = sector % 8;
	size_t available;
	const u8 *bits;

	p->kind = QCOW_MAP_HOLE;
	p->length = round_up_to(f->disk.size, c->sector) - guest_offset;
	if (sector >= c->bits)
		return 0;
	bits = foreign_peek(f, &c->bitmap, 0, c->bitmap_host_offset + sector / 8, 1, &available);
	if (!bits)
		return -EINVAL;
	available = min((u64)available, bytes - sector / 8);
	p->length = (u64)bits_run(bits, first, min((u64)available * 8, c->bits - (sector - first)),
				  false) * c->sector - skip;
	if (bit_at(bits, first, false))
		p->kind = QCOW_MAP_DATA;
	p->host_offset = c->data_host_offset + sector * c->sector + skip;
	return 0;
}

const struct foreign_format foreign_cow = {
	.name = "cow",
	.title = "UML COW",
	.probe = cow_probe,
	.open = cow_open,
	.find = cow_find,
	/* QEMU reads none any more. */
	.other_way = "make a raw image of it with uml_moo FILE NEW.img",
};
