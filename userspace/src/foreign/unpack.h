/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_UNPACK_H
#define _QCOWCTL_UNPACK_H

#include "foreign/lz.h"

/*
 * Bytes of a chunk, stored and decompressed, that unpack_chunk() is made for. Most time of the
 * fuzzer would go to large ones.
 */
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
#define UNPACK_PLAIN_MAX	SZ_1M
#define UNPACK_STORED_MAX	SZ_1M
#else
#define UNPACK_PLAIN_MAX	SZ_64M
#define UNPACK_STORED_MAX	SZ_128M
#endif

/**
 * enum unpack_codec - compression of a chunk that is decompressed here
 * @UNPACK_NONE: not compressed
 * @UNPACK_ZLIB: deflate in the format of RFC 1950
 * @UNPACK_BZIP2: one bzip2 stream
 * @UNPACK_XZ: one xz stream
 * @UNPACK_LZ4: an LZ4 block
 * @UNPACK_LZO: LZO1X
 * @UNPACK_ADC: Apple Data Compression
 * @UNPACK_LZFSE: LZFSE, with LZVN in it
 */
enum unpack_codec {
	UNPACK_NONE,
	UNPACK_ZLIB,
	UNPACK_BZIP2,
	UNPACK_XZ,
	UNPACK_LZ4,
	UNPACK_LZO,
	UNPACK_ADC,
	UNPACK_LZFSE,
};

int __must_check unpack_chunk(enum unpack_codec codec, struct unpack *u);

#endif /* _QCOWCTL_UNPACK_H */
