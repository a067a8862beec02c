// SPDX-License-Identifier: GPL-2.0
/* LZO1X. */
#include <linux/types.h>
#include <linux/lzo.h>

#include "file/comp.h"

/* Kernels may be built without it; map_codecs[] then has no such codec. */
#if IS_ENABLED(CONFIG_LZO_DECOMPRESS)

static int lzo_decompress(void *workspace, void *dst, size_t dst_len,
			  const void *src, size_t src_len)
{
	size_t len = dst_len;
	int ret = lzo1x_decompress_safe(src, src_len, dst, &len);

	/* Other bytes may follow the data. */
	return (ret == LZO_E_OK || ret == LZO_E_INPUT_NOT_CONSUMED) && len == dst_len ?
	       0 : -EIO;
}

const struct qcow_codec qcow_codec_lzo = {
	.decompress = lzo_decompress,
};

#endif /* CONFIG_LZO_DECOMPRESS */
