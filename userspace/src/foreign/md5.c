// SPDX-License-Identifier: GPL-2.0
/*
 * MD5 (RFC 1321), which Parallels has as a checksum. The confined process of a parser cannot ask
 * the kernel for it.
 */
#include "foreign/bytes.h"
#include "foreign/md5.h"

/* Number i is the whole part of 2^32 times the absolute sine of i + 1. */
static const u32 sines[64] = {
	0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee,
	0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
	0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be,
	0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
	0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa,
	0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
	0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed,
	0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
	0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c,
	0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
	0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05,
	0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
	0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039,
	0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
	0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1,
	0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391,
};

static const u8 turns[4][4] = {
	{ 7, 12, 17, 22 }, { 5, 9, 14, 20 }, { 4, 11, 16, 23 }, { 6, 10, 15, 21 },
};

static u32 mix(u32 round, u32 b, u32 c, u32 d)
{
	switch (round) {
	case 0:
		return (b & c) | (~b & d);
	case 1:
		return (d & b) | (~d & c);
	case 2:
		return b ^ c ^ d;
	}
	return c ^ (b | ~d);
}

/* Number of the word of a block that a step adds */
static u32 word_of(u32 step)
{
	static const u8 factor[4] = { 1, 5, 3, 7 }, first[4] = { 0, 1, 5, 0 };

	return (step * factor[step / 16] + first[step / 16]) % 16;
}

static void add_block(struct md5 *m, const u8 *block)
{
	u32 a = m->state[0], b = m->state[1], c = m->state[2], d = m->state[3];
	u32 i, sum, turn;

	for (i = 0; i < 64; i++) {
		sum = a + mix(i / 16, b, c, d) + sines[i] + get_le32(block + 4 * word_of(i));
		turn = turns[i / 16][i % 4];
		a = d;
		d = c;
		c = b;
		b += sum << turn | sum >> (32 - turn);
	}
	m->state[0] += a;
	m->state[1] += b;
	m->state[2] += c;
	m->state[3] += d;
}

/**
 * md5_start() - begin a checksum
 * @m: the checksum
 */
void md5_start(struct md5 *m)
{
	*m = (struct md5) { .state = { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476 } };
}

/**
 * md5_add() - add data to a checksum
 * @m: the checksum
 * @data: the bytes
 * @len: how many
 */
void md5_add(struct md5 *m, const u8 *data, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		m->block[m->bytes++ % MD5_BLOCK] = data[i];
		if (m->bytes % MD5_BLOCK == 0)
			add_block(m, m->block);
	}
}

/**
 * md5_end() - end a checksum
 * @m: the checksum
 * @sum: for it, MD5_BYTES
 */
void md5_end(struct md5 *m, u8 *sum)
{
	static const u8 pad[MD5_BLOCK] = { 0x80 };
	u64 bits = m->bytes * 8;
	u8 length[8];
	u32 i;

	md5_add(m, pad, 1 + (MD5_BLOCK - 8 + MD5_BLOCK - 1 - m->bytes % MD5_BLOCK) % MD5_BLOCK);
	for (i = 0; i < sizeof(length); i++)
		length[i] = bits >> (8 * i);
	md5_add(m, length, sizeof(length));
	for (i = 0; i < MD5_BYTES; i++)
		sum[i] = m->state[i / 4] >> (8 * (i % 4));
}
