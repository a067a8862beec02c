// SPDX-License-Identifier: GPL-2.0
/* An LZ4 block. */
#include <linux/lz4.h>

#include "file/comp.h"

/* Kernels may be built without it; map_codecs[] then has no such codec. */
#if IS_ENABLED(CONFIG_LZ4_DECOMPRESS)

static int lz4_decompress(void *workspace, void *dst, size_t dst_len,
			  const void *src, size_t src_len)
{
	return LZ4_decompress_safe(src, dst, src_len, dst_len) == dst_len ? 0 : -EIO;
}

const struct qcow_codec qcow_codec_lz4 = {
	.decompress = lz4_decompress,
};

#endif /* CONFIG_LZ4_DECOMPRESS */
