/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The compression types: their numbers in the header, and their names as qemu-img spells
 * them. This is the only list of them. Header parsing, qcowctl info and qcowctl create take
 * the names from it, and comp.c the codecs: file/comp_NAME.c defines qcow_codec_NAME.
 *
 * A file defines QCOW_COMPRESSION() and includes this one, as often as it needs to: hence
 * no guard.
 */
QCOW_COMPRESSION(0, zlib)
QCOW_COMPRESSION(1, zstd)

#undef QCOW_COMPRESSION
