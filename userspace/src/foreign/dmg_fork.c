// SPDX-License-Identifier: GPL-2.0
/*
 * The resources of a dmg, of which some are block tables: in a resource fork, as old images
 * have it, or in a property list.
 */
#include "foreign/bytes.h"
#include "foreign/dmg.h"

/* Bytes of the header of a resource fork, and of the length before each resource */
#define FORK_HEADER_BYTES	16
#define RESOURCE_LENGTH_BYTES	4

static int read_resource(struct dmg_tables *t, u64 host_offset, u32 bytes)
{
	int err = 0;

	while (bytes && !err) {
		size_t available;
		const u8 *part = foreign_peek(t->f, t->window, 0, host_offset, 1, &available);

		if (!part)
			return -EINVAL;
		available = min(available, (size_t)bytes);
		err = dmg_table_bytes(t, part, available);
		host_offset += available;
		bytes -= available;
	}
	return err ? err : dmg_table_end(t);
}

static int fail_fork(struct foreign *f)
{
	return foreign_fail(f, "has a resource fork with resources past its end");
}

/* Resources, each with its length in front; only some of them are block tables. */
static int read_fork(struct dmg_tables *t)
{
	u64 fork = t->trailer->fork_host_offset, in_fork, end;
	const u8 *h = foreign_peek(t->f, t->window, 0, fork, FORK_HEADER_BYTES, NULL);
	int err = 0;

	if (!h)
		return -EINVAL;
	in_fork = get_be32(h);
	end = in_fork + get_be32(h + 8);
	if (end > t->trailer->fork_bytes)
		return fail_fork(t->f);
	while (in_fork < end && !err) {
		const u8 *length = foreign_peek(t->f, t->window, 0, fork + in_fork,
						RESOURCE_LENGTH_BYTES, NULL);
		u32 bytes = length ? get_be32(length) : 0;

		if (!length)
			return -EINVAL;
		in_fork += RESOURCE_LENGTH_BYTES;
		if (!bytes || in_fork > end || bytes > end - in_fork)
			return fail_fork(t->f);
		err = read_resource(t, fork + in_fork, bytes);
		in_fork += bytes;
	}
	return err;
}

/**
 * dmg_read_tables() - read all block tables
 * @t: with its first six members
 *
 * As QEMU does, it takes the resource fork if there is one, and else the property list.
 *
 * Return: 0, or a negative errno with a message.
 */
int dmg_read_tables(struct dmg_tables *t)
{
	if (t->trailer->fork_bytes)
		return read_fork(t);
	if (t->trailer->xml_bytes)
		return dmg_read_plist(t);
	return foreign_fail(t->f, "its trailer names no block tables");
}
