// SPDX-License-Identifier: GPL-2.0
/*
 * An xz stream. It is decompressed at once, so the output is the dictionary, and the memory
 * that a stream asks for does not matter.
 */
#include <linux/xz.h>

#include "file/comp.h"

/* Kernels may be built without it; map_codecs[] then has no such codec. */
#if IS_ENABLED(CONFIG_XZ_DEC)

static int xz_decompress(void *workspace, void *dst, size_t dst_len,
			 const void *src, size_t src_len)
{
	struct xz_buf buf = {
		.in = src,
		.in_size = src_len,
		.out = dst,
		.out_size = dst_len,
	};
	struct xz_dec *dec = xz_dec_init(XZ_SINGLE, 0);
	enum xz_ret ret;

	if (!dec)
		return -ENOMEM;
	ret = xz_dec_run(dec, &buf);
	xz_dec_end(dec);
	return ret == XZ_STREAM_END && buf.out_pos == dst_len ? 0 : -EIO;
}

const struct qcow_codec qcow_codec_xz = {
	.decompress = xz_decompress,
};

#endif /* CONFIG_XZ_DEC */
