// SPDX-License-Identifier: GPL-2.0
/*
 * Names of files in a descriptor. VMware on Windows writes them in the machine's code page and
 * names it; on Linux the files have names in UTF-8. That is from memory: no program at hand
 * writes such a descriptor.
 */
#include <strings.h>

#include "foreign/utf16.h"
#include "foreign/vmdk.h"

/* Characters of windows-1252 from 0x80 to 0x9f; others are those of ISO 8859-1. */
static const u16 windows_1252[32] = {
	0x20ac, 0x0081, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021,
	0x02c6, 0x2030, 0x0160, 0x2039, 0x0152, 0x008d, 0x017d, 0x008f,
	0x0090, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014,
	0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0x009d, 0x017e, 0x0178,
};

/* Bytes that follow the first one of a character of UTF-8; -1: it is none */
static int bytes_that_follow(u8 first)
{
	if (first < 0x80)
		return 0;
	if (first < 0xc2 || first > 0xf4)
		return -1;
	return first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
}

static bool is_utf8(const char *name)
{
	int more;

	while (*name) {
		more = bytes_that_follow(*name++);
		if (more < 0)
			return false;
		for (; more; more--)
			if (((u8)*name++ & 0xc0) != 0x80)
				return false;
	}
	return true;
}

static u16 character_of(u8 byte)
{
	return byte >= 0x80 && byte < 0xa0 ? windows_1252[byte - 0x80] : byte;
}

/**
 * vmdk_name() - the name of a file as it is here
 * @f: the image
 * @t: the descriptor
 * @name: as the descriptor has it
 *
 * Return: @name itself unless its encoding is known and it is no UTF-8, or NULL with a message.
 */
const char *vmdk_name(struct foreign *f, const struct vmdk_text *t, const char *name)
{
	size_t len = strlen(name), i;
	char *utf8;
	u8 *utf16;

	if (!t->encoding || is_utf8(name) || (strcasecmp(t->encoding, "windows-1252") &&
					      strcasecmp(t->encoding, "ISO-8859-1")))
		return name;
	utf16 = foreign_alloc(f, len, 2);
	utf8 = utf16 ? foreign_alloc(f, len + 1, 3) : NULL;
	if (!utf8)
		return NULL;
	for (i = 0; i < len; i++) {
		utf16[2 * i] = character_of(name[i]) & 0xff;
		utf16[2 * i + 1] = character_of(name[i]) >> 8;
	}
	return utf16_to_utf8(utf8, 3 * (len + 1), utf16, 2 * len, false) < 0 ? name : utf8;
}
