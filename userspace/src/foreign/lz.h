/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_LZ_H
#define _QCOWCTL_LZ_H

#include "qcow/ondisk/pure.h"

/**
 * struct unpack - a chunk that is being decompressed
 * @in: the next stored byte
 * @in_end: end of the stored bytes
 * @out_start: the first decompressed byte
 * @out: the next decompressed byte
 * @out_end: end of the memory for decompressed bytes
 */
struct unpack {
	const u8 *in;
	const u8 *in_end;
	u8 *out_start;
	u8 *out;
	u8 *out_end;
};

int __must_check unpack_adc(struct unpack *u);
int __must_check unpack_lz4(struct unpack *u);
int __must_check unpack_lzo(struct unpack *u);

static inline size_t unpack_in_left(const struct unpack *u)
{
	return u->in_end - u->in;
}

static inline size_t unpack_out_left(const struct unpack *u)
{
	return u->out_end - u->out;
}

/**
 * unpack_literals() - copy stored bytes to the output
 * @u: the chunk
 * @length: bytes
 *
 * Return: whether there are so many, and room for them.
 */
static inline bool __must_check unpack_literals(struct unpack *u, size_t length)
{
	if (length > unpack_in_left(u) || length > unpack_out_left(u))
		return false;
	memcpy(u->out, u->in, length);
	u->in += length;
	u->out += length;
	return true;
}

/**
 * unpack_match() - repeat bytes of the output
 * @u: the chunk
 * @length: bytes
 * @distance: bytes from the first one that is repeated to the next one of the output; less
 *	than @length: bytes of the match itself are repeated
 *
 * Return: whether there are so many bytes before, and room for these.
 */
static inline bool __must_check unpack_match(struct unpack *u, size_t length, size_t distance)
{
	const u8 *from = u->out - distance;

	if (!distance || distance > (size_t)(u->out - u->out_start) ||
	    length > unpack_out_left(u))
		return false;
	while (length--)
		*u->out++ = *from++;
	return true;
}

#endif /* _QCOWCTL_LZ_H */
