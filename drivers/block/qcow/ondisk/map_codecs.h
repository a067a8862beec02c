/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The codecs of maps: their numbers QCOW_MAP_* in the table, their names, the decompressor,
 * and whether the kernel has it. This is the only list of them. map_table.c takes the names
 * from it, comp.h and fmt_map.c the decompressors.
 *
 * A file defines QCOW_MAP_CODEC() and includes this one, as often as it needs to: hence no
 * guard.
 */
QCOW_MAP_CODEC(ZLIB, zlib, qcow_codec_zlib_stream, 1)
QCOW_MAP_CODEC(DEFLATE, deflate, qcow_codec_deflate, 1)
QCOW_MAP_CODEC(XZ, xz, qcow_codec_xz, IS_ENABLED(CONFIG_XZ_DEC))
QCOW_MAP_CODEC(LZ4, lz4, qcow_codec_lz4, IS_ENABLED(CONFIG_LZ4_DECOMPRESS))
QCOW_MAP_CODEC(LZO, lzo, qcow_codec_lzo, IS_ENABLED(CONFIG_LZO_DECOMPRESS))
QCOW_MAP_CODEC(ZSTD, zstd, qcow_codec_zstd, 1)

#undef QCOW_MAP_CODEC
