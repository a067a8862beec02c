// SPDX-License-Identifier: GPL-2.0
/*
 * Compression type 1: one or more zstd frames.
 *
 * Each frame is decompressed at once into its place in the cluster, so no window has to
 * be kept, and the workspace is small for any window that a frame names.
 */
#include <linux/zstd.h>

#include "file/comp.h"

static size_t zstd_workspace_size(void)
{
	return zstd_dctx_workspace_bound();
}

static int zstd_decompress(void *workspace, void *dst, size_t dst_len,
			   const void *src, size_t src_len)
{
	zstd_dctx *dctx = zstd_init_dctx(workspace, zstd_workspace_size());
	size_t in, out;

	if (!dctx)
		return -EIO;
	while (dst_len) {
		in = zstd_find_frame_compressed_size(src, src_len);
		/* A frame is never empty: the loop ends. */
		if (zstd_is_error(in) || !in)
			return -EIO;
		out = zstd_decompress_dctx(dctx, dst, dst_len, src, in);
		if (zstd_is_error(out))
			return -EIO;
		src += in;
		src_len -= in;
		dst += out;
		dst_len -= out;
	}
	return 0;
}

const struct qcow_codec qcow_codec_zstd = {
	.workspace_size = zstd_workspace_size,
	.decompress = zstd_decompress,
};
