// SPDX-License-Identifier: GPL-2.0
/*
 * VHDX, the newer format of Hyper-V. Two headers and two tables of regions are at fixed
 * places; the region of the table of blocks has the state and place of each block, and behind
 * the entries of a group of blocks, one of a bitmap with the sectors of a differencing disk
 * that are in the file, least significant bit first. Numbers are little-endian, and GUIDs
 * are as Windows has them.
 *
 * Facts are from the specification MS-VHDX, from QEMU's reader, which knows no parents, and
 * from files that Hyper-V and Disk2vhd made.
 */
#include "foreign/bits.h"
#include "foreign/crc32c.h"
#include "foreign/utf16.h"
#include "foreign/vhdx.h"

static const char magic[8] = "vhdxfile";

static bool vhdx_probe(const struct foreign_sample *s)
{
	return !memcmp(s->start, magic, sizeof(magic));
}

static int read_header(struct foreign *f, struct vhdx *v, u32 number, u8 *h, u32 *version)
{
	int err = foreign_read(f, 0, h, VHDX_HEADER_BYTES, VHDX_HEADER_HOST_OFFSET(number));

	if (err || memcmp(h, "head", 4) ||
	    (!FOREIGN_FUZZED && crc32c_without(h, VHDX_HEADER_BYTES, 4) != get_le32(h + 4)))
		return err;
	*version = get_le16(h + 66);
	v->headers_valid[number] = *version == 1;
	return 0;
}

/* The newer header counts. Disk2vhd makes two that are the same. */
static int choose_header(struct foreign *f, struct vhdx *v, const u8 *second)
{
	u64 sequences[2] = { get_le64(v->header + 8), get_le64(second + 8) };
	bool both = v->headers_valid[0] && v->headers_valid[1];

	if (both && sequences[0] == sequences[1] &&
	    memcmp(v->header, second, VHDX_HEADER_BYTES))
		return foreign_fail(f, "has two headers with the same number that differ");
	if (!v->headers_valid[0] || (both && sequences[1] > sequences[0]))
		memcpy(v->header, second, VHDX_HEADER_BYTES);
	return 0;
}

static int read_headers(struct foreign *f, struct vhdx *v)
{
	u8 *second = foreign_alloc(f, 1, VHDX_HEADER_BYTES);
	u32 version = 1;
	int err = second ? read_header(f, v, 0, v->header, &version) : -ENOMEM;

	if (!err)
		err = read_header(f, v, 1, second, &version);
	if (err)
		return err;
	if (version != 1 && !v->headers_valid[0] && !v->headers_valid[1])
		return foreign_unsupported(f, "is VHDX of version %u, which is not supported; convert it in Windows with Convert-VHD",
					   version);
	if (!v->headers_valid[0] && !v->headers_valid[1])
		return foreign_fail(f, "has no header of VHDX with a right checksum");
	err = choose_header(f, v, second);
	v->log.bytes = get_le32(v->header + 68);
	v->log.host_offset = get_le64(v->header + 72);
	return err;
}

static int check_table(struct foreign *f, const struct vhdx *v)
{
	u64 blocks = DIV_ROUND_UP_ULL(f->disk.size, v->block);
	u64 last = v->has_parent ? vhdx_bitmap_index(v, blocks - 1) :
				   vhdx_block_index(v, blocks - 1);

	if (last >= v->table.bytes / 8)
		return foreign_fail(f, "has %llu entries in its table of blocks for a disk of %llu bytes",
				    (unsigned long long)v->table.bytes / 8,
				    (unsigned long long)f->disk.size);
	return 0;
}

static int tell_facts(struct foreign *f, const struct vhdx *v)
{
	char creator[1024];
	u8 text[512];
	int err = foreign_read(f, 0, text, sizeof(text), sizeof(magic));

	if (err)
		return err;
	if (utf16_to_utf8(creator, sizeof(creator), text, sizeof(text), false) > 0)
		foreign_tell(f, "creator", creator);
	foreign_tell(f, "type",
		     v->has_parent ? "differencing" : v->is_fixed ? "fixed" : "dynamic");
	foreign_tell(f, "data-write-guid", f->disk.id);
	foreign_tell(f, "log", f->disk.dirty ? "replayed in memory" : "empty");
	return 0;
}

static int read_file(struct foreign *f, struct vhdx *v)
{
	u8 start[sizeof(magic)];
	int err = foreign_read(f, 0, start, sizeof(start), 0);

	if (err)
		return err;
	if (memcmp(start, magic, sizeof(magic)))
		return foreign_fail(f, "has no signature of VHDX");
	v->size = foreign_size(f, 0);
	err = read_headers(f, v);
	if (!err)
		err = vhdx_replay(f, v);
	if (!err)
		err = vhdx_find_regions(f, v);
	return err ? err : vhdx_read_metadata(f, v);
}

static int vhdx_open(struct foreign *f)
{
	struct vhdx *v = foreign_alloc(f, 1, sizeof(*v));
	int err;

	f->private = v;
	if (!v)
		return -ENOMEM;
	err = read_file(f, v);
	if (err)
		return err;
	guid_text(f->disk.id, v->header + 32, true);
	err = tell_facts(f, v);
	return err ? err : check_table(f, v);
}

/* Whether a block, of which so many bytes are used, may be at a place in the file. */
static int check_place(struct foreign *f, const struct vhdx *v, u64 host_offset, u64 bytes)
{
	if (host_offset >= VHDX_ALIGN && !vhdx_overlaps(&v->log, host_offset, bytes) &&
	    !vhdx_overlaps(&v->table, host_offset, bytes) &&
	    !vhdx_overlaps(&v->metadata, host_offset, bytes))
		return 0;
	return foreign_fail(f, "has a block in its metadata, at offset %llu",
			    (unsigned long long)host_offset);
}

/* Make a piece shorter if other sectors come from the other file. Sets whether to read this. */
static int find_sectors(struct foreign *f, struct vhdx *v, u64 guest_offset,
			struct foreign_piece *p, bool *here)
{
	u64 sector = guest_offset / f->disk.sector_size, block = guest_offset / v->block;
	u64 in_bitmap = sector % (v->block / f->disk.sector_size * (u64)v->ratio), entry, nr;
	const u8 *bits;
	size_t available;
	int err = vhdx_entry(f, v, vhdx_bitmap_index(v, block), &entry);

	if (err)
		return err;
	if (vhdx_entry_state(entry) != VHDX_FULL)
		return foreign_fail(f, "has no bitmap for its block %llu, which is partial",
				    (unsigned long long)block);
	err = check_place(f, v, vhdx_entry_host_offset(entry), VHDX_BITMAP_BYTES);
	if (err)
		return err;
	bits = vhdx_peek(f, v, &v->bitmap_window,
			 vhdx_entry_host_offset(entry) + in_bitmap / 8, 1, &available);
	if (!bits)
		return -EINVAL;
	nr = min(in_bitmap % 8 + p->length / f->disk.sector_size, 8ULL * available);
	*here = bit_at(bits, in_bitmap % 8, false);
	p->length = (u64)f->disk.sector_size * bits_run(bits, in_bitmap % 8, nr, false);
	return 0;
}

static int place_block(struct foreign *f, struct vhdx *v, u64 guest_offset, u64 entry,
		       struct foreign_piece *p)
{
	u32 skip = guest_offset % v->block;
	u64 host_offset = vhdx_entry_host_offset(entry), start = guest_offset - skip;
	u64 used = min((u64)v->block, f->disk.size - start);
	bool here = true;
	int err = check_place(f, v, host_offset, used);

	if (!foreign_visit(&v->visited, guest_offset / v->block, v->block, v->size))
		return foreign_fail(f, "its table has more blocks than the file has room for");
	if (!err && vhdx_entry_state(entry) == VHDX_PARTIAL)
		err = find_sectors(f, v, guest_offset, p, &here);
	if (err || !here)
		return err;
	p->kind = QCOW_MAP_DATA;
	p->host_offset = host_offset + skip;
	p->length = min(p->length, (u64)used - skip);
	return vhdx_place_data(f, v, p);
}

static int vhdx_find(struct foreign *f, u64 guest_offset, struct foreign_piece *p)
{
	struct vhdx *v = f->private;
	u64 block = guest_offset / v->block, entry;
	u32 state;
	int err = vhdx_entry(f, v, vhdx_block_index(v, block), &entry);

	if (err)
		return err;
	state = vhdx_entry_state(entry);
	p->length = v->block - guest_offset % v->block;
	p->kind = QCOW_MAP_HOLE;
	if (state == VHDX_FULL || (state == VHDX_PARTIAL && v->has_parent))
		return place_block(f, v, guest_offset, entry, p);
	if (state == VHDX_NONE)
		return 0;
	if (state > VHDX_UNMAPPED && state != VHDX_UNMAPPED_OLD)
		return foreign_fail(f, "has its block %llu in state %u",
				    (unsigned long long)block, state);
	p->kind = QCOW_MAP_ZERO;
	return 0;
}

const struct foreign_format foreign_vhdx = {
	.name = "vhdx",
	.title = "VHDX",
	.probe = vhdx_probe,
	.probe_backing = vhdx_probe,
	.open = vhdx_open,
	.find = vhdx_find,
	.check = vhdx_check,
};
