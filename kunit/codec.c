// SPDX-License-Identifier: GPL-2.0
/*
 * Compression, for images with compressed clusters.
 */
#include <linux/errno.h>
#include <linux/lz4.h>
#include <linux/lzo.h>
#include <linux/vmalloc.h>
#include <linux/zlib.h>
#include <linux/zstd.h>

#include "codec.h"

#define WINDOW_BITS	(-12)
#define MEM_LEVEL	8
#define ZSTD_LEVEL	1
#define MAX_CLUSTER	(2U << 20)

static void *deflate_workspace;
static void *lz4_workspace;
static void *lzo_workspace;
static void *zstd_workspace;
static size_t zstd_workspace_size;

size_t codec_deflate(void *dst, size_t dst_len, const void *src, size_t len)
{
	z_stream strm = {
		.workspace = deflate_workspace,
		.next_in = src,
		.avail_in = len,
		.next_out = dst,
		.avail_out = dst_len,
	};

	if (zlib_deflateInit2(&strm, Z_BEST_SPEED, Z_DEFLATED,
			      WINDOW_BITS, MEM_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK)
		return 0;
	if (zlib_deflate(&strm, Z_FINISH) != Z_STREAM_END)
		return 0;
	return strm.total_out;
}

size_t codec_lz4(void *dst, size_t dst_len, const void *src, size_t len)
{
	return LZ4_compress_default(src, dst, len, dst_len, lz4_workspace);
}

size_t codec_lzo(void *dst, size_t dst_len, const void *src, size_t len)
{
	size_t n = dst_len;

	if (dst_len < lzo1x_worst_compress(len) ||
	    lzo1x_1_compress(src, len, dst, &n, lzo_workspace) != LZO_E_OK)
		return 0;
	return n;
}

size_t codec_zstd(void *dst, size_t dst_len, const void *src, size_t len)
{
	zstd_parameters params = zstd_get_params(ZSTD_LEVEL, len);
	zstd_cctx *cctx = zstd_init_cctx(zstd_workspace, zstd_workspace_size);
	size_t n;

	if (!cctx)
		return 0;
	n = zstd_compress_cctx(cctx, dst, dst_len, src, len, &params);
	return zstd_is_error(n) ? 0 : n;
}

int codec_init(void)
{
	zstd_parameters params = zstd_get_params(ZSTD_LEVEL, MAX_CLUSTER);

	zstd_workspace_size = zstd_cctx_workspace_bound(&params.cParams);
	zstd_workspace = vzalloc(zstd_workspace_size);
	deflate_workspace = vzalloc(zlib_deflate_workspacesize(WINDOW_BITS,
							       MEM_LEVEL));
	lz4_workspace = vzalloc(LZ4_MEM_COMPRESS);
	lzo_workspace = vzalloc(LZO1X_MEM_COMPRESS);
	if (zstd_workspace && deflate_workspace && lz4_workspace && lzo_workspace)
		return 0;
	codec_exit();
	return -ENOMEM;
}

void codec_exit(void)
{
	vfree(deflate_workspace);
	vfree(lz4_workspace);
	vfree(lzo_workspace);
	vfree(zstd_workspace);
}
