// SPDX-License-Identifier: GPL-2.0
/*
 * Decompression of the chunks that the driver cannot decompress, or that are too large for
 * it. The stored bytes are an attacker's; the libraries here only compute.
 */
#include <bzlib.h>
#include <lzma.h>
#include <zlib.h>

#include "foreign/lzfse.h"
#include "foreign/unpack.h"

/* Memory of xz, which takes a bit more than the largest dictionary of a chunk. */
#define XZ_MEMORY_MAX		SZ_128M

static int unpack_none(struct unpack *u)
{
	return unpack_literals(u, min(unpack_in_left(u), unpack_out_left(u))) ? 0 : -EINVAL;
}

static int unpack_zlib(struct unpack *u)
{
	z_stream strm = {
		.next_in = (void *)u->in,
		.avail_in = unpack_in_left(u),
		.next_out = u->out,
		.avail_out = unpack_out_left(u),
	};
	int ret;

	if (inflateInit(&strm) != Z_OK)
		return -ENOMEM;
	ret = inflate(&strm, Z_FINISH);
	u->in = strm.next_in;
	u->out = strm.next_out;
	inflateEnd(&strm);
	return ret == Z_STREAM_END ? 0 : -EINVAL;
}

static int unpack_bzip2(struct unpack *u)
{
	bz_stream strm = {
		.next_in = (void *)u->in,
		.avail_in = unpack_in_left(u),
		.next_out = (void *)u->out,
		.avail_out = unpack_out_left(u),
	};
	int ret;

	if (BZ2_bzDecompressInit(&strm, 0, 0) != BZ_OK)
		return -ENOMEM;
	ret = BZ2_bzDecompress(&strm);
	/* The end of the stream may lie behind the last byte of the output. */
	if (ret == BZ_OK && strm.avail_in)
		ret = BZ2_bzDecompress(&strm);
	u->in = (void *)strm.next_in;
	u->out = (void *)strm.next_out;
	BZ2_bzDecompressEnd(&strm);
	return ret == BZ_STREAM_END ? 0 : -EINVAL;
}

static int unpack_xz(struct unpack *u)
{
	size_t in_done = 0, out_done = 0;
	uint64_t memory = XZ_MEMORY_MAX;
	lzma_ret ret;

	ret = lzma_stream_buffer_decode(&memory, 0, NULL, u->in, &in_done, unpack_in_left(u),
					u->out, &out_done, unpack_out_left(u));
	u->in += in_done;
	u->out += out_done;
	return ret == LZMA_OK ? 0 : ret == LZMA_MEM_ERROR ? -ENOMEM : -EINVAL;
}

/**
 * unpack_chunk() - decompress a chunk
 * @codec: its compression
 * @u: the chunk, with at most UNPACK_STORED_MAX and UNPACK_PLAIN_MAX bytes; its @out is moved
 *	to the end of the decompressed bytes. Stored bytes may follow
 *
 * Return: 0, -EINVAL if the chunk is damaged or longer than the memory for it, or -ENOMEM.
 */
int unpack_chunk(enum unpack_codec codec, struct unpack *u)
{
	static int (*const functions[])(struct unpack *u) = {
		[UNPACK_NONE] = unpack_none,
		[UNPACK_ZLIB] = unpack_zlib,
		[UNPACK_BZIP2] = unpack_bzip2,
		[UNPACK_XZ] = unpack_xz,
		[UNPACK_LZ4] = unpack_lz4,
		[UNPACK_LZO] = unpack_lzo,
		[UNPACK_ADC] = unpack_adc,
		[UNPACK_LZFSE] = unpack_lzfse,
	};

	return functions[codec](u);
}
