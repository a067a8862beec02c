// SPDX-License-Identifier: GPL-2.0
/*
 * The block tables of a dmg: a header, and runs of sectors with their kind and place.
 */
#include "foreign/bytes.h"
#include "foreign/dmg.h"

#define TABLE_MAGIC		0x6d697368	/* "mish" */

/* Types of runs that are not compressed, and of entries that are no runs */
#define TYPE_ZERO		0
#define TYPE_RAW		1
#define TYPE_IGNORED		2
#define TYPE_COMMENT		0x7ffffffe
#define TYPE_END		0xffffffff

/* Bytes of a compressed chunk, at most, stored and decompressed */
#define CHUNK_MAX		SZ_64M

const struct dmg_codec dmg_codecs[DMG_EXPANDED] = {
	[DMG_ADC] = { "ADC", UNPACK_ADC, QCOW_MAP_NONE },
	[DMG_ZLIB] = { "zlib", UNPACK_ZLIB, QCOW_MAP_ZLIB },
	[DMG_BZIP2] = { "bzip2", UNPACK_BZIP2, QCOW_MAP_NONE },
	[DMG_LZFSE] = { "LZFSE", UNPACK_LZFSE, QCOW_MAP_NONE },
	[DMG_XZ] = { "xz", UNPACK_XZ, QCOW_MAP_XZ },
};

static int run_kind(u32 type)
{
	switch (type) {
	case TYPE_ZERO:
		return DMG_ZERO;
	case TYPE_IGNORED:
		return DMG_IGNORED;
	case TYPE_RAW:
		return DMG_RAW;
	case 0x80000004:
		return DMG_ADC;
	case 0x80000005:
		return DMG_ZLIB;
	case 0x80000006:
		return DMG_BZIP2;
	case 0x80000007:
		return DMG_LZFSE;
	case 0x80000008:
		return DMG_XZ;
	default:
		return -EOPNOTSUPP;
	}
}

static int fail_run(struct dmg_tables *t, const struct dmg_run *r, u64 stored)
{
	return foreign_fail(t->f, "has a run of %llu sectors at sector %llu with %llu bytes at offset %llu",
			    (unsigned long long)r->sectors, (unsigned long long)r->sector,
			    (unsigned long long)stored, (unsigned long long)r->host_offset);
}

static int check_run(struct dmg_tables *t, const struct dmg_run *r, u64 stored)
{
	u64 sectors = t->trailer->sectors;

	if (r->sector > sectors || r->sectors > sectors - r->sector)
		return foreign_fail(t->f, "has a run of %llu sectors at sector %llu, past the disk's end at %llu",
				    (unsigned long long)r->sectors,
				    (unsigned long long)r->sector, (unsigned long long)sectors);
	if (r->kind == DMG_ZERO || r->kind == DMG_IGNORED)
		return 0;
	if (r->kind == DMG_RAW)
		return stored / SZ_512 < r->sectors ? fail_run(t, r, stored) : 0;
	if (!stored || stored > CHUNK_MAX || r->sectors > CHUNK_MAX / SZ_512)
		return fail_run(t, r, stored);
	return 0;
}

/* Offsets count from the table's start, and that from the data fork's. */
static bool set_place(struct dmg_tables *t, struct dmg_run *r, u64 sector, u64 in_table)
{
	return !check_add_overflow(t->first_sector, sector, &r->sector) &&
	       !check_add_overflow(t->trailer->data_host_offset, t->data_offset,
				   &r->host_offset) &&
	       !check_add_overflow(r->host_offset, in_table, &r->host_offset);
}

static int read_run(struct dmg_tables *t, const u8 *e)
{
	u32 type = get_be32(e);
	u64 stored = get_be64(e + 32);
	struct dmg_run r = { .sectors = get_be64(e + 16) };
	int kind = run_kind(type), err;

	if (type == TYPE_COMMENT || type == TYPE_END)
		return 0;
	if (kind < 0)
		return foreign_unsupported(t->f, "has runs of type 0x%x, which is not known; convert it with hdiutil convert -format UDZO on macOS",
					   type);
	r.kind = kind;
	if (!set_place(t, &r, get_be64(e + 8), get_be64(e + 24)))
		return foreign_fail(t->f, "has a run past the end of all numbers");
	if (!r.sectors)
		return 0;
	err = check_run(t, &r, stored);
	r.stored = kind == DMG_RAW ? 0 : stored;
	return err ? err : t->run(t->arg, &r);
}

static int start_table(struct dmg_tables *t, const u8 *h)
{
	t->started = true;
	if (get_be32(h + 4) != 1)
		return foreign_unsupported(t->f, "has a block table of version %u, which is not known; convert it with hdiutil convert -format UDZO on macOS",
					   get_be32(h + 4));
	t->first_sector = get_be64(h + 8);
	t->data_offset = get_be64(h + 24);
	t->has_crc = get_be32(h + 64) == DMG_CRC32 && get_be32(h + 68) == 32;
	t->crc = get_be32(h + 72);
	t->runs_left = get_be32(h + 200);
	return 0;
}

/* A table's header or run is complete. */
static int take_bytes(struct dmg_tables *t)
{
	if (!t->started)
		return start_table(t, t->bytes);
	if (!t->runs_left)
		return foreign_fail(t->f, "has a block table that is longer than its runs");
	t->runs_left--;
	return read_run(t, t->bytes);
}

/**
 * dmg_table_bytes() - take the next bytes of a block table
 * @t: the tables
 * @bytes: the bytes
 * @len: how many
 *
 * A resource that does not begin as a block table does is skipped.
 *
 * Return: 0, or a negative errno with a message.
 */
int dmg_table_bytes(struct dmg_tables *t, const u8 *bytes, size_t len)
{
	int err = 0;

	while (len && !err && !t->skipped) {
		u32 want = t->started ? DMG_RUN_BYTES : DMG_TABLE_BYTES;
		size_t part = min(len, (size_t)(want - t->have));

		memcpy(t->bytes + t->have, bytes, part);
		t->have += part;
		bytes += part;
		len -= part;
		if (!t->started && t->have >= 4)
			t->skipped = get_be32(t->bytes) != TABLE_MAGIC;
		if (t->have < want || t->skipped)
			continue;
		t->have = 0;
		err = take_bytes(t);
	}
	return err;
}

/**
 * dmg_table_end() - end a block table
 * @t: the tables
 *
 * Return: 0, or a negative errno with a message.
 */
int dmg_table_end(struct dmg_tables *t)
{
	bool complete = t->skipped || (t->started && !t->have && !t->runs_left);
	bool table = t->started;

	t->have = 0;
	t->started = false;
	t->skipped = false;
	if (!complete)
		return foreign_fail(t->f, "has a block table that is shorter than its runs");
	return table && t->end ? t->end(t->arg, t->has_crc, t->crc) : 0;
}

/**
 * dmg_chunk() - the chunk of a compressed run
 * @r: the run
 * @c: set to the chunk
 */
void dmg_chunk(const struct dmg_run *r, struct expand_chunk *c)
{
	*c = (struct expand_chunk) {
		.host_offset = r->host_offset,
		.stored = r->stored,
		.plain = r->sectors * SZ_512,
		.codec = dmg_codecs[r->kind].unpack,
	};
}
