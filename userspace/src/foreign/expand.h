/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_EXPAND_H
#define _QCOWCTL_EXPAND_H

#include "foreign/foreign.h"
#include "foreign/unpack.h"

/**
 * struct expand_chunk - a chunk that is decompressed when an image is opened or checked
 * @host_offset: of the first stored byte
 * @stored: bytes
 * @plain: decompressed bytes
 * @codec: of the chunk
 */
struct expand_chunk {
	u64 host_offset;
	u64 stored;
	u64 plain;
	enum unpack_codec codec;
};

/**
 * struct expand - the decompression of an image's chunks
 * @stored: the stored bytes of a chunk
 * @stored_size: bytes of that memory
 * @plain: the decompressed bytes of a chunk
 * @plain_size: bytes of that memory
 * @file: number of the file that has the decompressed bytes of all chunks
 * @file_end: bytes of that file
 * @bytes_expanded: bytes of all chunks that expand_to_file() was called for
 * @bytes_done: bytes that were decompressed
 * @bytes_all: that will be decompressed
 * @faults: chunks that a check could not decompress
 *
 * All zeros at first, but for @bytes_all. expand_chunk() needs nothing else, and
 * expand_to_file() also @file from foreign_scratch(). expand_free() it at the end.
 */
struct expand {
	u8 *stored;
	size_t stored_size;
	u8 *plain;
	size_t plain_size;
	u32 file;
	u64 file_end;
	u64 bytes_expanded;
	u64 bytes_done;
	u64 bytes_all;
	u64 faults;
};

/* Place of a chunk of zeros, which is not kept */
#define EXPAND_ZERO		(~0ULL)

int __must_check expand_chunk(struct foreign *f, struct expand *x,
			      const struct expand_chunk *c);
int __must_check expand_check(struct foreign *f, struct expand *x,
			      const struct expand_chunk *c);
int __must_check expand_to_file(struct foreign *f, struct expand *x,
				const struct expand_chunk *c, u64 *host_offset);
void expand_free(struct expand *x);
bool expand_driver_reads_xz(const u8 *in, size_t len);

#endif /* _QCOWCTL_EXPAND_H */
