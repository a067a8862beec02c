// SPDX-License-Identifier: GPL-2.0
/*
 * The check of formats that allocate units of one size, such as clusters: a unit of the file
 * has one use at most, and one without a use is a leak.
 */
#include "foreign/units.h"

enum {
	UNIT_FREE,
	UNIT_METADATA,
	UNIT_DATA,
};

/**
 * units_init() - begin a check
 * @u: the units
 * @f: the image
 * @file: number of the file that has them
 * @first: host offset of the first unit
 * @bytes: of a unit
 *
 * Return: 0, or a negative errno with a message.
 */
int units_init(struct units *u, struct foreign *f, u32 file, u64 first, u64 bytes)
{
	u64 size = foreign_size(f, file);

	memset(u, 0, sizeof(*u));
	u->f = f;
	u->file = file;
	u->bytes = bytes;
	u->first = first;
	u->nr = size > first ? DIV_ROUND_UP_ULL(size - first, bytes) : 0;
	u->use = foreign_alloc(f, u->nr, sizeof(*u->use));
	return u->use ? 0 : -ENOMEM;
}

/* The use of the unit at a host offset; NULL: it is no unit */
static u8 *use_at(struct units *u, u64 host_offset)
{
	u64 n;

	if (host_offset < u->first)
		return NULL;
	n = (host_offset - u->first) / u->bytes;
	return n < u->nr ? &u->use[n] : NULL;
}

/**
 * units_add_metadata() - tell that units have metadata
 * @u: the units
 * @what: the metadata, for people
 * @host_offset: of the first byte
 * @len: bytes
 */
void units_add_metadata(struct units *u, const char *what, u64 host_offset, u64 len)
{
	u64 done;
	u8 *use;

	for (done = 0; done < len && (use = use_at(u, host_offset + done)); done += u->bytes) {
		if (*use != UNIT_FREE)
			foreign_fault(u->f, "%s at host offset %llu shares a cluster with other %s",
				      what, (unsigned long long)(host_offset + done),
				      *use == UNIT_DATA ? "data" : "metadata");
		*use = UNIT_METADATA;
	}
}

/**
 * units_add_data() - tell that a unit has data of the disk
 * @u: the units, to which all metadata was added
 * @guest_offset: of the data
 * @host_offset: of the data
 */
void units_add_data(struct units *u, u64 guest_offset, u64 host_offset)
{
	u8 *use = use_at(u, host_offset);

	if (!use) {
		foreign_fault(u->f, "the data of guest offset %llu is at host offset %llu, outside of the file's clusters",
			      (unsigned long long)guest_offset,
			      (unsigned long long)host_offset);
		return;
	}
	if (*use != UNIT_FREE)
		foreign_fault(u->f, "the data of guest offset %llu shares host offset %llu with other %s",
			      (unsigned long long)guest_offset, (unsigned long long)host_offset,
			      *use == UNIT_DATA ? "data" : "metadata");
	if (*use == UNIT_FREE)
		*use = UNIT_DATA;
}

/**
 * units_add_disk() - tell the units of all data of the disk
 * @u: the units, to which all metadata was added. A piece that the format finds is in one
 *	unit, or in none
 *
 * Return: 0, or a negative errno with a message.
 */
int units_add_disk(struct units *u)
{
	struct foreign *f = u->f;
	struct foreign_piece p;
	u64 guest_offset;
	int err;

	for (guest_offset = 0; guest_offset < f->disk.size; guest_offset += p.length) {
		memset(&p, 0, sizeof(p));
		err = f->format->find(f, guest_offset, &p);
		if (err)
			return err;
		if (p.kind == QCOW_MAP_DATA)
			units_add_data(u, guest_offset, p.host_offset);
	}
	return 0;
}

/**
 * units_tell_free() - report the units that have no use
 * @u: the units, of which all uses are known
 * @name: of units, for people
 */
void units_tell_free(struct units *u, const char *name)
{
	u64 i, nr = 0;

	/* A part of a unit at the end of the file is no room for data. */
	for (i = 0; i < u->nr; i++)
		if (u->use[i] == UNIT_FREE &&
		    u->first + (i + 1) * u->bytes <= foreign_size(u->f, u->file))
			nr++;
	if (nr)
		foreign_leak(u->f, "%llu %s of the file have no use", (unsigned long long)nr,
			     name);
}
