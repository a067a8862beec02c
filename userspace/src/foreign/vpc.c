// SPDX-License-Identifier: GPL-2.0
/*
 * VHD, the format of Virtual PC and Hyper-V, which QEMU calls vpc. A footer is at the end of
 * the file. A fixed disk is all that comes before it. A dynamic or differencing one has a
 * copy of the footer at the start, and a table with the sector of each block in the file. A
 * block is a bitmap of its sectors, most significant bit first, and their data. Numbers are
 * big-endian.
 *
 * Facts are from QEMU's reader and from files that Hyper-V, Virtual PC and Disk2vhd made. The
 * footer of 511 bytes and the parent's name as a URL are from descriptions alone. QEMU reads
 * a differencing disk as if it had no parent, and zeros from a dynamic one whose copy at the
 * start has no signature. Both are wrong.
 */
#include "foreign/vpc.h"

/* A fixed disk is never taken for VHD without being asked for. */
static bool vpc_probe(const struct foreign_sample *s)
{
	return vpc_has_magic(s->start) && !vpc_is_fixed(s);
}

/* Virtual PC before 2004 wrote one byte less. */
static int read_last_footer(struct foreign *f, struct vpc *v)
{
	u64 size = foreign_size(f, 0);
	int err;

	v->footer_host_offset = size - VPC_FOOTER_BYTES;
	err = foreign_read(f, 0, v->footer, VPC_FOOTER_BYTES, v->footer_host_offset);
	if (err || vpc_footer_is_valid(v->footer) || size % SZ_512 != VPC_OLD_FOOTER_BYTES)
		return err;
	v->footer_host_offset = size - VPC_OLD_FOOTER_BYTES;
	memset(v->footer, 0, sizeof(v->footer));
	return foreign_read(f, 0, v->footer, VPC_OLD_FOOTER_BYTES, v->footer_host_offset);
}

/* The fields that say where data is: from the header's place to the size, and the type. */
static bool footers_agree(const u8 *a, const u8 *b)
{
	return !memcmp(a + 16, b + 16, 8) && !memcmp(a + 28, b + 28, 4) &&
	       !memcmp(a + 48, b + 48, 16);
}

static int choose_footer(struct foreign *f, struct vpc *v)
{
	u8 *first = v->first_footer, *last = v->footer;

	v->last_is_valid = vpc_footer_is_valid(last);
	v->first_is_valid = vpc_footer_is_valid(first);
	if (v->last_is_valid && (vpc_footer_is_fixed(last) || !v->first_is_valid))
		return 0;
	if (v->last_is_valid && !footers_agree(first, last))
		return foreign_fail(f, "has a footer that differs from its copy at the start");
	if (!v->last_is_valid && v->first_is_valid) {
		if (vpc_footer_is_fixed(first))
			return foreign_fail(f, "has a copy of the footer of a fixed disk at its start");
		v->footer_host_offset = foreign_size(f, 0);
		memcpy(last, first, VPC_FOOTER_BYTES);
		return 0;
	}
	if (v->last_is_valid)
		return 0;
	if (vpc_has_magic(first) || vpc_has_magic(last))
		return foreign_fail(f, "has a footer with a wrong checksum");
	return foreign_fail(f, "has no footer of VHD, neither at its end nor a copy at its start");
}

static int read_footer(struct foreign *f, struct vpc *v)
{
	int err = foreign_read(f, 0, v->first_footer, VPC_FOOTER_BYTES, 0);

	if (!err)
		err = read_last_footer(f, v);
	if (!err)
		err = choose_footer(f, v);
	if (err)
		return err;
	v->type = get_be32(v->footer + 60);
	if (v->type < VPC_FIXED || v->type > VPC_DIFFERENCING)
		return foreign_unsupported(f, "is VHD of type %u, which is not supported; convert it in Hyper-V with Convert-VHD",
					   v->type);
	if (get_be32(v->footer + 12) >> 16 != 1)
		return foreign_unsupported(f, "is VHD of version %u, which is not supported; convert it in Hyper-V with Convert-VHD",
					   get_be32(v->footer + 12) >> 16);
	return 0;
}

/*
 * Programs that fill the disk up to the size in the footer, not to the end of the geometry.
 * Disk2vhd writes "d2v" and a NUL, for which QEMU does not look.
 */
static bool creator_uses_size(const u8 *creator)
{
	/* The length has the NUL of Azure's. */
	return !memcmp(creator, "win ", 4) || !memcmp(creator, "qem2", 4) ||
	       !memcmp(creator, "CTXS", 4) || !memcmp(creator, "d2v", 3) ||
	       !memcmp(creator, "tap", 3) || !memcmp(creator, "wa", 3);
}

static u64 geometry_bytes(const u8 *footer)
{
	return (u64)get_be16(footer + 56) * footer[58] * footer[59] * SZ_512;
}

/* The geometry can only tell the size of a disk below its maximum. */
static int find_size(struct foreign *f, const struct vpc *v)
{
	u64 geometry = geometry_bytes(v->footer), size = get_be64(v->footer + 48);
	bool use_size = creator_uses_size(v->footer + 28) || geometry == VPC_GEOMETRY_MAX;

	f->disk.size = use_size ? size / SZ_512 * SZ_512 : geometry;
	if (f->disk.size > VPC_SIZE_MAX)
		return foreign_fail(f, "its footer has a disk of %llu bytes, more than VHD can have",
				    (unsigned long long)f->disk.size);
	foreign_tell(f, "size-from", use_size ? "footer" : "geometry");
	if (geometry != size) {
		foreign_tell_number(f, "geometry-size", geometry);
		foreign_tell_number(f, "footer-size", size);
	}
	return 0;
}

static int check_fixed(struct foreign *f, const struct vpc *v)
{
	if (f->disk.size <= v->footer_host_offset)
		return 0;
	return foreign_fail(f, "its footer has a disk of %llu bytes, but there are %llu bytes before it",
			    (unsigned long long)f->disk.size,
			    (unsigned long long)v->footer_host_offset);
}

static int check_header(struct foreign *f, const struct vpc *v, const u8 *h)
{
	if (memcmp(h, "cxsparse", 8))
		return foreign_fail(f, "its footer names a header of a dynamic disk that is none");
	if (!vpc_has_checksum(h, VPC_HEADER_BYTES, 36))
		return foreign_fail(f, "its header has a wrong checksum");
	if (get_be32(h + 24) >> 16 != 1)
		return foreign_unsupported(f, "has a header of version %u, which is not supported; convert it in Hyper-V with Convert-VHD",
					   get_be32(h + 24) >> 16);
	if (v->block < SZ_512 || v->block & (v->block - 1))
		return foreign_fail(f, "its header has blocks of %u bytes", v->block);
	if (DIV_ROUND_UP_ULL(f->disk.size, v->block) > v->blocks)
		return foreign_fail(f, "its header has %u blocks for a disk of %llu bytes",
				    v->blocks, (unsigned long long)f->disk.size);
	if (v->table_host_offset > foreign_size(f, 0))
		return foreign_fail(f, "its header has the table of blocks at offset %llu, past the end of the file",
				    (unsigned long long)v->table_host_offset);
	return 0;
}

/* The first locator with a code, as a text of its bytes; NULL: there is none. */
static int read_locator(struct foreign *f, const u8 *h, u32 code, u8 *text, u32 *bytes)
{
	const u8 *l;
	u32 i;

	*bytes = 0;
	for (i = 0; i < VPC_LOCATORS; i++) {
		l = h + 576 + i * 24;
		if (get_be32(l) != code)
			continue;
		if (get_be32(l + 8) >= VPC_LOCATOR_MAX)
			return foreign_fail(f, "its header has a name of its parent of %u bytes",
					    get_be32(l + 8));
		*bytes = get_be32(l + 8);
		return foreign_read(f, 0, text, *bytes, get_be64(l + 16));
	}
	return 0;
}

static int find_parent(struct foreign *f, const u8 *h)
{
	struct parents *parents = foreign_alloc(f, 1, sizeof(*parents));
	u8 *text = foreign_alloc(f, 1, VPC_LOCATOR_MAX);
	u32 i, bytes;
	int err;

	if (!parents || !text)
		return -ENOMEM;
	for (i = 0; i < 2; i++) {
		err = read_locator(f, h, i ? VPC_W2KU : VPC_W2RU, text, &bytes);
		if (err)
			return err;
		parents_add_utf16(parents, text, bytes, false);
	}
	err = read_locator(f, h, VPC_MACX, text, &bytes);
	if (err)
		return err;
	text[bytes] = '\0';
	parents_add_url(parents, (char *)text);
	parents_add_utf16(parents, h + 64, 512, true);
	if (!parents->nr)
		return foreign_fail(f, "its header has no name of its parent");
	guid_text(f->disk.parent_id, h + 40, false);
	foreign_tell(f, "parent-uuid", f->disk.parent_id);
	parents_tell(parents, f);
	return 0;
}

static int open_dynamic(struct foreign *f, struct vpc *v)
{
	u8 h[VPC_HEADER_BYTES];
	int err;

	v->header_host_offset = get_be64(v->footer + 16);
	err = foreign_read(f, 0, h, sizeof(h), v->header_host_offset);
	if (err)
		return err;
	v->table_host_offset = get_be64(h + 16);
	v->blocks = get_be32(h + 28);
	v->block = get_be32(h + 32);
	v->bitmap_bytes = ROUND_UP(v->block / SZ_512 / 8, SZ_512);
	if (!v->bitmap_bytes)
		v->bitmap_bytes = SZ_512;
	f->disk.cluster_size = v->block;
	err = check_header(f, v, h);
	if (!err && v->type == VPC_DIFFERENCING)
		err = find_parent(f, h);
	return err;
}

static void tell_facts(struct foreign *f, const struct vpc *v)
{
	static const char *const types[] = {
		[VPC_FIXED] = "fixed",
		[VPC_DYNAMIC] = "dynamic",
		[VPC_DIFFERENCING] = "differencing",
	};
	char creator[5] = { };

	memcpy(creator, v->footer + 28, 4);
	foreign_tell(f, "type", types[v->type]);
	foreign_tell(f, "creator", creator);
	foreign_tell(f, "uuid", f->disk.id);
	foreign_tell(f, "saved-state", v->footer[84] ? "yes" : "no");
	if (!v->last_is_valid)
		foreign_tell(f, "footer", "lost");
}

static int vpc_open(struct foreign *f)
{
	struct vpc *v = foreign_alloc(f, 1, sizeof(*v));
	int err;

	f->private = v;
	if (!v)
		return -ENOMEM;
	err = read_footer(f, v);
	if (!err)
		err = find_size(f, v);
	if (err)
		return err;
	guid_text(f->disk.id, v->footer + 68, false);
	tell_facts(f, v);
	return v->type == VPC_FIXED ? check_fixed(f, v) : open_dynamic(f, v);
}

/* Read the part of a block's bitmap that has a sector. */
static int read_bitmap(struct foreign *f, struct vpc *v, u64 bitmap_host_offset, u32 byte)
{
	u32 start = byte & ~(u32)(VPC_BITMAP_PART - 1);
	u64 host_offset = bitmap_host_offset + start;

	if (v->part_bits && v->part_host_offset == host_offset)
		return 0;
	v->part_host_offset = host_offset;
	v->part_bits = 8 * min((u32)VPC_BITMAP_PART, v->bitmap_bytes - start);
	return foreign_read(f, 0, v->part, v->part_bits / 8, host_offset);
}

/* The sectors from one on that are all of this file or all of the parent. */
static int find_sectors(struct foreign *f, u64 bitmap_host_offset, u32 skip,
			struct foreign_piece *p)
{
	struct vpc *v = f->private;
	u32 sector = skip / SZ_512, bit = sector % (8 * VPC_BITMAP_PART), end;

	if (read_bitmap(f, v, bitmap_host_offset, sector / 8))
		return -EINVAL;
	end = min(v->part_bits, v->block / SZ_512 - (sector - bit));
	p->length = (u64)SZ_512 * bits_run(v->part, bit, end, true);
	p->kind = bit_at(v->part, bit, true) ? QCOW_MAP_DATA : QCOW_MAP_HOLE;
	return 0;
}

static int visit_block(struct foreign *f, struct vpc *v, u64 block)
{
	if (foreign_visit(&v->visited, block, (u64)v->bitmap_bytes + v->block, foreign_size(f, 0)))
		return 0;
	return foreign_fail(f, "its table has more blocks than the file has room for");
}

static int vpc_find(struct foreign *f, u64 guest_offset, struct foreign_piece *p)
{
	struct vpc *v = f->private;
	u64 host_offset;
	u32 skip, sector;

	p->kind = QCOW_MAP_DATA;
	if (v->type == VPC_FIXED) {
		p->host_offset = guest_offset;
		p->length = f->disk.size - guest_offset;
		return 0;
	}
	if (vpc_block(f, v, guest_offset / v->block, &sector))
		return -EINVAL;
	skip = guest_offset % v->block;
	p->length = v->block - skip;
	p->kind = sector == VPC_NONE ? QCOW_MAP_HOLE : QCOW_MAP_DATA;
	host_offset = (u64)sector * SZ_512;
	p->host_offset = host_offset + v->bitmap_bytes + skip;
	if (sector != VPC_NONE && visit_block(f, v, guest_offset / v->block))
		return -EINVAL;
	if (sector != VPC_NONE && v->type == VPC_DIFFERENCING)
		return find_sectors(f, host_offset, skip, p);
	return 0;
}

const struct foreign_format foreign_vpc = {
	.name = "vpc",
	.title = "VHD",
	.probe = vpc_probe,
	.probe_backing = vpc_probe,
	.open = vpc_open,
	.find = vpc_find,
	.check = vpc_check,
};
