// SPDX-License-Identifier: GPL-2.0
/*
 * The images of Bochs: redo logs, of which "growing" ones are whole disks and "undoable" and
 * "volatile" ones the changes of another disk, and "sparse" ones. All have an index with the
 * place of each unit of the disk, or none. A unit of a redo log has a bitmap of its sectors.
 * Numbers are little-endian.
 *
 * Facts are from QEMU's reader of growing images, from files that bximage and Bochs 2.7
 * made, and for redo logs and sparse images of version 1 from the names of Bochs' headers
 * alone.
 */
#include "foreign/bits.h"
#include "foreign/bytes.h"
#include "foreign/formats.h"

#define REDOLOG_MAGIC		"Bochs Virtual HD Image"
#define REDOLOG_TYPE		"Redolog"
#define REDOLOG_HEADER_BYTES	512
#define REDOLOG_BITMAP_MAX	SZ_1M
/* As in QEMU; Bochs itself makes extents of 8 MiB for disks of 8 TiB. */
#define REDOLOG_EXTENT_MAX	(8 * SZ_1M)

#define SPARSE_MAGIC		0x02468ace
#define SPARSE_HEADER_BYTES	256
#define SPARSE_PAGE_MAX		SZ_1G

#define VERSION_1		0x10000
#define VERSION_2		0x20000

#define UNIT_NONE		0xffffffff

/* Longest name of a parent. */
#define NAME_SIZE		256

/**
 * struct bochs - the numbers of a header that find units of the disk
 * @unit: bytes of an extent or page of the disk
 * @units: entries of the index
 * @index_host_offset: of the index
 * @data_host_offset: of unit 0
 * @bitmap: bytes before the data of each unit, for its bitmap; 0: it has none
 * @index: the part of the index that is in memory
 * @in_memory: number of the unit whose bitmap is in memory, or UNIT_NONE
 * @bits: that bitmap
 * @visited: units of the file that a walk has looked at
 */
struct bochs {
	u32 unit;
	u32 units;
	u64 index_host_offset;
	u64 data_host_offset;
	u32 bitmap;
	struct foreign_window index;
	u32 in_memory;
	u8 bits[REDOLOG_EXTENT_MAX / SZ_512 / 8];
	struct foreign_visits visited;
};

static bool is_redolog(const u8 *header)
{
	return !memcmp(header, REDOLOG_MAGIC, sizeof(REDOLOG_MAGIC));
}

static bool bochs_probe(const struct foreign_sample *s)
{
	return is_redolog(s->start) || get_le32(s->start) == SPARSE_MAGIC;
}

/* QEMU knows growing images alone. */
static bool bochs_probe_backing(const struct foreign_sample *s)
{
	u32 version = get_le32(s->start + 64);

	return is_redolog(s->start) && !strncmp((const char *)s->start + 32, REDOLOG_TYPE, 16) &&
	       !strncmp((const char *)s->start + 48, "Growing", 16) &&
	       (version == VERSION_1 || version == VERSION_2);
}

static u64 stride(const struct bochs *b)
{
	return (u64)b->bitmap + b->unit;
}

/* Sectors that are not whole are no part of the disk for Bochs and for QEMU. */
static u64 whole_sectors(u64 bytes)
{
	return bytes - bytes % SZ_512;
}

static int check_size(struct foreign *f, const struct bochs *b)
{
	f->disk.cluster_size = b->unit;
	if (f->disk.size > (u64)b->units * b->unit)
		return foreign_fail(f, "its header has a disk of %llu bytes, and %u parts of %u bytes",
				    (unsigned long long)f->disk.size, b->units, b->unit);
	return 0;
}

static int fail_version(struct foreign *f, u32 version)
{
	return foreign_unsupported(f, "is a Bochs image of version %#x, which is not supported; convert it with bximage -func=convert",
				   version);
}

/* --- Redo logs --- */

static void tell_fat_time(struct foreign *f, u32 t)
{
	char text[64];

	snprintf(text, sizeof(text), "%04u-%02u-%02u %02u:%02u:%02u", (t >> 25) + 1980,
		 t >> 21 & 15, t >> 16 & 31, t >> 11 & 31, t >> 5 & 63, (t & 31) * 2);
	foreign_tell(f, "base-changed", text);
}

/* The names of redo logs: the disk's and .redolog, or with a point and six random characters. */
static int redolog_parent(struct foreign *f, bool undoable)
{
	const char *name = f->how.name ?: "", *ending;
	size_t len = strlen(name), cut = strlen(undoable ? ".redolog" : ".XXXXXX");
	char parent[NAME_SIZE];

	ending = len > cut ? name + len - cut : "";
	if (len - cut >= sizeof(parent) || ending[0] != '.' ||
	    (undoable && strcmp(ending, ".redolog")))
		return foreign_unsupported(f, "has the changes of a disk that it does not name; name it %s and put it beside that disk",
					   undoable ? "DISK.redolog" : "DISK.XXXXXX");
	memcpy(parent, name, len - cut);
	parent[len - cut] = '\0';
	strcpy(f->disk.parent_format, "probe");
	foreign_backing(f, parent);
	return 0;
}

static int redolog_kind(struct foreign *f, const u8 *h)
{
	static const char *const kinds[] = { "Growing", "Undoable", "Volatile" };
	static const char *const words[] = { "growing", "undoable", "volatile" };
	u32 i, version = get_le32(h + 64);

	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		if (!strncmp((const char *)h + 48, kinds[i], 16))
			break;
	if (i == ARRAY_SIZE(kinds))
		return foreign_unsupported(f, "is a Bochs image of an unknown type; convert it with bximage -func=convert");
	foreign_tell(f, "subformat", words[i]);
	if (!i)
		return 0;
	if (version == VERSION_2 && get_le32(h + 84)) {
		f->disk.parent_fat_time = get_le32(h + 84);
		tell_fat_time(f, f->disk.parent_fat_time);
	}
	return redolog_parent(f, i == 1);
}

static int redolog_check(struct foreign *f, const struct bochs *b, const u8 *h)
{
	u32 version = get_le32(h + 64), bitmap = get_le32(h + 76);

	if (strncmp((const char *)h + 32, REDOLOG_TYPE, 16))
		return foreign_unsupported(f, "is a Bochs image of an unknown type; convert it with bximage -func=convert");
	if (version != VERSION_1 && version != VERSION_2)
		return fail_version(f, version);
	if (get_le32(h + 68) != REDOLOG_HEADER_BYTES)
		return foreign_fail(f, "its header has %u bytes, not %u", get_le32(h + 68),
				    REDOLOG_HEADER_BYTES);
	if (b->unit < SZ_512 || b->unit > REDOLOG_EXTENT_MAX || b->unit & (b->unit - 1))
		return foreign_fail(f, "its header has extents of %u bytes", b->unit);
	if (bitmap > REDOLOG_BITMAP_MAX || (u64)bitmap * 8 * SZ_512 < b->unit)
		return foreign_fail(f, "its header has bitmaps of %u bytes for extents of %u",
				    bitmap, b->unit);
	return 0;
}

static int redolog_open(struct foreign *f, struct bochs *b, const u8 *h)
{
	bool first = get_le32(h + 64) == VERSION_1;
	int err;

	b->units = get_le32(h + 72);
	b->unit = get_le32(h + 80);
	b->index_host_offset = REDOLOG_HEADER_BYTES;
	b->data_host_offset = REDOLOG_HEADER_BYTES + (u64)b->units * 4;
	f->disk.size = whole_sectors(get_le64(h + (first ? 84 : 88)));
	err = redolog_check(f, b, h);
	if (err)
		return err;
	b->bitmap = ROUND_UP(get_le32(h + 76), SZ_512);
	foreign_tell_number(f, "version", first ? 1 : 2);
	err = check_size(f, b);
	return err ? err : redolog_kind(f, h);
}

/* --- Sparse images --- */

/*
 * A sparse image whose name ends in a digit has the image with the digit before it as parent
 * if there is one. Bochs refuses a parent with other pages, so they serve as identifiers.
 */
static void sparse_parent(struct foreign *f, const struct bochs *b)
{
	const char *name = f->how.name ?: "";
	size_t len = strlen(name);
	char parent[NAME_SIZE];

	snprintf(f->disk.id, sizeof(f->disk.id), "%ux%u", b->units, b->unit);
	if (!len || len >= sizeof(parent) || name[len - 1] < '1' || name[len - 1] > '9')
		return;
	memcpy(parent, name, len + 1);
	parent[len - 1]--;
	strcpy(f->disk.parent_id, f->disk.id);
	f->disk.parent_optional = true;
	foreign_backing(f, parent);
}

static int sparse_open(struct foreign *f, struct bochs *b, const u8 *h)
{
	u32 version = get_le32(h + 4);

	if (version != 1 && version != 2)
		return fail_version(f, version);
	b->unit = get_le32(h + 8);
	b->units = get_le32(h + 12);
	if (b->unit < SZ_512 || b->unit > SPARSE_PAGE_MAX || b->unit & (b->unit - 1))
		return foreign_fail(f, "its header has pages of %u bytes", b->unit);
	b->index_host_offset = SPARSE_HEADER_BYTES;
	b->data_host_offset = ROUND_UP(SPARSE_HEADER_BYTES + (u64)b->units * 4, (u64)b->unit);
	f->disk.size = version == 1 ? (u64)b->units * b->unit : whole_sectors(get_le64(h + 16));
	foreign_tell(f, "subformat", "sparse");
	foreign_tell_number(f, "version", version);
	sparse_parent(f, b);
	return check_size(f, b);
}

/* --- Both --- */

static int bochs_open(struct foreign *f)
{
	struct bochs *b = foreign_alloc(f, 1, sizeof(*b));
	const u8 *h;

	f->private = b;
	h = b ? foreign_peek(f, &b->index, 0, 0, SPARSE_HEADER_BYTES, NULL) : NULL;
	if (!h)
		return -EINVAL;
	b->in_memory = UNIT_NONE;
	if (is_redolog(h))
		return redolog_open(f, b, h);
	if (get_le32(h) == SPARSE_MAGIC)
		return sparse_open(f, b, h);
	return foreign_fail(f, "has no signature of Bochs");
}

/* The place of a unit of the disk: its number in the file, or UNIT_NONE. */
static int unit_place(struct foreign *f, u32 unit, u32 *place)
{
	struct bochs *b = f->private;
	const u8 *entry = foreign_peek(f, &b->index, 0, b->index_host_offset + (u64)unit * 4, 4,
				       NULL);

	if (!entry)
		return -EINVAL;
	*place = get_le32(entry);
	return 0;
}

/* Find a sector of a redo log: its unit's bitmap tells whether it is there. */
static int find_sector(struct foreign *f, u32 place, u64 host_offset, u32 skip,
		       struct foreign_piece *p)
{
	struct bochs *b = f->private;
	u32 sectors = b->unit / SZ_512, sector = skip / SZ_512;
	int err = 0;

	if (b->in_memory != place)
		err = foreign_read(f, 0, b->bits, DIV_ROUND_UP_ULL(sectors, 8), host_offset);
	if (err)
		return err;
	b->in_memory = place;
	p->length = (u64)bits_run(b->bits, sector, sectors, false) * SZ_512;
	p->kind = bit_at(b->bits, sector, false) ? QCOW_MAP_DATA : QCOW_MAP_HOLE;
	p->host_offset = host_offset + b->bitmap + skip;
	return 0;
}

static int bochs_find(struct foreign *f, u64 guest_offset, struct foreign_piece *p)
{
	struct bochs *b = f->private;
	u32 unit = guest_offset / b->unit, skip = guest_offset % b->unit, place;
	u64 host_offset;
	int err = unit_place(f, unit, &place);

	if (err)
		return err;
	p->length = b->unit - skip;
	p->kind = QCOW_MAP_HOLE;
	if (place == UNIT_NONE)
		return 0;
	if (!foreign_visit(&b->visited, unit, stride(b), foreign_size(f, 0)))
		return foreign_fail(f, "its index has more extents than the file has room for");
	host_offset = b->data_host_offset + place * stride(b);
	if (b->bitmap)
		return find_sector(f, place, host_offset, skip, p);
	p->kind = QCOW_MAP_DATA;
	p->host_offset = host_offset + skip;
	return 0;
}

/* --- The check --- */

static void check_leaks(struct foreign *f, const u8 *used, u64 places)
{
	u64 i, nr = 0;

	for (i = 0; i < places; i++)
		nr += !(used[i / 8] >> i % 8 & 1);
	if (nr)
		foreign_leak(f, "%llu parts of %u bytes of the file are not used",
			     (unsigned long long)nr, f->disk.cluster_size);
}

/* Each unit has a place of its own. The walk found that the places are in the file. */
static int bochs_check(struct foreign *f)
{
	struct bochs *b = f->private;
	u64 size = foreign_size(f, 0), places, unit;
	u32 units = DIV_ROUND_UP_ULL(f->disk.size, b->unit), place;
	u8 *used;

	places = size > b->data_host_offset ? (size - b->data_host_offset) / stride(b) : 0;
	used = foreign_alloc(f, places / 8 + 1, 1);
	if (!used)
		return -ENOMEM;
	for (unit = 0; unit < units; unit++) {
		if (unit_place(f, unit, &place))
			return -EINVAL;
		if (place >= places)
			continue;
		if (used[place / 8] >> place % 8 & 1)
			foreign_fault(f, "guest offset %llu has its data at the place of another part of the disk",
				      (unsigned long long)unit * b->unit);
		used[place / 8] |= 1 << place % 8;
	}
	check_leaks(f, used, places);
	return 0;
}

const struct foreign_format foreign_bochs = {
	.name = "bochs",
	.title = "Bochs",
	.probe = bochs_probe,
	.probe_backing = bochs_probe_backing,
	.open = bochs_open,
	.find = bochs_find,
	.check = bochs_check,
};
