/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_BYTES_H
#define _QCOWCTL_BYTES_H

#include "qcow/ondisk/pure.h"

/* Numbers at any address, by the order of their bytes on disk. */

static inline u16 get_le16(const void *p)
{
	u16 v;

	memcpy(&v, p, sizeof(v));
	return le16toh(v);
}

static inline u32 get_le32(const void *p)
{
	u32 v;

	memcpy(&v, p, sizeof(v));
	return le32toh(v);
}

static inline u64 get_le64(const void *p)
{
	u64 v;

	memcpy(&v, p, sizeof(v));
	return le64toh(v);
}

static inline u16 get_be16(const void *p)
{
	u16 v;

	memcpy(&v, p, sizeof(v));
	return be16toh(v);
}

static inline u32 get_be32(const void *p)
{
	u32 v;

	memcpy(&v, p, sizeof(v));
	return be32toh(v);
}

static inline u64 get_be64(const void *p)
{
	u64 v;

	memcpy(&v, p, sizeof(v));
	return be64toh(v);
}

/**
 * guid_text() - write a GUID as text
 * @text: for it, of FOREIGN_ID_SIZE
 * @guid: 16 bytes
 * @mixed: the first three numbers are little-endian, as Windows has them
 */
static inline void guid_text(char *text, const u8 *guid, bool mixed)
{
	static const u8 orders[2][16] = {
		{ 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 },
		{ 3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15 },
	};
	const u8 *order = orders[mixed];
	u32 i, n = 0;

	for (i = 0; i < 16; i++)
		n += sprintf(text + n, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "",
			     guid[order[i]]);
}

/* Whether a GUID as text has no digit but 0. */
static inline bool guid_is_null(const char *text)
{
	return text[strspn(text, "0-")] == '\0';
}

#endif /* _QCOWCTL_BYTES_H */
