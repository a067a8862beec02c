// SPDX-License-Identifier: GPL-2.0
/*
 * The list of formats. A new one has a file of its own, and a line here.
 */
#include "foreign/formats.h"
#include "foreign/vpc_footer.h"

/* In the order in which they are tried. */
static const struct foreign_format *const formats[] = {
	&foreign_bochs,
	&foreign_cow,
	&foreign_vdi,
	&foreign_qed,
	&foreign_parallels,
	&foreign_ova,
	&foreign_vmdk,
	&foreign_vvfat,
	&foreign_vhdx,
	&foreign_vpc,
	&foreign_cloop,
	&foreign_dmg,
};

/**
 * foreign_format() - look up a format
 * @name: as in QEMU
 *
 * Return: the format, or NULL.
 */
const struct foreign_format *foreign_format(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(formats); i++)
		if (!strcmp(formats[i]->name, name))
			return formats[i];
	return NULL;
}

/**
 * foreign_format_at() - a format by its number
 * @number: from 0 on
 *
 * Return: the format, or NULL if there are not so many.
 */
const struct foreign_format *foreign_format_at(size_t number)
{
	return number < ARRAY_SIZE(formats) ? formats[number] : NULL;
}

/**
 * foreign_probe() - recognize the format of a file
 * @s: bytes of the file
 *
 * The guest of a fixed VHD can write the header of any format, in which it names files of the
 * host, so such a disk is of no format, whatever its start looks like.
 *
 * Return: the format, or NULL.
 */
const struct foreign_format *foreign_probe(const struct foreign_sample *s)
{
	size_t i;

	if (vpc_is_fixed(s))
		return NULL;
	for (i = 0; i < ARRAY_SIZE(formats); i++)
		if (formats[i]->probe && formats[i]->probe(s))
			return formats[i];
	return NULL;
}

/**
 * foreign_probe_backing() - recognize the format of a backing file whose format is not told
 * @s: bytes of the file
 *
 * Programs that wrote the chain took the file for a raw disk unless QEMU recognizes it, and
 * the guest of a raw disk can write the magic of any other format.
 *
 * Return: the format, or NULL.
 */
const struct foreign_format *foreign_probe_backing(const struct foreign_sample *s)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(formats); i++)
		if (formats[i]->probe_backing && formats[i]->probe_backing(s))
			return formats[i];
	return NULL;
}
