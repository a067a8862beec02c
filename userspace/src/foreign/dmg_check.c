// SPDX-License-Identifier: GPL-2.0
/*
 * The checksums of a dmg, all of them CRC-32: of the data fork as it is stored, of the
 * decompressed data of each block table, and of these checksums.
 */
#include <zlib.h>

#include "foreign/dmg.h"

/**
 * struct check - the checksums that are made
 * @f: the image
 * @d: the image
 * @window: the part of the data that is in memory; the tables are read meanwhile
 * @table_crc: of the data of the table that is read
 * @table_faults: chunks that could not be decompressed, before that table
 * @table: its number
 * @master_crc: of the checksums of the tables
 * @bytes_done: of the disk
 */
struct check {
	struct foreign *f;
	struct dmg *d;
	struct foreign_window window;
	u32 table_crc;
	u64 table_faults;
	u32 table;
	u32 master_crc;
	u64 bytes_done;
};

/* The checksum with so many zeros behind; the number may be a large one. */
static u32 crc_zeros(u32 crc, u64 bytes)
{
	u8 zero = 0;
	u32 zeros = crc32(0, &zero, 1);
	u64 length;

	for (length = 1; bytes; length *= 2, bytes /= 2) {
		if (bytes & 1)
			crc = crc32_combine(crc, zeros, length);
		zeros = crc32_combine(zeros, zeros, length);
	}
	return crc;
}

/* The checksum with bytes of the file behind */
static int crc_file(struct check *c, u32 *crc, u64 host_offset, u64 bytes)
{
	while (bytes) {
		size_t available;
		const u8 *part = foreign_peek(c->f, &c->window, 0, host_offset, 1, &available);

		if (!part)
			return -EINVAL;
		available = min((u64)available, bytes);
		*crc = crc32(*crc, part, available);
		host_offset += available;
		bytes -= available;
	}
	return 0;
}

/* Some writers do not tell the bytes of the data fork. */
static void check_place(struct check *c, const struct dmg_run *r)
{
	const struct dmg_trailer *t = &c->d->trailer;
	u64 bytes = r->kind == DMG_RAW ? r->sectors * SZ_512 : r->stored, in_fork;

	if (r->kind == DMG_ZERO || r->kind == DMG_IGNORED || !t->data_bytes)
		return;
	in_fork = r->host_offset - t->data_host_offset;
	if (in_fork > t->data_bytes || bytes > t->data_bytes - in_fork)
		foreign_fault(c->f, "the run of sector %llu is not in the data fork",
			      (unsigned long long)r->sector);
}

static int check_run(void *arg, const struct dmg_run *r)
{
	struct check *c = arg;
	struct expand_chunk chunk;
	u64 bytes = r->sectors * SZ_512;
	int err = 0;

	check_place(c, r);
	if (r->kind == DMG_ZERO) {
		c->table_crc = crc_zeros(c->table_crc, bytes);
	} else if (r->kind == DMG_RAW) {
		err = crc_file(c, &c->table_crc, r->host_offset, bytes);
	} else if (r->kind != DMG_IGNORED) {
		dmg_chunk(r, &chunk);
		err = expand_check(c->f, &c->d->expand, &chunk);
		if (!err)
			c->table_crc = crc32(c->table_crc, c->d->expand.plain, bytes);
	}
	c->bytes_done += bytes;
	c->f->host->progress(c->f->arg, c->bytes_done, c->f->disk.size);
	return err;
}

/* The data of a table with a damaged chunk has no checksum. */
static int check_table(void *arg, bool has_crc, u32 crc)
{
	struct check *c = arg;
	u64 faults = c->d->expand.faults;
	u8 bytes[4] = { crc >> 24, crc >> 16, crc >> 8, crc };

	if (has_crc && faults == c->table_faults && crc != c->table_crc)
		foreign_fault(c->f, "the data of block table %u has the checksum 0x%08x, not 0x%08x",
			      c->table, c->table_crc, crc);
	if (has_crc)
		c->master_crc = crc32(c->master_crc, bytes, sizeof(bytes));
	c->table_faults = faults;
	c->table_crc = 0;
	c->table++;
	return 0;
}

static int check_data_fork(struct check *c)
{
	const struct dmg_trailer *t = &c->d->trailer;
	u64 size = foreign_size(c->f, 0);
	u32 crc = 0;
	int err;

	if (t->data_host_offset > size || t->data_bytes > size - t->data_host_offset) {
		foreign_fault(c->f, "the trailer has a data fork past the end of the file");
		return 0;
	}
	if (!t->has_data_crc)
		return 0;
	err = crc_file(c, &crc, t->data_host_offset, t->data_bytes);
	if (!err && crc != t->data_crc)
		foreign_fault(c->f, "the stored data has the checksum 0x%08x, not 0x%08x", crc,
			      t->data_crc);
	return err;
}

/**
 * dmg_check() - decompress all chunks and compare all checksums
 * @f: the image
 *
 * Return: 0, or a negative errno with a message; faults are reported.
 */
int dmg_check(struct foreign *f)
{
	struct dmg *d = f->private;
	struct check c = { .f = f, .d = d };
	struct dmg_tables t = {
		.f = f, .trailer = &d->trailer, .window = &d->window,
		.run = check_run, .end = check_table, .arg = &c,
	};
	int err = dmg_read_tables(&t);

	expand_free(&d->expand);
	if (err)
		return err;
	if (d->trailer.has_master_crc && c.master_crc != d->trailer.master_crc)
		foreign_fault(f, "the checksums of all block tables have the checksum 0x%08x, not 0x%08x",
			      c.master_crc, d->trailer.master_crc);
	return check_data_fork(&c);
}
