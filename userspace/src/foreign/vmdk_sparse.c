// SPDX-License-Identifier: GPL-2.0
/*
 * Sparse extents of VMDK: a header, a grain directory with the places of grain tables, and
 * these with the places of grains. There are three kinds, with different headers.
 */
#include "foreign/bytes.h"
#include "foreign/vmdk.h"

/* KDMV */
#define KDMV_HEADER_BYTES	SZ_512
#define KDMV_NEWLINES		BIT(0)
#define KDMV_SECOND_GD		BIT(1)
#define KDMV_ZEROS		BIT(2)
#define KDMV_COMPRESSED		BIT(16)
#define KDMV_MARKERS		BIT(17)
#define KDMV_GT_ENTRIES_MAX	512

/* The end of a stream: a marker, the footer, and the marker of the end, a sector each */
#define KDMV_FOOTER_BYTES	(3 * SZ_512)

/* COWD */
#define COWD_HEADER_BYTES	SZ_512
#define COWD_GT_ENTRIES		4096

/* seSparse */
#define SE_HEADER_BYTES		SZ_512
#define SE_VERSION		0x200000001ULL
#define SE_MAGIC_VOLATILE	0xcafecafe
#define SE_GRAIN_SECTORS	8
#define SE_GT_SECTORS		64
#define SE_GDE_TAG		0x10000000U
#define SE_GTE_UNMAPPED		1
#define SE_GTE_ZERO		2
#define SE_GTE_GRAIN		3

/**
 * struct kdmv - the numbers of a header, in sectors
 * @version: 1 to 3
 * @flags: KDMV_*
 * @capacity: of the disk
 * @grain: of a grain
 * @gt_entries: entries of a grain table
 * @second_gd: of the copy of the grain directory
 * @gd: of the grain directory
 * @overhead: metadata at the start of the file
 * @compression: 0: none, 1: zlib
 * @unclean: not closed
 */
struct kdmv {
	u32 version;
	u32 flags;
	u64 capacity;
	u64 grain;
	u32 gt_entries;
	u64 second_gd;
	u64 gd;
	u64 overhead;
	u16 compression;
	bool unclean;
};

/* Bytes of sectors that an attacker tells: more than any file has if it is too many. */
static u64 sector_bytes(u64 sectors)
{
	return sectors > VMDK_SECTORS_MAX ? (u64)S64_MAX : sectors * SZ_512;
}

static void kdmv_parse(struct kdmv *k, const u8 *h)
{
	k->version = get_le32(h + 4);
	k->flags = get_le32(h + 8);
	k->capacity = get_le64(h + 12);
	k->grain = get_le64(h + 20);
	k->gt_entries = get_le32(h + 44);
	k->second_gd = get_le64(h + 48);
	k->gd = get_le64(h + 56);
	k->overhead = get_le64(h + 64);
	k->unclean = h[72];
	k->compression = get_le16(h + 77);
}

/* A transfer as text would have changed these bytes, and grains as well. */
static int kdmv_check_newlines(struct foreign *f, const u8 *h)
{
	if (!(get_le32(h + 8) & KDMV_NEWLINES) || !memcmp(h + 73, "\n \r\n", 4))
		return 0;
	qcow_advise(&f->msg, -EINVAL, "was changed by a transfer as text; transfer it as binary");
	return -EINVAL;
}

static int kdmv_check(struct foreign *f, const struct kdmv *k)
{
	if (k->version < 1 || k->version > 3)
		return foreign_unsupported(f, "is VMDK of version %u, which is not supported; convert it with VMware's tools",
					   k->version);
	if (k->compression > 1)
		return foreign_unsupported(f, "has the compression %u, which is not supported; convert it with VMware's tools",
					   k->compression);
	if (!k->compression && k->flags & KDMV_COMPRESSED)
		return foreign_fail(f, "its header has compressed grains without a compression");
	if (!k->grain || k->grain > VMDK_GRAIN_SECTORS_MAX)
		return foreign_fail(f, "its header has grains of %llu sectors",
				    (unsigned long long)k->grain);
	if (!k->gt_entries || k->gt_entries > KDMV_GT_ENTRIES_MAX)
		return foreign_fail(f, "its header has grain tables of %u entries",
				    k->gt_entries);
	if (k->compression && k->grain * SZ_512 > QCOW_MAP_CHUNK_MAX)
		return foreign_unsupported(f, "has compressed grains of %llu bytes, which is too much; convert it with qemu-img convert -O qcow2",
					   (unsigned long long)k->grain * SZ_512);
	return 0;
}

static int check_size(struct foreign *f, const struct vmdk_extent *e, u64 sectors)
{
	if (!sectors || sectors > VMDK_SECTORS_MAX)
		return foreign_fail(f, "its header has a disk of %llu sectors",
				    (unsigned long long)sectors);
	if (DIV_ROUND_UP_ULL(sectors * SZ_512, vmdk_gt_span(e)) > VMDK_GD_ENTRIES_MAX)
		return foreign_fail(f, "its header has %llu sectors in grains of %llu bytes, which is too many",
				    (unsigned long long)sectors, (unsigned long long)e->grain);
	return 0;
}

static int check_in_file(struct foreign *f, const struct vmdk_extent *e, u64 host_offset,
			 u64 bytes)
{
	u64 size = foreign_size(f, e->file);

	if (host_offset <= size && bytes <= size - host_offset)
		return 0;
	qcow_advise(&f->msg, -EINVAL, "ends at byte %llu, but has metadata past it, so it is truncated; restore it from a copy",
		    (unsigned long long)size);
	return -EINVAL;
}

/**
 * vmdk_gd_entries() - count the entries of a grain directory
 * @e: a sparse extent
 *
 * Return: how many its disk needs.
 */
u64 vmdk_gd_entries(const struct vmdk_extent *e)
{
	return DIV_ROUND_UP_ULL(e->size, vmdk_gt_span(e));
}

static int check_gd(struct foreign *f, const struct vmdk_extent *e)
{
	if (!e->gd_host_offset)
		return foreign_fail(f, "its header has no grain directory");
	return check_in_file(f, e, e->gd_host_offset, vmdk_gd_entries(e) * vmdk_entry_bytes(e));
}

static bool is_marker(const u8 *m, u64 sectors, u32 type)
{
	return get_le64(m) == sectors && !get_le32(m + 8) && get_le32(m + 12) == type;
}

/* The header at the end of a stream, which knows the grain directory. */
static int kdmv_read_footer(struct foreign *f, const struct vmdk_extent *e, struct kdmv *k)
{
	u8 end[KDMV_FOOTER_BYTES];
	const u8 *footer = end + SZ_512;
	u64 size = foreign_size(f, e->file);
	int err;

	if (size < sizeof(end))
		return 0;
	err = foreign_read(f, e->file, end, sizeof(end), size - sizeof(end));
	if (!err && is_marker(end, 1, VMDK_MARKER_FOOTER) &&
	    get_le32(footer) == VMDK_MAGIC_KDMV && is_marker(end + 2 * SZ_512, 0, VMDK_MARKER_END))
		kdmv_parse(k, footer);
	return err;
}

static void kdmv_take(struct vmdk_extent *e, const struct kdmv *k)
{
	e->kind = VMDK_KDMV;
	e->size = k->capacity * SZ_512;
	e->grain = k->grain * SZ_512;
	e->gt_entries = k->gt_entries;
	e->overhead = sector_bytes(k->overhead);
	e->gd_host_offset = sector_bytes(k->gd);
	e->second_gd_host_offset = k->flags & KDMV_SECOND_GD ? sector_bytes(k->second_gd) : 0;
	e->zeros = k->flags & KDMV_ZEROS;
	e->compressed = k->compression;
	e->markers = k->compression && k->flags & KDMV_MARKERS;
	e->unclean = k->unclean;
}

static int kdmv_open_tables(struct foreign *f, struct vmdk_extent *e, struct kdmv *k)
{
	int err = k->gd == VMDK_GD_AT_END ? kdmv_read_footer(f, e, k) : 0;

	if (!err)
		err = kdmv_check(f, k);
	if (err)
		return err;
	kdmv_take(e, k);
	err = check_size(f, e, k->capacity);
	if (!err)
		err = check_in_file(f, e, 0, e->overhead);
	if (err)
		return err;
	if (e->markers && (!k->gd || k->gd == VMDK_GD_AT_END))
		return vmdk_index_stream(f, e);
	return check_gd(f, e);
}

/* A header without a disk is there for its descriptor. */
static int kdmv_open(struct foreign *f, struct vmdk_extent *e, const u8 *h)
{
	struct kdmv k;
	int err = kdmv_check_newlines(f, h);

	kdmv_parse(&k, h);
	e->text_host_offset = sector_bytes(get_le64(h + VMDK_TEXT_AT));
	e->text_bytes = e->text_host_offset ? sector_bytes(get_le64(h + 36)) : 0;
	if (err || (!k.capacity && e->text_bytes))
		return err;
	return kdmv_open_tables(f, e, &k);
}

static int cowd_open(struct foreign *f, struct vmdk_extent *e, const u8 *h)
{
	u32 version = get_le32(h + 4), sectors = get_le32(h + 12), grain = get_le32(h + 16);
	int err;

	if (version != 1)
		return foreign_unsupported(f, "is VMDK of ESX of version %u, which is not supported; convert it with VMware's tools",
					   version);
	if (!grain || grain > VMDK_GRAIN_SECTORS_MAX)
		return foreign_fail(f, "its header has grains of %u sectors", grain);
	e->kind = VMDK_COWD;
	e->size = (u64)sectors * SZ_512;
	e->grain = (u64)grain * SZ_512;
	e->gt_entries = COWD_GT_ENTRIES;
	e->gd_host_offset = (u64)get_le32(h + 20) * SZ_512;
	e->overhead = SZ_512;
	err = check_size(f, e, sectors);
	if (err)
		return err;
	if (vmdk_gd_entries(e) > get_le32(h + 24))
		return foreign_fail(f, "its header has a grain directory of %u entries, which is too small",
				    get_le32(h + 24));
	return check_gd(f, e);
}

/* The numbers of a seSparse header that are the same in all files. */
static int se_check(struct foreign *f, const u8 *h)
{
	u64 reserved = get_le64(h + 48) | get_le64(h + 56) | get_le64(h + 64) | get_le64(h + 72);

	if (get_le64(h + 8) != SE_VERSION || get_le64(h + 40) || reserved)
		return foreign_unsupported(f, "is seSparse of version 0x%llx with flags 0x%llx, which is not supported; convert it with VMware's tools",
					   (unsigned long long)get_le64(h + 8),
					   (unsigned long long)get_le64(h + 40));
	if (get_le64(h + 24) != SE_GRAIN_SECTORS || get_le64(h + 32) != SE_GT_SECTORS)
		return foreign_unsupported(f, "is seSparse with grains of %llu and tables of %llu sectors, which is not supported; convert it with VMware's tools",
					   (unsigned long long)get_le64(h + 24),
					   (unsigned long long)get_le64(h + 32));
	return 0;
}

/* Whether tables wait in the journal, which nobody but VMware can read. */
static int se_check_journal(struct foreign *f, struct vmdk *v, const struct vmdk_extent *e,
			    u64 host_offset)
{
	const u8 *h = foreign_peek(f, &v->gt, e->file, host_offset, 32, NULL);

	if (!h)
		return -EINVAL;
	if (get_le64(h) != SE_MAGIC_VOLATILE)
		return foreign_fail(f, "has no second header of seSparse");
	if (h[24])
		return foreign_unsupported(f, "was not closed and needs its journal; open it once with VMware");
	return 0;
}

static int se_open(struct foreign *f, struct vmdk *v, struct vmdk_extent *e, const u8 *h)
{
	u64 sectors = get_le64(h + 16), volatile_host_offset = sector_bytes(get_le64(h + 80));
	u64 gd_bytes = sector_bytes(get_le64(h + 136));
	int err = se_check(f, h);

	if (err)
		return err;
	e->kind = VMDK_SESPARSE;
	e->size = sector_bytes(sectors);
	e->grain = SE_GRAIN_SECTORS * SZ_512;
	e->gt_entries = SE_GT_SECTORS * SZ_512 / 8;
	e->gd_host_offset = sector_bytes(get_le64(h + 128));
	e->gts_host_offset = sector_bytes(get_le64(h + 144));
	e->grains_host_offset = sector_bytes(get_le64(h + 192));
	e->overhead = SZ_512;
	err = check_size(f, e, sectors);
	if (!err && vmdk_gd_entries(e) > gd_bytes / 8)
		return foreign_fail(f, "its header has a grain directory of %llu bytes, which is too small",
				    (unsigned long long)gd_bytes);
	if (!err)
		err = check_gd(f, e);
	return err ? err : se_check_journal(f, v, e, volatile_host_offset);
}

/**
 * vmdk_open_sparse() - read the header of a sparse extent
 * @f: the image
 * @v: the disk
 * @e: the extent, with its file; its other members are set. Its size is 0 if it only has a
 *	descriptor
 *
 * Return: 0, or a negative errno with a message.
 */
int vmdk_open_sparse(struct foreign *f, struct vmdk *v, struct vmdk_extent *e)
{
	const u8 *h = foreign_peek(f, &v->gd, e->file, 0, KDMV_HEADER_BYTES, NULL);

	if (!h)
		return -EINVAL;
	switch (get_le32(h)) {
	case VMDK_MAGIC_KDMV:
		return kdmv_open(f, e, h);
	case VMDK_MAGIC_COWD:
		return cowd_open(f, e, h);
	case VMDK_MAGIC_SESPARSE:
		return se_open(f, v, e, h);
	}
	return foreign_fail(f, "has no signature of a sparse extent");
}

static int se_fail_gd(struct foreign *f, u64 number, u64 entry)
{
	return foreign_fail(f, "its grain directory has 0x%llx as entry %llu",
			    (unsigned long long)entry, (unsigned long long)number);
}

/**
 * vmdk_find_gt() - look up a grain table
 * @f: the image
 * @v: the disk
 * @e: the extent
 * @gd_host_offset: of the grain directory
 * @number: of the grain table
 * @host_offset: set to that of the table; 0: there is none
 *
 * Return: 0, or a negative errno with a message.
 */
int vmdk_find_gt(struct foreign *f, struct vmdk *v, const struct vmdk_extent *e,
		 u64 gd_host_offset, u64 number, u64 *host_offset)
{
	u32 bytes = vmdk_entry_bytes(e);
	const u8 *entry = foreign_peek(f, &v->gd, e->file, gd_host_offset + number * bytes, bytes,
				       NULL);

	if (!entry)
		return -EINVAL;
	if (bytes == 4) {
		*host_offset = (u64)get_le32(entry) * SZ_512;
		return 0;
	}
	*host_offset = 0;
	if (!get_le64(entry))
		return 0;
	if (get_le32(entry + 4) != SE_GDE_TAG)
		return se_fail_gd(f, number, get_le64(entry));
	*host_offset = e->gts_host_offset + (u64)get_le32(entry) * SE_GT_SECTORS * SZ_512;
	return 0;
}

static int se_parse_gte(struct foreign *f, const struct vmdk_extent *e, u64 gte,
			struct foreign_piece *p)
{
	u64 number = (gte >> 48 & 0xfff) | (gte & GENMASK_ULL(47, 0)) << 12;

	p->kind = QCOW_MAP_ZERO;
	switch (gte >> 60) {
	case SE_GTE_UNMAPPED:
	case SE_GTE_ZERO:
		return 0;
	case SE_GTE_GRAIN:
		if (number > foreign_size(f, e->file) / e->grain)
			break;
		p->kind = QCOW_MAP_DATA;
		p->host_offset = e->grains_host_offset + number * e->grain;
		return 0;
	}
	if (gte)
		return foreign_fail(f, "a grain table has 0x%llx as an entry",
				    (unsigned long long)gte);
	p->kind = QCOW_MAP_HOLE;
	return 0;
}

/* Sets the kind of a grain, and its host offset if it has one. */
static int parse_gte(struct foreign *f, const struct vmdk_extent *e, const u8 *entry,
		     struct foreign_piece *p)
{
	u32 sector;

	if (e->kind == VMDK_SESPARSE)
		return se_parse_gte(f, e, get_le64(entry), p);
	sector = get_le32(entry);
	p->host_offset = (u64)sector * SZ_512;
	if (!sector)
		p->kind = QCOW_MAP_HOLE;
	else if (sector == 1 && e->zeros)
		p->kind = QCOW_MAP_ZERO;
	else
		p->kind = QCOW_MAP_DATA;
	return 0;
}

/* Whether a grain continues a piece. */
static bool grain_continues(const struct foreign_piece *p, const struct foreign_piece *next)
{
	return next->kind == p->kind && (next->kind != QCOW_MAP_DATA ||
					 next->host_offset == p->host_offset + p->length);
}

/* A piece of as many grains as follow one another in @nr entries, the first one done. */
static int add_grains(struct foreign *f, const struct vmdk_extent *e, const u8 *entry, u32 nr,
		      struct foreign_piece *p)
{
	struct foreign_piece next = { };
	u32 i, bytes = vmdk_entry_bytes(e);
	int err;

	for (i = 1; i < nr; i++) {
		err = parse_gte(f, e, entry + i * bytes, &next);
		if (err)
			return err;
		if (!grain_continues(p, &next))
			break;
		p->length += e->grain;
	}
	return 0;
}

/*
 * Bytes that a compressed grain has at most. Grains are mostly in the order of the disk, so
 * the next one tells; else it is two grains, as for QEMU.
 */
static u64 stored_bound(struct foreign *f, const struct vmdk_extent *e, const u8 *entry, u32 nr,
			u64 host_offset)
{
	u64 size = foreign_size(f, e->file), bound = 2 * e->grain, next;
	u32 i;

	for (i = 1; i < nr && get_le32(entry + i * 4) <= 1; i++)
		;
	next = i < nr ? (u64)get_le32(entry + i * 4) * SZ_512 : 0;
	if (next > host_offset)
		bound = min(bound, next - host_offset);
	return host_offset < size ? min(bound, size - host_offset) : bound;
}

static int set_compressed(struct foreign *f, const struct vmdk_extent *e, const u8 *entry, u32 nr,
			  u64 in_extent, struct foreign_piece *p)
{
	u32 marker = e->markers ? VMDK_MARKER_BYTES : 0;
	u64 stored = stored_bound(f, e, entry, nr, p->host_offset);

	if (stored <= marker)
		return foreign_fail(f, "has a compressed grain of %llu bytes at host offset %llu",
				    (unsigned long long)stored,
				    (unsigned long long)p->host_offset);
	return vmdk_set_compressed(f, e, p->host_offset + marker, stored - marker, in_extent, p);
}

static int find_in_gt(struct foreign *f, struct vmdk *v, const struct vmdk_extent *e,
		      u64 gt_host_offset, u64 in_extent, struct foreign_piece *p)
{
	u32 bytes = vmdk_entry_bytes(e), number = in_extent / e->grain % e->gt_entries, nr;
	u64 skip = in_extent % e->grain;
	size_t available;
	const u8 *entry = foreign_peek(f, &v->gt, e->file, gt_host_offset + number * bytes, bytes,
				       &available);
	int err = entry ? parse_gte(f, e, entry, p) : -EINVAL;

	if (err)
		return err;
	nr = min(available / bytes, (size_t)(e->gt_entries - number));
	if (e->compressed && p->kind == QCOW_MAP_DATA)
		return set_compressed(f, e, entry, nr, in_extent, p);
	p->host_offset += skip;
	p->length = e->grain - skip;
	return add_grains(f, e, entry, nr, p);
}

/* Refuses more grain tables than have room in the file. */
static int visit_gt(struct foreign *f, struct vmdk *v, const struct vmdk_extent *e, u64 number)
{
	u64 bytes = e->gt_entries * vmdk_entry_bytes(e);

	if (v->visited_extent != e)
		v->visited = (struct foreign_visits) { };
	v->visited_extent = e;
	if (foreign_visit(&v->visited, number, bytes, foreign_size(f, e->file)))
		return 0;
	return foreign_fail(f, "its grain directory has tables that overlap");
}

/**
 * vmdk_find_grain() - look up a part of a sparse extent
 * @f: the image
 * @v: the disk
 * @e: the extent
 * @in_extent: offset in it
 * @p: set to the part
 *
 * Return: 0, or a negative errno with a message.
 */
int vmdk_find_grain(struct foreign *f, struct vmdk *v, const struct vmdk_extent *e,
		    u64 in_extent, struct foreign_piece *p)
{
	u64 span = vmdk_gt_span(e), gt_host_offset;
	int err = vmdk_find_gt(f, v, e, e->gd_host_offset, in_extent / span, &gt_host_offset);

	if (err)
		return err;
	if (gt_host_offset) {
		err = visit_gt(f, v, e, in_extent / span);
		return err ? err : find_in_gt(f, v, e, gt_host_offset, in_extent, p);
	}
	p->kind = QCOW_MAP_HOLE;
	p->length = span - in_extent % span;
	return 0;
}
