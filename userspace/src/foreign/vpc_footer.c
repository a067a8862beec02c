// SPDX-License-Identifier: GPL-2.0
/*
 * The footer of VHD, by which the format and a fixed disk are recognized.
 */
#include "foreign/bytes.h"
#include "foreign/vpc_footer.h"

/**
 * vpc_has_magic() - whether bytes begin as a footer does
 * @bytes: they, or more of them
 *
 * Return: whether they do.
 */
bool vpc_has_magic(const u8 *bytes)
{
	return !memcmp(bytes, "conectix", 8);
}

/**
 * vpc_has_checksum() - whether the checksum of a footer or header is right
 * @bytes: of it
 * @len: how many there are
 * @place: the byte at which the checksum is, which counts as zeros
 *
 * Return: whether it is.
 */
bool vpc_has_checksum(const u8 *bytes, size_t len, size_t place)
{
	u32 sum = 0;
	size_t i;

	for (i = 0; i < len; i++)
		if (i < place || i >= place + 4)
			sum += bytes[i];
	return FOREIGN_FUZZED || get_be32(bytes + place) == ~sum;
}

/**
 * vpc_footer_is_valid() - whether bytes are a footer
 * @footer: VPC_FOOTER_BYTES bytes
 *
 * Return: whether they are.
 */
bool vpc_footer_is_valid(const u8 *footer)
{
	return vpc_has_magic(footer) && vpc_has_checksum(footer, VPC_FOOTER_BYTES, 64);
}

/**
 * vpc_footer_is_fixed() - whether a footer is that of a fixed disk
 * @footer: it
 *
 * Return: whether it is.
 */
bool vpc_footer_is_fixed(const u8 *footer)
{
	return get_be32(footer + 60) == VPC_FIXED;
}

/**
 * vpc_is_fixed() - whether a file is a fixed disk
 * @s: bytes of the file
 *
 * Such a disk may begin with anything that its guest wrote, so only the end of the file tells.
 *
 * Return: whether it ends in the footer of one.
 */
bool vpc_is_fixed(const struct foreign_sample *s)
{
	const u8 *end = s->footer + FOREIGN_FOOTER_BYTES;
	u8 old[VPC_FOOTER_BYTES] = { };

	memcpy(old, end - VPC_OLD_FOOTER_BYTES, VPC_OLD_FOOTER_BYTES);
	return (vpc_footer_is_valid(end - VPC_FOOTER_BYTES) &&
		vpc_footer_is_fixed(end - VPC_FOOTER_BYTES)) ||
	       (vpc_footer_is_valid(old) && vpc_footer_is_fixed(old));
}
