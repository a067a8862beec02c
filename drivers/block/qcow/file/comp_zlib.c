// SPDX-License-Identifier: GPL-2.0
/*
 * Deflate: as compression type 0 of qcow2, raw with a window of 2^12 bytes; and as maps
 * have it, raw or with the header and the checksum of RFC 1950.
 */
#include <linux/zlib.h>

#include "file/comp.h"

/* log2 of the window's bytes; negative: no header and no checksum */
#define ZLIB_WINDOW_QCOW2	(-12)
#define ZLIB_WINDOW_DEFLATE	(-MAX_WBITS)
#define ZLIB_WINDOW_STREAM	MAX_WBITS

static size_t zlib_workspace_size(void)
{
	return zlib_inflate_workspacesize();
}

/* Return: that of zlib_inflate() for all of the output; Z_ERRNO if it is not full. */
static int zlib_fill(int window_bits, void *workspace, void *dst, size_t dst_len,
		     const void *src, size_t src_len)
{
	z_stream strm = {
		.workspace = workspace,
		.next_in = src,
		.avail_in = src_len,
		.next_out = dst,
		.avail_out = dst_len,
	};
	int ret;

	if (zlib_inflateInit2(&strm, window_bits) != Z_OK)
		return Z_ERRNO;
	ret = zlib_inflate(&strm, Z_FINISH);
	return strm.avail_out ? Z_ERRNO : ret;
}

static int zlib_decompress(void *workspace, void *dst, size_t dst_len,
			   const void *src, size_t src_len)
{
	int ret = zlib_fill(ZLIB_WINDOW_QCOW2, workspace, dst, dst_len, src, src_len);

	/* The stream may go on behind a full cluster. */
	return ret == Z_STREAM_END || ret == Z_BUF_ERROR || ret == Z_OK ? 0 : -EIO;
}

const struct qcow_codec qcow_codec_zlib = {
	.workspace_size = zlib_workspace_size,
	.decompress = zlib_decompress,
};

/* A chunk of a map is a whole stream, so that a checksum behind it is compared. */
static int zlib_chunk(int window_bits, void *workspace, void *dst, size_t dst_len,
		      const void *src, size_t src_len)
{
	int ret = zlib_fill(window_bits, workspace, dst, dst_len, src, src_len);

	return ret == Z_STREAM_END ? 0 : -EIO;
}

static int deflate_decompress(void *workspace, void *dst, size_t dst_len,
			      const void *src, size_t src_len)
{
	return zlib_chunk(ZLIB_WINDOW_DEFLATE, workspace, dst, dst_len, src, src_len);
}

const struct qcow_codec qcow_codec_deflate = {
	.workspace_size = zlib_workspace_size,
	.decompress = deflate_decompress,
};

static int zlib_stream_decompress(void *workspace, void *dst, size_t dst_len,
				  const void *src, size_t src_len)
{
	return zlib_chunk(ZLIB_WINDOW_STREAM, workspace, dst, dst_len, src, src_len);
}

const struct qcow_codec qcow_codec_zlib_stream = {
	.workspace_size = zlib_workspace_size,
	.decompress = zlib_stream_decompress,
};
