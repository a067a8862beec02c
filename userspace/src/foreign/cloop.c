// SPDX-License-Identifier: GPL-2.0
/*
 * cloop, the compressed images of Knoppix and other live systems: a shell script, an index with
 * the host offset of each block, and blocks. Numbers are big-endian.
 *
 * cloop-utils write version 2.0, and QEMU reads it. Nothing on Debian writes version 4.0: that is
 * from the comment in the header and from the code of cloop's driver. That driver says of older
 * images that their offsets have 32 bits: all of version 1.0 here is from that word.
 */
#include "foreign/bytes.h"
#include "foreign/expand.h"
#include "foreign/formats.h"

#define CLOOP_PREAMBLE_BYTES	128
#define CLOOP_HEADER_BYTES	136
#define CLOOP_VERSION_AT	11
#define CLOOP_VERSION_BYTES	4

#define CLOOP_BLOCK_MAX		SZ_64M
#define CLOOP_STORED_MAX	SZ_128M

/* Version 4: the top bits of an offset are the codec. */
#define CLOOP_CODEC_SHIFT	60
#define CLOOP_OFFSET_MASK	GENMASK_ULL(59, 0)
#define CLOOP_NR_CODECS		5

/* Place of a block that is not in the file of decompressed ones */
#define NOT_EXPANDED		(EXPAND_ZERO - 1)

/**
 * struct cloop - the numbers that find blocks
 * @version: 1, 2 or 4
 * @block: bytes of a block of the disk
 * @nr_blocks: of the disk
 * @index_host_offset: of the index
 * @index: the part of the index that is in memory
 * @expand: for blocks that the driver cannot decompress
 * @expanded: place of each block in the file of @expand, or NOT_EXPANDED; NULL: there is none
 */
struct cloop {
	u32 version;
	u32 block;
	u32 nr_blocks;
	u64 index_host_offset;
	struct foreign_window index;
	struct expand expand;
	u64 *expanded;
};

static const struct cloop_codec {
	const char *name;
	enum unpack_codec unpack;
	u8 map;
} codecs[CLOOP_NR_CODECS] = {
	{ "zlib", UNPACK_ZLIB, QCOW_MAP_ZLIB },
	{ "none", UNPACK_NONE, QCOW_MAP_NONE },
	{ "xz", UNPACK_XZ, QCOW_MAP_XZ },
	{ "lz4", UNPACK_LZ4, QCOW_MAP_LZ4 },
	{ "lzo", UNPACK_LZO, QCOW_MAP_LZO },
};

/* QEMU knows all of the script of version 2; the end of that of version 4 is not fixed. */
/* The whole preamble, as in QEMU */
static const char v2[] = "#!/bin/sh\n#V2.0 Format\n"
	"modprobe cloop file=$0 && mount -r -t iso9660 /dev/cloop $1\n";

/* QEMU knows an image of version 2.0 by its start alone. */
static bool cloop_probe_backing(const struct foreign_sample *s)
{
	return !memcmp(s->start, v2, strlen(v2));
}

static bool cloop_probe(const struct foreign_sample *s)
{
	static const char v4[] = "#!/bin/sh\n#V4.0 Format\n";
	const u8 *last = s->footer + FOREIGN_FOOTER_BYTES - CLOOP_HEADER_BYTES;

	return cloop_probe_backing(s) || !memcmp(s->start, v4, strlen(v4)) ||
	       !memcmp(last, v4, strlen(v4)) || !memcmp(last, v2, strlen(v2));
}

/* The version that a header tells; 0: none that is known */
static u32 cloop_version(const u8 *header)
{
	const char *text = (const char *)header + CLOOP_VERSION_AT;

	if (text[0] != 'V' || memcmp(text + 2, ".0", 2))
		return 0;
	return text[1] == '1' ? 1 : text[1] == '2' ? 2 : text[1] == '4' ? 4 : 0;
}

static u32 entry_bytes(const struct cloop *c)
{
	return c->version == 1 ? 4 : 8;
}

/* Bytes of the index: it ends with the end of the last block. */
static u64 index_bytes(const struct cloop *c)
{
	return ((u64)c->nr_blocks + 1) * entry_bytes(c);
}

static int refuse_version(struct foreign *f, const u8 *header)
{
	char text[CLOOP_VERSION_BYTES + 1] = "";
	u32 i;

	for (i = 0; i < CLOOP_VERSION_BYTES; i++)
		text[i] = header[CLOOP_VERSION_AT + i];
	for (i = 0; i < CLOOP_VERSION_BYTES; i++)
		if (text[i] < ' ' || text[i] > '~')
			return foreign_fail(f, "has no header of cloop");
	return foreign_unsupported(f, "is a compressed image of version '%s', and not of V1.0, V2.0 or V4.0, which can be read; extract it with a program that knows it",
				   text);
}


static int check_header(struct foreign *f, const struct cloop *c)
{
	if (!c->block || c->block % SZ_512 || c->block > CLOOP_BLOCK_MAX)
		return foreign_fail(f, "its header has blocks of %u bytes", c->block);
	if (!c->nr_blocks)
		return foreign_fail(f, "its header has no blocks");
	if (foreign_size(f, 0) < CLOOP_HEADER_BYTES + index_bytes(c))
		return foreign_fail(f, "its header has %u blocks, but it ends at byte %llu",
				    c->nr_blocks, (unsigned long long)foreign_size(f, 0));
	return 0;
}

/* Whether a header is there; it sets the numbers of @c then. */
static int read_header(struct foreign *f, struct cloop *c, u64 host_offset)
{
	const u8 *h = foreign_peek(f, &c->index, 0, host_offset, CLOOP_HEADER_BYTES, NULL);

	if (!h)
		return -EINVAL;
	c->version = cloop_version(h);
	c->block = get_be32(h + CLOOP_PREAMBLE_BYTES);
	c->nr_blocks = get_be32(h + CLOOP_PREAMBLE_BYTES + 4);
	return 0;
}

/* The header is at the start, or behind all else, where the index is before it. */
static int find_header(struct foreign *f, struct cloop *c)
{
	u64 size = foreign_size(f, 0);
	int err = read_header(f, c, 0);

	c->index_host_offset = CLOOP_HEADER_BYTES;
	if (!err && !c->version) {
		err = read_header(f, c, size - CLOOP_HEADER_BYTES);
		c->index_host_offset = size - CLOOP_HEADER_BYTES - index_bytes(c);
	}
	if (!err && !c->version) {
		const u8 *h = foreign_peek(f, &c->index, 0, 0, CLOOP_HEADER_BYTES, NULL);

		return h ? refuse_version(f, h) : -EINVAL;
	}
	return err ? err : check_header(f, c);
}

static int fail_block(struct foreign *f, u64 number, const struct expand_chunk *chunk)
{
	return foreign_fail(f, "has block %llu of %llu bytes stored in %llu bytes at offset %llu",
			    (unsigned long long)number, (unsigned long long)chunk->plain,
			    (unsigned long long)chunk->stored,
			    (unsigned long long)chunk->host_offset);
}

/* Some writers of version 2.0 store a block of zeros in no bytes. */
static int check_block(struct foreign *f, const struct cloop *c, u64 number,
		       const struct expand_chunk *chunk)
{
	u64 most = c->block > QCOW_MAP_CHUNK_MAX ? CLOOP_STORED_MAX : QCOW_MAP_STORED_MAX;

	if (chunk->stored > most)
		return fail_block(f, number, chunk);
	if (chunk->codec == UNPACK_NONE && chunk->stored != c->block &&
	    (number + 1 < c->nr_blocks || chunk->stored % SZ_512 || chunk->stored > c->block))
		return fail_block(f, number, chunk);
	return 0;
}

/* Where a block is stored; @codec is set to its line of codecs[]. */
static int read_block(struct foreign *f, struct cloop *c, u64 number,
		      struct expand_chunk *chunk, u32 *codec)
{
	u32 bytes = entry_bytes(c);
	const u8 *e = foreign_peek(f, &c->index, 0, c->index_host_offset + number * bytes,
				   2 * bytes, NULL);
	u64 start, end;

	if (!e)
		return -EINVAL;
	start = c->version == 1 ? get_be32(e) : get_be64(e);
	end = c->version == 1 ? get_be32(e + bytes) : get_be64(e + bytes);
	*codec = 0;
	if (c->version == 4) {
		*codec = start >> CLOOP_CODEC_SHIFT;
		start &= CLOOP_OFFSET_MASK;
		end &= CLOOP_OFFSET_MASK;
	}
	if (*codec >= CLOOP_NR_CODECS)
		return foreign_unsupported(f, "has blocks of compression %u, which is not known; extract it with a program that knows it",
					   *codec);
	if (end < start)
		return foreign_fail(f, "has block %llu from offset %llu to %llu",
				    (unsigned long long)number, (unsigned long long)start,
				    (unsigned long long)end);
	*chunk = (struct expand_chunk) { start, end - start, c->block, codecs[*codec].unpack };
	return check_block(f, c, number, chunk);
}

/* Return: 1 if the driver cannot decompress a block, 0 if it can, or a negative errno. */
static int needs_expansion(struct foreign *f, const struct expand_chunk *chunk)
{
	u8 start[16];
	int err;

	if (!chunk->stored || chunk->codec == UNPACK_NONE)
		return 0;
	if (chunk->plain > QCOW_MAP_CHUNK_MAX)
		return 1;
	if (chunk->codec != UNPACK_XZ)
		return 0;
	if (chunk->stored < sizeof(start))
		return 1;
	err = foreign_read(f, 0, start, sizeof(start), chunk->host_offset);
	return err ? err : !expand_driver_reads_xz(start, sizeof(start));
}

static int expand_block(struct foreign *f, struct cloop *c, u32 number)
{
	struct expand_chunk chunk;
	u32 codec;
	int err = read_block(f, c, number, &chunk, &codec);

	c->expanded[number] = NOT_EXPANDED;
	if (!err)
		err = needs_expansion(f, &chunk);
	if (err <= 0)
		return err;
	err = c->expand.file ? 0 : foreign_scratch(f, &c->expand.file);
	return err ? err : expand_to_file(f, &c->expand, &chunk, &c->expanded[number]);
}

/* Decompresses the blocks that the driver cannot decompress. */
static int expand_blocks(struct foreign *f, struct cloop *c)
{
	u32 number;
	int err;

	c->expand.bytes_all = f->disk.size;
	c->expanded = foreign_alloc(f, c->nr_blocks, sizeof(*c->expanded));
	err = c->expanded ? 0 : -ENOMEM;
	for (number = 0; number < c->nr_blocks && !err; number++)
		err = expand_block(f, c, number);
	expand_free(&c->expand);
	return err;
}

static int cloop_open(struct foreign *f)
{
	struct cloop *c = foreign_alloc(f, 1, sizeof(*c));
	int err;

	if (!c)
		return -ENOMEM;
	f->private = c;
	err = find_header(f, c);
	if (err)
		return err;
	f->disk.size = (u64)c->block * c->nr_blocks;
	f->disk.cluster_size = c->block;
	foreign_tell_number(f, "version", c->version);
	foreign_tell_number(f, "blocks", c->nr_blocks);
	if ((c->block > QCOW_MAP_CHUNK_MAX || c->version == 4) && !f->how.facts_only)
		return expand_blocks(f, c);
	return 0;
}

/* The last block may be stored without the zeros at its end. */
static void find_stored(const struct expand_chunk *chunk, u64 skip, struct foreign_piece *p)
{
	p->kind = skip < chunk->stored ? QCOW_MAP_DATA : QCOW_MAP_ZERO;
	p->host_offset = chunk->host_offset + skip;
	if (skip < chunk->stored)
		p->length = chunk->stored - skip;
}

static void find_expanded(const struct cloop *c, u64 number, u64 skip,
			  struct foreign_piece *p)
{
	p->kind = c->expanded[number] == EXPAND_ZERO ? QCOW_MAP_ZERO : QCOW_MAP_DATA;
	p->host_offset = c->expanded[number] + skip;
	p->file = c->expand.file;
}

static int cloop_find(struct foreign *f, u64 guest_offset, struct foreign_piece *p)
{
	struct cloop *c = f->private;
	u64 number = guest_offset / c->block, skip = guest_offset % c->block;
	struct expand_chunk chunk;
	u32 codec;
	int err = read_block(f, c, number, &chunk, &codec);

	if (err)
		return err;
	p->length = c->block - skip;
	if (chunk.codec == UNPACK_NONE || !chunk.stored) {
		find_stored(&chunk, skip, p);
	} else if (c->expanded && c->expanded[number] != NOT_EXPANDED) {
		find_expanded(c, number, skip, p);
	} else {
		p->kind = QCOW_MAP_COMPRESSED;
		p->host_offset = chunk.host_offset;
		p->stored = chunk.stored;
		p->plain = c->block;
		p->skip = skip;
		p->codec = codecs[codec].map;
	}
	return 0;
}

/* Whether a block lies in the header or in the index */
static bool in_metadata(const struct cloop *c, const struct expand_chunk *chunk)
{
	u64 end = c->index_host_offset + index_bytes(c);

	if (c->index_host_offset == CLOOP_HEADER_BYTES)
		return chunk->host_offset < end;
	return chunk->host_offset + chunk->stored > c->index_host_offset;
}

/* Decompresses all blocks, which compares their checksums, and keeps nothing. */
static int cloop_check(struct foreign *f)
{
	struct cloop *c = f->private;
	struct expand_chunk chunk;
	u32 number, codec;
	int err = 0;

	for (number = 0; number < c->nr_blocks && !err; number++) {
		err = read_block(f, c, number, &chunk, &codec);
		if (err || !chunk.stored)
			continue;
		if (in_metadata(c, &chunk))
			foreign_fault(f, "block %u is in the header or in the index", number);
		if (chunk.codec != UNPACK_NONE)
			err = expand_check(f, &c->expand, &chunk);
	}
	expand_free(&c->expand);
	return err;
}

const struct foreign_format foreign_cloop = {
	.name = "cloop",
	.title = "cloop",
	.probe = cloop_probe,
	.probe_backing = cloop_probe_backing,
	.open = cloop_open,
	.find = cloop_find,
	.check = cloop_check,
};
