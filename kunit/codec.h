/* SPDX-License-Identifier: GPL-2.0 */
/* Compressors, for the builder and for suites: the driver itself only decompresses. */
#ifndef _QCOW_CODEC_H
#define _QCOW_CODEC_H

#include <linux/types.h>

/*
 * Compress as qemu-img does. Not to be called from two threads.
 * Return: bytes at @dst, or 0 if they do not fit.
 */
size_t codec_deflate(void *dst, size_t dst_len, const void *src, size_t len);
size_t codec_lz4(void *dst, size_t dst_len, const void *src, size_t len);
size_t codec_lzo(void *dst, size_t dst_len, const void *src, size_t len);
size_t codec_zstd(void *dst, size_t dst_len, const void *src, size_t len);

int codec_init(void);
void codec_exit(void);

#endif /* _QCOW_CODEC_H */
