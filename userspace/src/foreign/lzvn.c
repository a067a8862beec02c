// SPDX-License-Identifier: GPL-2.0
/*
 * LZVN, the codec of short blocks in LZFSE: instructions of a few bytes, each with a number of
 * literals, and the length and distance of a match. This was written from descriptions of the
 * format; 7-Zip reads the same in the tests.
 */
#include "foreign/bytes.h"
#include "foreign/lzvn.h"

/**
 * struct lzvn_step - an instruction
 * @bytes: of the instruction
 * @literals: bytes that are copied from behind it
 * @length: bytes of the match after them
 * @distance: of the match; 0: that of the last one
 */
struct lzvn_step {
	u32 bytes;
	u32 literals;
	u32 length;
	u32 distance;
};

/* Matches of the last distance, or literals alone, up to 15 or 16 to 271 of them */
static bool lzvn_long(u8 code, u16 word, struct lzvn_step *s)
{
	u32 count = code & 15;

	s->bytes = count ? 1 : 2;
	if (!count)
		count = (word & 0xff) + 16;
	if (code < 0xf0)
		s->literals = count;
	else
		s->length = count;
	return true;
}

static bool lzvn_medium(u8 code, u16 word, struct lzvn_step *s)
{
	s->bytes = 3;
	s->literals = (code >> 3) & 3;
	s->length = ((code & 7) << 2 | (word & 3)) + 3;
	s->distance = word >> 2;
	return s->distance;
}

static bool lzvn_short(u8 code, u16 word, struct lzvn_step *s)
{
	s->literals = code >> 6;
	s->length = ((code >> 3) & 7) + 3;
	switch (code & 7) {
	case 7:
		s->bytes = 3;
		s->distance = word;
		return s->distance;
	case 6:
		s->bytes = 1;
		/* Without literals these codes have other meanings. */
		return s->literals;
	default:
		s->bytes = 2;
		s->distance = (code & 7) << 8 | (word & 0xff);
		return s->distance;
	}
}

/* Whether the instruction is one; @word has the two bytes behind its first one. */
static bool lzvn_decode(u8 code, u16 word, struct lzvn_step *s)
{
	memset(s, 0, sizeof(*s));
	if (code >= 0xe0)
		return lzvn_long(code, word, s);
	if ((code & 0xe0) == 0xa0)
		return lzvn_medium(code, word, s);
	if ((code & 0xf0) == 0x70 || (code & 0xf0) == 0xd0)
		return false;
	/* No operation */
	if (code == 0x0e || code == 0x16) {
		s->bytes = 1;
		return true;
	}
	return lzvn_short(code, word, s);
}

static bool lzvn_step(struct unpack *u, u32 *last_distance)
{
	size_t left = unpack_in_left(u);
	u16 word = left > 2 ? get_le16(u->in + 1) : left > 1 ? u->in[1] : 0;
	struct lzvn_step s;

	if (!lzvn_decode(*u->in, word, &s) || s.bytes > left)
		return false;
	u->in += s.bytes;
	if (s.distance)
		*last_distance = s.distance;
	return unpack_literals(u, s.literals) &&
	       (!s.length || unpack_match(u, s.length, *last_distance));
}

/**
 * unpack_lzvn() - decompress LZVN
 * @u: the chunk; matches may reach before the current end of its output
 *
 * Return: 0 or -EINVAL.
 */
int unpack_lzvn(struct unpack *u)
{
	u32 last_distance = 0;

	while (u->in < u->in_end) {
		if (*u->in == 0x06)
			return 0;
		if (!lzvn_step(u, &last_distance))
			return -EINVAL;
	}
	return -EINVAL;
}
