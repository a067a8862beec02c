// SPDX-License-Identifier: GPL-2.0
/*
 * Three codecs of bytes without entropy coding: LZ4, LZO1X, and Apple Data Compression, which
 * is the oldest of disk images.
 */
#include "foreign/bytes.h"
#include "foreign/lz.h"

/* Bytes that follow a length that was not enough, each of 255 but the last one */
static bool lz4_more(struct unpack *u, size_t *length)
{
	u8 byte;

	do {
		if (u->in == u->in_end)
			return false;
		byte = *u->in++;
		*length += byte;
	} while (byte == 255);
	return true;
}

static bool lz4_match(struct unpack *u, size_t length)
{
	u16 distance;

	if (unpack_in_left(u) < 2)
		return false;
	distance = get_le16(u->in);
	u->in += 2;
	if (length == 15 && !lz4_more(u, &length))
		return false;
	return unpack_match(u, length + 4, distance);
}

/**
 * unpack_lz4() - decompress an LZ4 block
 * @u: the chunk, without bytes behind it
 *
 * Return: 0 or -EINVAL.
 */
int unpack_lz4(struct unpack *u)
{
	while (u->in < u->in_end) {
		u8 token = *u->in++;
		size_t literals = token >> 4;

		if (literals == 15 && !lz4_more(u, &literals))
			return -EINVAL;
		if (!unpack_literals(u, literals))
			return -EINVAL;
		/* The last sequence has no match. */
		if (u->in == u->in_end)
			return 0;
		if (!lz4_match(u, token & 15))
			return -EINVAL;
	}
	return -EINVAL;
}

/* A length of 0 stands for @base and the bytes that follow, each of 0 another 255. */
static bool lzo_more(struct unpack *u, size_t base, size_t *length)
{
	if (*length)
		return true;
	for (*length = base; u->in < u->in_end && !*u->in; u->in++)
		*length += 255;
	if (u->in == u->in_end)
		return false;
	*length += *u->in++;
	return true;
}

/* Whether the instruction copies; sets the number of literals behind it, and the end. */
static bool lzo_far(struct unpack *u, u8 code, u8 *state, bool *end)
{
	bool farthest = code < 32;
	size_t length = code & (farthest ? 7 : 31), distance;
	u16 word;

	if (!lzo_more(u, farthest ? 7 : 31, &length) || unpack_in_left(u) < 2)
		return false;
	word = get_le16(u->in);
	u->in += 2;
	distance = (word >> 2) + 1;
	if (farthest)
		distance += (code & 8 ? 2 : 1) * (size_t)SZ_16K - 1;
	*end = farthest && distance == SZ_16K;
	*state = word & 3;
	return *end || unpack_match(u, length + 2, distance);
}

static bool lzo_near(struct unpack *u, u8 code, u8 *state)
{
	size_t length, distance;
	u8 high;

	if (u->in == u->in_end)
		return false;
	high = *u->in++;
	if (code >= 64) {
		length = code >= 128 ? 5 + ((code >> 5) & 3) : 3 + ((code >> 5) & 1);
		distance = (high << 3) + ((code >> 2) & 7) + 1;
	} else {
		length = *state == 4 ? 3 : 2;
		distance = (high << 2) + (code >> 2) + (*state == 4 ? SZ_2K + 1 : 1);
	}
	*state = code & 3;
	return unpack_match(u, length, distance);
}

/* After so many literals in a row a short instruction reaches farther. */
static bool lzo_literals(struct unpack *u, size_t length, u8 *state)
{
	*state = min(length, (size_t)4);
	return unpack_literals(u, length);
}

static bool lzo_run(struct unpack *u, u8 code, u8 *state)
{
	size_t length = code;

	return lzo_more(u, 15, &length) && lzo_literals(u, length + 3, state);
}

/**
 * unpack_lzo() - decompress LZO1X
 * @u: the chunk
 *
 * Return: 0 or -EINVAL.
 */
int unpack_lzo(struct unpack *u)
{
	u8 state = 0;
	bool end = false;

	if (u->in < u->in_end && *u->in > 17) {
		u8 length = *u->in++ - 17;

		if (!lzo_literals(u, length, &state))
			return -EINVAL;
	}
	while (u->in < u->in_end && !end) {
		u8 code = *u->in++;
		bool done;

		if (code < 16 && !state) {
			done = lzo_run(u, code, &state);
		} else {
			done = code < 16 || code >= 64 ? lzo_near(u, code, &state) :
							 lzo_far(u, code, &state, &end);
			done = done && (end || unpack_literals(u, state));
		}
		if (!done)
			return -EINVAL;
	}
	return end ? 0 : -EINVAL;
}

static bool adc_match(struct unpack *u, u8 code)
{
	bool far = code & 0x40;
	size_t length, distance;

	if (unpack_in_left(u) < (far ? 2 : 1))
		return false;
	if (far) {
		length = (code & 0x3f) + 4;
		distance = get_be16(u->in);
	} else {
		length = (code >> 2 & 15) + 3;
		distance = (code & 3) << 8 | *u->in;
	}
	u->in += far ? 2 : 1;
	return unpack_match(u, length, distance + 1);
}

/**
 * unpack_adc() - decompress Apple Data Compression
 * @u: the chunk; it ends where the output is full
 *
 * Return: 0 or -EINVAL.
 */
int unpack_adc(struct unpack *u)
{
	while (u->in < u->in_end && u->out < u->out_end) {
		u8 code = *u->in++;
		bool done = code & 0x80 ? unpack_literals(u, (code & 0x7f) + 1) :
					  adc_match(u, code);

		if (!done)
			return -EINVAL;
	}
	return 0;
}
