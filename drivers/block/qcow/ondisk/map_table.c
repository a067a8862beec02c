// SPDX-License-Identifier: GPL-2.0
/*
 * Tables of maps: the rules of qcow_map.h. meta/fmt_map.c checks tables that it is given,
 * the tools those that they make. Pure: no I/O, no allocation.
 */
#include "ondisk/map_table.h"

static const char *const codec_names[] = {
#define QCOW_MAP_CODEC(number, name, codec, built) \
	[QCOW_MAP_##number] = #name,
#include "ondisk/map_codecs.h"
};

/**
 * qcow_map_table_codec_name() - name a codec
 * @codec: &enum qcow_map_codec, or any number
 *
 * Context: any.
 *
 * Return: its name, or NULL if there is no such codec.
 */
const char *qcow_map_table_codec_name(u32 codec)
{
	return codec < ARRAY_SIZE(codec_names) ? codec_names[codec] : NULL;
}

/* A name that is safe in messages and in sysfs */
static bool format_valid(const char *format, size_t size)
{
	size_t i;

	for (i = 0; i < size && format[i]; i++)
		if (!(format[i] >= 'a' && format[i] <= 'z') &&
		    !(format[i] >= '0' && format[i] <= '9') && format[i] != '-')
			return false;
	return i && i < size;
}

static bool sector_size_valid(u32 bytes)
{
	return bytes >= SZ_512 && bytes <= SZ_4K && !(bytes & (bytes - 1));
}

/**
 * qcow_map_table_check_header() - check the header of a table
 * @h: the header
 * @msg: says what is wrong
 *
 * Context: any.
 *
 * Return: 0 or -EINVAL.
 */
int qcow_map_table_check_header(const struct qcow_map_header *h, struct qcow_msg *msg)
{
	if (memcmp(h->magic, QCOW_MAP_MAGIC, sizeof(h->magic)))
		return qcow_fail(msg, -EINVAL, "its table is none: it has another magic");
	if (h->version != QCOW_MAP_VERSION)
		return qcow_fail(msg, -EINVAL, "its table has version %u, not %u",
				 h->version, QCOW_MAP_VERSION);
	if (h->flags & ~QCOW_MAP_HAS_HOLES || h->pad)
		return qcow_fail(msg, -EINVAL, "its table has unknown flags");
	if (!h->disk_size || h->disk_size > (u64)S64_MAX || h->disk_size & (SZ_512 - 1))
		return qcow_fail(msg, -EINVAL, "its table has a disk of %llu bytes",
				 (unsigned long long)h->disk_size);
	if (!h->nr_entries ||
	    h->nr_entries > QCOW_MAP_ENTRIES_BYTES_MAX / sizeof(struct qcow_map_entry))
		return qcow_fail(msg, -EINVAL, "its table has %llu entries",
				 (unsigned long long)h->nr_entries);
	if (!h->nr_files || h->nr_files > QCOW_MAP_FILES_MAX)
		return qcow_fail(msg, -EINVAL, "its table has %u files", h->nr_files);
	if (!sector_size_valid(h->sector_size))
		return qcow_fail(msg, -EINVAL, "its table has sectors of %u bytes",
				 h->sector_size);
	if (h->chunk_max > QCOW_MAP_CHUNK_MAX)
		return qcow_fail(msg, -EINVAL, "its table has chunks of %u bytes",
				 h->chunk_max);
	if (!format_valid(h->format, sizeof(h->format)))
		return qcow_fail(msg, -EINVAL, "its table has no valid name of a format");
	return 0;
}

static const char *data_fault(const struct qcow_map_header *h,
			      const struct qcow_map_entry *e, u64 len)
{
	if (e->stored || e->plain || e->skip || e->codec)
		return "data with members of compressed data";
	if (e->file >= h->nr_files)
		return "no such file";
	if (e->host > (u64)S64_MAX - len)
		return "host offset out of range";
	return NULL;
}

static const char *compressed_fault(const struct qcow_map_header *h,
				    const struct qcow_map_entry *e, u64 len)
{
	if (!qcow_map_table_codec_name(e->codec))
		return "no such codec";
	if (e->file >= h->nr_files)
		return "no such file";
	if (!e->stored || e->stored > QCOW_MAP_STORED_MAX)
		return "stored bytes out of range";
	if (e->plain > h->chunk_max || e->skip >= e->plain || len > e->plain - e->skip)
		return "piece outside of its chunk";
	if (e->host > (u64)S64_MAX - e->stored)
		return "host offset out of range";
	return NULL;
}

static const char *empty_fault(const struct qcow_map_entry *e)
{
	return e->host || e->stored || e->plain || e->skip || e->file || e->codec ?
	       "zeros or a hole with members of data" : NULL;
}

/**
 * qcow_map_table_fault() - check an entry of a table
 * @h: the table's header, which is valid
 * @e: the entry
 * @guest_end: guest offset of the end of its piece: the start of the next entry, or the
 *	disk's size
 *
 * Context: any.
 *
 * Return: NULL, or the fault of the entry in words.
 */
const char *qcow_map_table_fault(const struct qcow_map_header *h,
				 const struct qcow_map_entry *e, u64 guest_end)
{
	if (e->start & (SZ_512 - 1) || guest_end & (SZ_512 - 1))
		return "not aligned";
	if (e->start >= guest_end || guest_end > h->disk_size)
		return "not in order, or past the end of the disk";
	switch (e->kind) {
	case QCOW_MAP_HOLE:
		if (!(h->flags & QCOW_MAP_HAS_HOLES))
			return "a hole in a table without holes";
		return empty_fault(e);
	case QCOW_MAP_ZERO:
		return empty_fault(e);
	case QCOW_MAP_DATA:
		return data_fault(h, e, guest_end - e->start);
	case QCOW_MAP_COMPRESSED:
		return compressed_fault(h, e, guest_end - e->start);
	}
	return "unknown kind";
}
