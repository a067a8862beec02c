/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_BITS_H
#define _QCOWCTL_BITS_H

#include "qcow/ondisk/pure.h"

/* Bitmaps on disk: in a byte, either the most significant bit is the first one or the least. */

static inline bool bit_at(const u8 *bits, u32 n, bool msb_first)
{
	return bits[n / 8] >> (msb_first ? 7 - n % 8 : n % 8) & 1;
}

/**
 * bits_run() - count the bits that are equal from one on
 * @bits: the bitmap
 * @first: number of the first one
 * @end: number of the bit behind the last one, above @first
 * @msb_first: the order in a byte
 *
 * Return: how many, at least 1.
 */
static inline u32 bits_run(const u8 *bits, u32 first, u32 end, bool msb_first)
{
	bool set = bit_at(bits, first, msb_first);
	u32 n = first + 1;

	while (n < end) {
		if (n % 8 == 0 && end - n >= 8 && bits[n / 8] == (set ? 0xff : 0))
			n += 8;
		else if (bit_at(bits, n, msb_first) == set)
			n++;
		else
			break;
	}
	return n - first;
}

#endif /* _QCOWCTL_BITS_H */
