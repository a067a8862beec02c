// SPDX-License-Identifier: GPL-2.0
/*
 * CRC-32C (Castagnoli), bits reflected, as RFC 3720 has it.
 */
#include "foreign/crc32c.h"

#define CRC32C_POLYNOMIAL	0x82f63b78

static u32 table[256];

static void fill_table(void)
{
	u32 i, bit, v;

	for (i = 0; i < ARRAY_SIZE(table); i++) {
		for (v = i, bit = 0; bit < 8; bit++)
			v = v >> 1 ^ (v & 1 ? CRC32C_POLYNOMIAL : 0);
		table[i] = v;
	}
}

/**
 * crc32c() - a checksum of bytes
 * @crc: 0, or the checksum of the bytes before them
 * @data: the bytes
 * @len: how many
 *
 * Return: the checksum.
 */
u32 crc32c(u32 crc, const void *data, size_t len)
{
	const u8 *byte = data;

	if (!table[1])
		fill_table();
	for (crc = ~crc; len--; byte++)
		crc = crc >> 8 ^ table[(crc ^ *byte) & 0xff];
	return ~crc;
}

/**
 * crc32c_without() - a checksum of bytes that have a place for it, which counts as zeros
 * @data: the bytes
 * @len: how many
 * @field: the place, of 4 bytes
 *
 * Return: the checksum.
 */
u32 crc32c_without(const void *data, size_t len, size_t field)
{
	const u8 *bytes = data;
	u32 crc = crc32c(0, bytes, field);

	crc = crc32c(crc, "\0\0\0", 4);
	return crc32c(crc, bytes + field + 4, len - field - 4);
}
