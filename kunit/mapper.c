// SPDX-License-Identifier: GPL-2.0
/*
 * Maps with pieces of all kinds in several files, for the suites.
 */
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include <linux/zutil.h>

#include <uapi/linux/qcow.h>

#include "codec.h"
#include "comp_vectors.h"
#include "mapper.h"

/* --- Fixture --- */

static int map_make_files(struct map_fixture *x)
{
	u32 i;

	for (i = 0; i < MAP_FILES; i++) {
		x->m[i] = memfile_create();
		x->data[i] = vzalloc(MAP_FILE_BYTES);
		if (!x->m[i] || !x->data[i])
			return -ENOMEM;
	}
	x->table = memfile_create();
	x->backing = memfile_create();
	x->header = vzalloc(MAP_TABLE_MAX);
	x->below = vzalloc(MAP_DISK_MAX);
	x->expect = vzalloc(MAP_DISK_MAX);
	x->chunk = vzalloc(MAP_CHUNK);
	if (!x->table || !x->backing || !x->header || !x->below || !x->expect || !x->chunk)
		return -ENOMEM;
	x->entries = (void *)x->header + QCOW_MAP_HEADER_BYTES;
	return 0;
}

int map_test_init(struct kunit *test)
{
	int err = reader_fixture_init(test, sizeof(struct map_fixture));

	return err ?: map_make_files(test->priv);
}

void map_test_exit(struct kunit *test)
{
	struct map_fixture *x = test->priv;
	u32 i;

	reader_test_exit(test);
	if (!x)
		return;
	memfile_destroy(x->table);
	memfile_destroy(x->backing);
	for (i = 0; i < MAP_FILES; i++) {
		memfile_destroy(x->m[i]);
		vfree(x->data[i]);
	}
	vfree(x->header);
	vfree(x->below);
	vfree(x->expect);
	vfree(x->chunk);
}

/* --- Making a map --- */

/* Take room in a file, at any byte if @align is 1. Return: the host offset. */
static u32 map_room(struct map_fixture *x, u32 file, u32 bytes, u32 align,
		    struct rnd_state *rnd)
{
	u32 host_offset = round_up(x->used[file] + qtest_below(rnd, 700), align);

	x->used[file] = host_offset + bytes;
	return host_offset;
}

void map_add_data(struct map_fixture *x, struct qcow_map_entry *e, u32 len,
		  struct rnd_state *rnd)
{
	e->kind = QCOW_MAP_DATA;
	e->file = qtest_below(rnd, MAP_FILES);
	e->host = map_room(x, e->file, len, qtest_one_in(rnd, 3) ? 1 : 512, rnd);
	prandom_bytes_state(rnd, x->data[e->file] + e->host, len);
	memcpy(x->expect + e->start, x->data[e->file] + e->host, len);
}

/* Data that gets smaller, and a part that does not */
static void map_fill_chunk(struct map_fixture *x, u32 bytes, struct rnd_state *rnd)
{
	u32 random = qtest_below(rnd, bytes / 2);

	memset(x->chunk, qtest_below(rnd, 256), bytes);
	prandom_bytes_state(rnd, x->chunk, random);
}

/* RFC 1950: a header, raw deflate, and a checksum */
static size_t map_zlib(u8 *dst, size_t room, const u8 *src, size_t len)
{
	size_t n = codec_deflate(dst + 2, room - 6, src, len);
	u32 sum = zlib_adler32(zlib_adler32(0, NULL, 0), src, len);

	dst[0] = 0x78;
	dst[1] = 0x01;
	put_unaligned_be32(sum, dst + 2 + n);
	return n ? n + 6 : 0;
}

/* Compress @x->chunk to @dst. Return: bytes there. */
static size_t map_compress(const struct map_fixture *x, u8 codec, u8 *dst, size_t room,
			   u32 bytes)
{
	switch (codec) {
	case QCOW_MAP_ZLIB:
		return map_zlib(dst, room, x->chunk, bytes);
	case QCOW_MAP_DEFLATE:
		return codec_deflate(dst, room, x->chunk, bytes);
	case QCOW_MAP_LZ4:
		return codec_lz4(dst, room, x->chunk, bytes);
	case QCOW_MAP_LZO:
		return codec_lzo(dst, room, x->chunk, bytes);
	case QCOW_MAP_ZSTD:
		return codec_zstd(dst, room, x->chunk, bytes);
	}
	return 0;
}

/* There is no compressor of xz: its chunk is always the same. */
static size_t map_store_xz(struct map_fixture *x, u8 *dst)
{
	u32 i;

	for (i = 0; i < VECTOR_XZ_BYTES; i++)
		x->chunk[i] = vector_byte(i);
	memcpy(dst, vector_xz, sizeof(vector_xz));
	return sizeof(vector_xz);
}

void map_add_compressed(struct map_fixture *x, struct qcow_map_entry *e, u32 len, u8 codec,
			struct rnd_state *rnd)
{
	u32 bytes = len + 512 * qtest_below(rnd, (MAP_CHUNK - len) / 512 + 1), room;
	size_t n;

	e->kind = QCOW_MAP_COMPRESSED;
	e->codec = codec;
	e->file = qtest_below(rnd, MAP_FILES);
	if (e->codec == QCOW_MAP_XZ)
		bytes = max_t(u32, VECTOR_XZ_BYTES, len);
	if (bytes > VECTOR_XZ_BYTES && e->codec == QCOW_MAP_XZ)
		e->codec = QCOW_MAP_ZSTD;
	e->plain = bytes;
	e->skip = qtest_below(rnd, (bytes - len) / 512 + 1) * 512;
	e->host = map_room(x, e->file, 0, 1, rnd);
	room = 2 * bytes + 4096;
	if (e->codec == QCOW_MAP_XZ) {
		n = map_store_xz(x, x->data[e->file] + e->host);
	} else {
		map_fill_chunk(x, bytes, rnd);
		n = map_compress(x, e->codec, x->data[e->file] + e->host, room, bytes);
	}
	/* The end may be unknown. */
	e->stored = n;
	if (e->codec != QCOW_MAP_LZ4 && qtest_one_in(rnd, 2))
		e->stored += qtest_below(rnd, 600);
	x->used[e->file] = e->host + n;
	memcpy(x->expect + e->start, x->chunk + e->skip, len);
}

/* Return: bytes of the piece that begins at @start. */
static u32 map_add_piece(struct map_fixture *x, struct qcow_map_entry *e, u32 start,
			 bool holes, struct rnd_state *rnd)
{
	u32 most = min_t(u32, x->header->disk_size - start, MAP_CHUNK) / 512;
	u32 len = 512 * (1 + qtest_below(rnd, qtest_one_in(rnd, 3) ? most : min(most, 6U)));

	memset(e, 0, sizeof(*e));
	e->start = start;
	switch (qtest_below(rnd, holes ? 4 : 3)) {
	case 0:
		e->kind = QCOW_MAP_ZERO;
		memset(x->expect + start, 0, len);
		break;
	case 1:
		map_add_data(x, e, len, rnd);
		break;
	case 2:
		map_add_compressed(x, e, len, 1 + qtest_below(rnd, QCOW_MAP_ZSTD), rnd);
		break;
	default:
		e->kind = QCOW_MAP_HOLE;
		memcpy(x->expect + start, x->below + start, len);
	}
	return len;
}

static bool map_has_room(const struct map_fixture *x)
{
	u32 i;

	for (i = 0; i < MAP_FILES; i++)
		if (x->used[i] > MAP_FILE_BYTES - 3 * MAP_CHUNK - 8192)
			return false;
	return true;
}

void map_make_header(struct map_fixture *x, bool holes)
{
	struct qcow_map_header *h = x->header;

	memset(x->header, 0, MAP_TABLE_MAX);
	memcpy(h->magic, QCOW_MAP_MAGIC, sizeof(h->magic));
	h->version = QCOW_MAP_VERSION;
	h->flags = holes ? QCOW_MAP_HAS_HOLES : 0;
	h->nr_files = MAP_FILES;
	h->sector_size = 512;
	h->chunk_max = MAP_CHUNK;
	strscpy(h->format, "test-1", sizeof(h->format));
}

void map_set_data(struct map_fixture *x)
{
	u32 i;

	for (i = 0; i < MAP_FILES; i++)
		memfile_set_data(x->m[i], x->data[i], x->used[i], x->used[i]);
	memfile_set_data(x->table, x->header, MAP_TABLE_MAX, MAP_TABLE_MAX);
	memfile_set_data(x->backing, x->below, MAP_DISK_MAX, MAP_DISK_MAX);
}

/* Fill the disk with pieces of all kinds. */
void map_make(struct map_fixture *x, bool holes, struct rnd_state *rnd)
{
	struct qcow_map_header *h = x->header;
	u32 start = 0;

	map_make_header(x, holes);
	h->disk_size = 512 * (1 + qtest_below(rnd, MAP_DISK_MAX / 512));
	memset(x->used, 0, sizeof(x->used));
	prandom_bytes_state(rnd, x->below, MAP_DISK_MAX);
	while (start < h->disk_size && map_has_room(x))
		start += map_add_piece(x, &x->entries[h->nr_entries++], start, holes, rnd);
	h->disk_size = start;
	x->nr_entries = h->nr_entries;
	map_set_data(x);
}

void map_set_modes(struct map_fixture *x, struct rnd_state *rnd)
{
	static const struct memfile_mode modes[] = {
		{ }, { .nowait = true }, { .nowait = true, .async = true },
		{ .nowait = true, .direct = true, .dio_align = 512 },
		{ .direct = true, .dio_align = 4096, .async = true },
		{ .nowait = true, .eagain = 2 },
	};
	u32 i;

	for (i = 0; i < MAP_FILES; i++)
		memfile_set_mode(x->m[i], &modes[qtest_below(rnd, ARRAY_SIZE(modes))]);
	memfile_set_mode(x->backing, &modes[qtest_below(rnd, ARRAY_SIZE(modes))]);
	memfile_set_mode(x->table, &modes[0]);
}

struct qcow_image *map_open(struct map_fixture *x)
{
	bool holes = x->header->flags & QCOW_MAP_HAS_HOLES;
	u32 failed, i;

	x->base.msg.text[0] = 0;
	for (i = 1; i < MAP_FILES; i++)
		x->files[i - 1] = x->m[i]->file;
	x->source[0] = (struct qcow_source) {
		.format = QCOW_FORMAT_MAP,
		.file = x->m[0]->file,
		.table = x->table->file,
		.files = x->files,
		.nr_files = MAP_FILES - 1,
	};
	x->source[1] = (struct qcow_source) {
		.format = QCOW_FORMAT_RAW,
		.file = x->backing->file,
	};
	return qcow_image_open_chain(x->source, 1 + holes, &x->base.r->params,
				     &x->base.msg, &failed);
}

bool map_close(struct map_fixture *x, struct qcow_image *img)
{
	u32 i;

	qcow_image_close_chain(img);
	for (i = 0; i < MAP_FILES; i++)
		if (!memfile_idle(x->m[i]))
			return false;
	return memfile_idle(x->table) && memfile_idle(x->backing);
}
