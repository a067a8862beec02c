// SPDX-License-Identifier: GPL-2.0
/*
 * The parsers of other programs' formats. An input is a byte that chooses the format, a byte
 * of flags, and records that make the image and the files that it names. tests/foreign/
 * damage.py --pack writes such inputs.
 *
 * A record is a header of 8 bytes and data. The header: a byte with the number of the file, in
 * the order in which the parser opens them, a byte that is 1 in a record of a size, a number of
 * 16 bits, and one of 32 bits, the first little-endian. A record of data has that many bytes
 * of data at a sector; a record of a size says that the file has that many sectors and bytes.
 */
#include <stdlib.h>

#include "foreign/bytes.h"
#include "foreign/foreign.h"
#include "fuzz.h"
#include "qcow/ondisk/map_table.h"

#define MAX_FILES	32U
#define MAX_RECORDS	4096U
#define MAX_SCRATCH	SZ_16M
#define MAX_SIZE	((u64)SZ_16M)
/*
 * Bytes that may be read, and pieces of a walk: more take time, and find nothing new. Bytes of
 * holes are all alike, so they count more; a table of zeros takes the longest of all.
 */
#define MAX_READ	((u64)SZ_512 * SZ_1K)
#define HOLE_COST(len)	min((u64)(len) * 8, (u64)SZ_64K)
#define MAX_PIECES	512U
#define MAX_EXPAND	((u64)SZ_1M)
#define RECORD_BYTES	8U
#define RECORD_SIZE	1U

/* Flags of an input */
#define FACTS_ONLY	1U
#define MEMBER		2U
#define CHECK_ONLY	4U

/* Memory that a parser may take for each byte of its files, and for an empty file */
#define MEMORY_A_BYTE	256ULL
#define MEMORY_AT_LEAST	((u64)SZ_8M)

/**
 * struct record - bytes of a file
 * @data: they
 * @len: how many
 * @file: number of the file
 * @host_offset: of the first one
 */
struct record {
	const u8 *data;
	u32 len;
	u32 file;
	u64 host_offset;
};

/**
 * struct scratch - a file that the parser writes
 * @bytes: it, or NULL: the file is one of the input
 * @len: its size
 */
struct scratch {
	u8 *bytes;
	size_t len;
};

/**
 * struct input - the files of an input
 * @records: of all files
 * @nr_records: how many
 * @sizes: of files, in bytes
 * @given: files that were opened; the next one to open has this number
 * @opened: number in @records of each file that is open, or of none if it is scratch
 * @scratch: files by number
 * @nr: files that are open
 * @scratch_left: bytes that may be written
 * @read_left: bytes that may be read
 * @pieces_left: pieces that may be looked up
 */
struct input {
	struct record records[MAX_RECORDS];
	u32 nr_records;
	u64 sizes[MAX_FILES];
	u32 given;
	u32 opened[MAX_FILES];
	struct scratch scratch[MAX_FILES];
	u32 nr;
	size_t scratch_left;
	u64 read_left;
	u32 pieces_left;
};

/**
 * struct table - the table so far, of which the last entry has no end yet
 * @header: of it
 * @last: entry
 * @nr: entries
 */
struct table {
	struct qcow_map_header header;
	struct qcow_map_entry last;
	u64 nr;
};

static struct input in;
static const struct foreign_format *parser;

/* --- Files --- */

static void grow(u32 file, u64 size)
{
	in.sizes[file] = size > MAX_SIZE ? MAX_SIZE : size;
}

static void take_record(const u8 **data, size_t *size)
{
	const u8 *h = *data;
	u32 file = h[0] % MAX_FILES, len = get_le16(h + 2);
	u64 host_offset = (u64)get_le32(h + 4) * SZ_512;

	*data += RECORD_BYTES;
	*size -= RECORD_BYTES;
	if (h[1] == RECORD_SIZE) {
		grow(file, host_offset + len);
		return;
	}
	len = min(len, *size);
	in.records[in.nr_records++] = (struct record) { *data, len, file, host_offset };
	if (in.sizes[file] < host_offset + len)
		grow(file, host_offset + len);
	*data += len;
	*size -= len;
}

static void take_input(const u8 *data, size_t size)
{
	in.nr_records = 0;
	memset(in.sizes, 0, sizeof(in.sizes));
	memset(in.opened, 0, sizeof(in.opened));
	memset(in.scratch, 0, sizeof(in.scratch));
	in.scratch_left = MAX_SCRATCH;
	in.read_left = MAX_READ;
	in.pieces_left = MAX_PIECES;
	while (size >= RECORD_BYTES && in.nr_records < MAX_RECORDS)
		take_record(&data, &size);
	in.given = 1;
	in.nr = 1;
}

/* Copies the bytes that a record has in a part of a file; returns whether it has some. */
static bool overlay(const struct record *r, u8 *buf, size_t len, u64 host_offset)
{
	u64 first = r->host_offset > host_offset ? r->host_offset : host_offset;
	u64 end = min(r->host_offset + r->len, host_offset + len);

	if (first >= end)
		return false;
	memcpy(buf + (first - host_offset), r->data + (first - r->host_offset), end - first);
	return true;
}

/* Takes bytes from those that may be read; returns whether there were so many. */
static bool charge(u64 bytes)
{
	if (bytes > in.read_left)
		return false;
	in.read_left -= bytes;
	return true;
}

static int read_records(u32 file, u8 *buf, size_t len, u64 host_offset)
{
	bool hole = true;
	u32 i;

	if (!charge(len))
		return -EIO;
	memset(buf, 0, len);
	for (i = 0; i < in.nr_records; i++)
		if (in.records[i].file == file &&
		    overlay(&in.records[i], buf, len, host_offset))
			hole = false;
	return hole && !charge(HOLE_COST(len)) ? -EIO : 0;
}

static int host_read(void *arg, u32 file, void *buf, size_t len, u64 host_offset, size_t *got)
{
	const struct scratch *s = &in.scratch[file];
	u64 size = s->bytes ? s->len : in.sizes[in.opened[file]];

	(void)arg;
	promise(file < in.nr, "the parser reads a file that is not open");
	*got = host_offset < size ? min(len, size - host_offset) : 0;
	if (!s->bytes)
		return read_records(in.opened[file], buf, *got, host_offset);
	if (!charge(*got))
		return -EIO;
	if (*got)
		memcpy(buf, s->bytes + host_offset, *got);
	return 0;
}

static int host_open(void *arg, enum foreign_use use, const char *name, u64 *size)
{
	(void)arg;
	(void)use;
	promise(name && strlen(name) < SZ_64K, "the parser opens a file without a name");
	if (in.nr == MAX_FILES || in.given == MAX_FILES || !in.sizes[in.given])
		return -ENOENT;
	*size = in.sizes[in.given];
	in.opened[in.nr++] = in.given++;
	return 0;
}

static int host_scratch(void *arg)
{
	(void)arg;
	if (in.nr == MAX_FILES)
		return -ENOSPC;
	in.scratch[in.nr].bytes = calloc(1, 1);
	in.nr++;
	return 0;
}

static int host_write(void *arg, u32 file, const void *buf, size_t len, u64 host_offset)
{
	struct scratch *s = &in.scratch[file];
	u64 end;

	(void)arg;
	promise(file < in.nr && s->bytes, "the parser writes to a file that is not its own");
	if (__builtin_add_overflow(host_offset, len, &end) || end > MAX_SCRATCH)
		return -ENOSPC;
	if (end > s->len) {
		if (end - s->len > in.scratch_left)
			return -ENOSPC;
		in.scratch_left -= end - s->len;
		s->bytes = realloc(s->bytes, end);
		memset(s->bytes + s->len, 0, end - s->len);
		s->len = end;
	}
	memcpy(s->bytes + host_offset, buf, len);
	return 0;
}

/* --- Words --- */

static void host_backing(void *arg, const char *name, bool member)
{
	(void)arg;
	(void)member;
	promise(name && strlen(name) < SZ_64K, "a parent without a name");
}

static void host_tell(void *arg, const char *key, const char *text, s64 number)
{
	(void)arg;
	(void)number;
	promise(key[0] && (!text || strlen(text) < SZ_1M), "a fact without a key");
}

static void host_fault(void *arg, const char *text)
{
	(void)arg;
	promise(text[0], "a fault without words");
}

static void host_progress(void *arg, u64 bytes_done, u64 bytes_all)
{
	(void)arg;
	promise(bytes_done <= bytes_all, "more is done than there is");
}

static const struct foreign_host host = {
	.read = host_read,
	.open = host_open,
	.scratch = host_scratch,
	.write = host_write,
	.backing = host_backing,
	.tell = host_tell,
	.fault = host_fault,
	.leak = host_fault,
	.progress = host_progress,
};

/* --- Tables --- */

static void check_entry(const struct table *t, u64 guest_end)
{
	const char *fault = t->nr ? qcow_map_table_fault(&t->header, &t->last, guest_end) : NULL;

	promise(!fault, "entry %llu of the table: %s", (unsigned long long)t->nr, fault);
}

static int put(void *arg, const struct qcow_map_entry *e)
{
	struct table *t = arg;

	promise(t->nr || !e->start, "the table does not begin at 0");
	check_entry(t, e->start);
	t->last = *e;
	t->nr++;
	return 0;
}

static void walk(struct foreign *f)
{
	struct table t = { .header = {
		.magic = QCOW_MAP_MAGIC, .version = QCOW_MAP_VERSION, .nr_entries = 1,
		.disk_size = ROUND_UP(f->disk.size, (u64)SZ_512),
		.flags = f->disk.has_parent ? QCOW_MAP_HAS_HOLES : 0,
		.sector_size = f->disk.sector_size, .chunk_max = QCOW_MAP_CHUNK_MAX,
	} };
	struct qcow_msg msg = { };
	int err;

	t.header.nr_files = f->nr_opened;
	strncpy(t.header.format, f->format->name, sizeof(t.header.format) - 1);
	err = qcow_map_table_check_header(&t.header, &msg);
	promise(!err, "the header of the table: %s", msg.text);
	err = foreign_walk(f, put, &t);
	promise(!err || f->msg.text[0], "a walk fails and does not say why");
	if (!err)
		check_entry(&t, t.header.disk_size);
}

static int limited_find(struct foreign *f, u64 guest_offset, struct foreign_piece *p)
{
	if (!in.pieces_left--)
		return foreign_fail(f, "has many pieces");
	return parser->find(f, guest_offset, p);
}

static void check_image(u32 flags)
{
	struct foreign_format limited = *parser;
	const struct foreign_how how = {
		.size = in.sizes[0],
		.expand_max = MAX_EXPAND,
		.facts_only = flags & FACTS_ONLY,
		.check_only = flags & CHECK_ONLY,
		.member = flags & MEMBER ? "disk.vmdk" : NULL,
	};
	u64 room = MEMORY_AT_LEAST, used;
	struct foreign f;
	u32 i;
	int err;

	limited.find = limited_find;
	err = foreign_open(&f, &limited, &host, NULL, &how);
	promise(!err || f.msg.text[0] || err == -ENOENT,
		"the parser refuses an image and does not say why");
	if (!err && !how.facts_only)
		walk(&f);
	if (!err && parser->check) {
		err = parser->check(&f);
		promise(!err || f.msg.text[0], "a check fails and does not say why");
	}
	for (i = 0; i < MAX_FILES; i++)
		room += in.sizes[i] * MEMORY_A_BYTE;
	used = FOREIGN_MEMORY_MAX - f.memory_left;
	promise(used <= room, "the parser takes %llu bytes for a small image",
		(unsigned long long)used);
	foreign_close(&f);
}

/* NULL: $FUZZ_FORMAT names another one, for which the input is no good. */
static const struct foreign_format *chosen_format(u8 byte)
{
	const struct foreign_format *format;
	const char *only = getenv("FUZZ_FORMAT");
	size_t nr = 0;

	while (foreign_format_at(nr))
		nr++;
	format = foreign_format_at(byte % nr);
	return only && strcmp(only, format->name) ? NULL : format;
}

void fuzz_foreign(const uint8_t *data, size_t size)
{
	u32 i;

	if (size < 2)
		return;
	parser = chosen_format(data[0]);
	if (!parser)
		return;
	take_input(data + 2, size - 2);
	check_image(data[1]);
	for (i = 0; i < in.nr; i++)
		free(in.scratch[i].bytes);
}

/**
 * fuzz_print_formats() - print the names of formats, in the order of an input's first byte
 */
void fuzz_print_formats(void)
{
	const struct foreign_format *format;
	size_t i;

	for (i = 0; (format = foreign_format_at(i)); i++)
		puts(format->name);
}
