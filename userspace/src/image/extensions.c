// SPDX-License-Identifier: GPL-2.0
/*
 * Header extensions that this program does not know. The clusters of an image may belong to
 * them, and a new header would lack them.
 */
#include "image/extensions.h"

static bool is_known(u32 type)
{
	static const u32 known[] = {
		QCOW_DISK_EXT_BACKING_FORMAT, QCOW_DISK_EXT_FEATURE_NAMES,
		QCOW_DISK_EXT_BITMAPS, QCOW_DISK_EXT_LUKS, QCOW_DISK_EXT_DATA_FILE,
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(known); i++)
		if (known[i] == type)
			return true;
	return false;
}

/**
 * extensions_unknown() - find a header extension that is not known
 * @h: the header, which was parsed
 * @start: the first bytes of the file
 * @len: how many
 *
 * Return: the type of the first one, or 0.
 */
u32 extensions_unknown(const struct qcow_header *h, const void *start, size_t len)
{
	u64 end = h->backing_in_header ? min((u64)len, h->backing_in_header) : len;
	u64 in_header = h->header_length;
	struct qcow_disk_extension ext;
	u32 type;

	while (in_header + sizeof(ext) <= end) {
		memcpy(&ext, (const char *)start + in_header, sizeof(ext));
		type = be32_to_cpu(ext.type);
		if (type == QCOW_DISK_EXT_END || !is_known(type))
			return type;
		in_header += sizeof(ext) + ((be32_to_cpu(ext.length) + 7ULL) & ~7ULL);
	}
	return 0;
}
