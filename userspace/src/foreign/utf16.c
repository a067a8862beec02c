// SPDX-License-Identifier: GPL-2.0
/*
 * UTF-16, in which images of Windows programs have their texts.
 */
#include "foreign/bytes.h"
#include "foreign/utf16.h"

#define SURROGATE_HIGH		0xd800
#define SURROGATE_LOW		0xdc00
#define SURROGATE_END		0xe000

static u32 unit_at(const u8 *in, bool big_endian)
{
	return big_endian ? get_be16(in) : get_le16(in);
}

/* The character at @in, and the bytes that it takes; 0: it is half a pair of surrogates. */
static u32 take_character(const u8 *in, size_t in_bytes, bool big_endian, u32 *c)
{
	u32 low;

	*c = unit_at(in, big_endian);
	if (*c < SURROGATE_HIGH || *c >= SURROGATE_END)
		return 2;
	if (*c >= SURROGATE_LOW || in_bytes < 4)
		return 0;
	low = unit_at(in + 2, big_endian);
	if (low < SURROGATE_LOW || low >= SURROGATE_END)
		return 0;
	*c = 0x10000 + ((*c - SURROGATE_HIGH) << 10) + (low - SURROGATE_LOW);
	return 4;
}

/* The bytes of a character, which are put to @out. */
static size_t put_character(char *out, u32 c)
{
	if (c < 0x80) {
		out[0] = c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = 0xc0 | c >> 6;
		out[1] = 0x80 | (c & 0x3f);
		return 2;
	}
	if (c < 0x10000) {
		out[0] = 0xe0 | c >> 12;
		out[1] = 0x80 | (c >> 6 & 0x3f);
		out[2] = 0x80 | (c & 0x3f);
		return 3;
	}
	out[0] = 0xf0 | c >> 18;
	out[1] = 0x80 | (c >> 12 & 0x3f);
	out[2] = 0x80 | (c >> 6 & 0x3f);
	out[3] = 0x80 | (c & 0x3f);
	return 4;
}

/**
 * utf16_to_utf8() - convert a text, up to its first NUL
 * @out: for the text, with a NUL at its end
 * @out_size: bytes at @out, at least 1
 * @in: the text
 * @in_bytes: of it
 * @big_endian: the order of bytes
 *
 * Return: bytes of the text without the NUL, or -EINVAL: it is no UTF-16, or too long. @out
 *	has the part before the fault then.
 */
int utf16_to_utf8(char *out, size_t out_size, const u8 *in, size_t in_bytes, bool big_endian)
{
	char bytes[4];
	size_t n, len = 0;
	u32 took, c;

	for (out[0] = '\0'; in_bytes >= 2; in += took, in_bytes -= took) {
		took = take_character(in, in_bytes, big_endian, &c);
		if (!took)
			return -EINVAL;
		if (!c)
			break;
		n = put_character(bytes, c);
		if (len + n >= out_size)
			return -EINVAL;
		memcpy(out + len, bytes, n);
		len += n;
		out[len] = '\0';
	}
	return len;
}
