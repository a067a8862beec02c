// SPDX-License-Identifier: GPL-2.0
/*
 * Compression type 0: raw deflate with a window of 2^12 bytes.
 */
#include <linux/zlib.h>

#include "file/comp.h"

#define ZLIB_WINDOW_BITS	(-12) /* negative: no zlib header */

static size_t zlib_workspace_size(void)
{
	return zlib_inflate_workspacesize();
}

static int zlib_decompress(void *workspace, void *dst, size_t dst_len,
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

	if (zlib_inflateInit2(&strm, ZLIB_WINDOW_BITS) != Z_OK)
		return -EIO;
	ret = zlib_inflate(&strm, Z_FINISH);
	/* The stream may go on behind a full cluster. */
	if ((ret == Z_STREAM_END || ret == Z_BUF_ERROR || ret == Z_OK) &&
	    !strm.avail_out)
		return 0;
	return -EIO;
}

const struct qcow_codec qcow_codec_zlib = {
	.workspace_size = zlib_workspace_size,
	.decompress = zlib_decompress,
};
