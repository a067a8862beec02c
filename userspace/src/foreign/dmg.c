// SPDX-License-Identifier: GPL-2.0
/*
 * UDIF, the disk images of macOS (.dmg): chunks, block tables that tell their places, and a
 * trailer. Numbers are big-endian.
 *
 * Facts are from QEMU's and 7-Zip's readers, and from an image of macOS among QEMU's samples.
 * It has zlib and raw chunks; no program on Debian writes the other codecs, or a resource fork.
 */
#include "foreign/bytes.h"
#include "foreign/dmg.h"
#include "foreign/formats.h"

#define TRAILER_MAGIC		0x6b6f6c79	/* "koly" */
#define TRAILER_VERSION		4
/* Bytes that may follow the trailer, as in QEMU */
#define TRAILER_SLACK		511

#define START_ENCRYPTED		"encrcdsa"
#define END_ENCRYPTED		"cdsaencr"
#define MAGIC_BYTES		8
#define START_SPARSE		"sprs"

/* Bytes of an xz stream that tell whether the driver decompresses it */
#define XZ_START_BYTES		16

static bool is_trailer(const u8 *h)
{
	return get_be32(h) == TRAILER_MAGIC && get_be32(h + 4) == TRAILER_VERSION &&
	       get_be32(h + 8) == DMG_TRAILER_BYTES;
}

/* The trailer in the last bytes of a file; NULL: it is not there. */
static const u8 *find_trailer(const u8 *bytes, size_t len)
{
	size_t slack;

	for (slack = TRAILER_SLACK + 1; slack-- > 0;)
		if (len >= DMG_TRAILER_BYTES + slack &&
		    is_trailer(bytes + len - DMG_TRAILER_BYTES - slack))
			return bytes + len - DMG_TRAILER_BYTES - slack;
	return NULL;
}

/* Some images have the trailer in front of all else; 7-Zip knows them, QEMU does not. */
static bool is_front_trailer(const u8 *h)
{
	return is_trailer(h) && get_be64(h + 24) == DMG_TRAILER_BYTES;
}

/* Encrypted and sparse images are known too, to tell that they cannot be read. */
static bool dmg_probe(const struct foreign_sample *s)
{
	return !memcmp(s->start, START_ENCRYPTED, MAGIC_BYTES) ||
	       !memcmp(s->footer + FOREIGN_FOOTER_BYTES - MAGIC_BYTES, END_ENCRYPTED,
		       MAGIC_BYTES) ||
	       (!memcmp(s->start, START_SPARSE, 4) && get_be32(s->start + 4) <= 3) ||
	       find_trailer(s->footer, FOREIGN_FOOTER_BYTES) || is_front_trailer(s->start);
}

static int refuse_encrypted(struct foreign *f)
{
	return foreign_unsupported(f, "is an encrypted image of macOS, which is not supported; convert it on a Mac with hdiutil convert -format UDZO");
}

static int check_start(struct foreign *f, struct dmg *d)
{
	const u8 *h = foreign_peek(f, &d->window, 0, 0, DMG_TRAILER_BYTES, NULL);

	if (!h)
		return -EINVAL;
	if (!memcmp(h, START_ENCRYPTED, MAGIC_BYTES))
		return refuse_encrypted(f);
	if (!memcmp(h, START_SPARSE, 4) && get_be32(h + 4) <= 3)
		return foreign_unsupported(f, "is a sparse image of macOS, which is not supported; convert it on a Mac with hdiutil convert -format UDZO");
	return 0;
}

/* The bytes where a trailer can be; NULL with a message. */
static const u8 *peek_end(struct foreign *f, struct dmg *d, size_t *len)
{
	u64 size = foreign_size(f, 0);

	*len = min(size, (u64)DMG_TRAILER_BYTES + TRAILER_SLACK);
	return foreign_peek(f, &d->window, 0, size - *len, *len, NULL);
}

static int check_trailer(struct foreign *f, const struct dmg_trailer *t, u32 segments)
{
	u64 size = foreign_size(f, 0);

	if (segments > 1)
		return foreign_unsupported(f, "is one of %u segments of an image, which are not supported; join them on a Mac with hdiutil convert -format UDZO",
					   segments);
	if (t->fork_host_offset > size || t->fork_bytes > size - t->fork_host_offset)
		return foreign_fail(f, "its trailer has a resource fork past its end");
	if (t->xml_host_offset > size || t->xml_bytes > size - t->xml_host_offset)
		return foreign_fail(f, "its trailer has a property list past its end");
	return 0;
}

static int take_trailer(struct foreign *f, struct dmg *d, const u8 *h)
{
	struct dmg_trailer *t = &d->trailer;

	t->data_host_offset = get_be64(h + 24);
	t->data_bytes = get_be64(h + 32);
	t->fork_host_offset = get_be64(h + 40);
	t->fork_bytes = get_be64(h + 48);
	t->has_data_crc = get_be32(h + 80) == DMG_CRC32 && get_be32(h + 84) == 32;
	t->data_crc = get_be32(h + 88);
	t->xml_host_offset = get_be64(h + 216);
	t->xml_bytes = get_be64(h + 224);
	t->has_master_crc = get_be32(h + 352) == DMG_CRC32 && get_be32(h + 356) == 32;
	t->master_crc = get_be32(h + 360);
	t->sectors = get_be64(h + 492);
	if (!t->sectors || t->sectors > S64_MAX / SZ_512)
		return foreign_fail(f, "its trailer has a disk of %llu sectors",
				    (unsigned long long)t->sectors);
	guid_text(f->disk.id, h + 64, false);
	return check_trailer(f, t, get_be32(h + 60));
}

static int read_trailer(struct foreign *f, struct dmg *d)
{
	size_t len;
	const u8 *h = peek_end(f, d, &len);

	if (!h)
		return -EINVAL;
	if (!memcmp(h + len - MAGIC_BYTES, END_ENCRYPTED, MAGIC_BYTES))
		return refuse_encrypted(f);
	h = find_trailer(h, len);
	if (!h) {
		h = foreign_peek(f, &d->window, 0, 0, DMG_TRAILER_BYTES, NULL);
		if (!h)
			return -EINVAL;
		if (is_front_trailer(h))
			return take_trailer(f, d, h);
		return foreign_unsupported(f, "has no trailer of dmg; a read/write image or a .cdr of macOS is a raw one: use --format raw");
	}
	return take_trailer(f, d, h);
}

static int take_run(void *arg, const struct dmg_run *r)
{
	struct foreign *f = arg;
	struct dmg *d = f->private;

	if (d->nr_runs == d->runs_max)
		return foreign_fail(f, "has more runs than its tables have room for");
	d->runs[d->nr_runs] = *r;
	if (r->kind == DMG_IGNORED)
		d->runs[d->nr_runs].kind = DMG_ZERO;
	d->nr_runs++;
	return 0;
}

/* Memory for the runs: tables fill little less than the place that they are in. */
static int alloc_runs(struct foreign *f, struct dmg *d)
{
	const struct dmg_trailer *t = &d->trailer;
	u64 bytes = t->fork_bytes ? t->fork_bytes : t->xml_bytes / 4 * 3;

	d->runs_max = min(bytes / DMG_RUN_BYTES, (u64)UINT32_MAX);
	d->runs = foreign_alloc(f, d->runs_max, sizeof(*d->runs));
	return d->runs ? 0 : -ENOMEM;
}

static void sift_down(struct dmg_run *runs, u32 i, u32 nr)
{
	for (;;) {
		u64 child = 2 * (u64)i + 1;
		struct dmg_run r;

		if (child >= nr)
			return;
		if (child + 1 < nr && runs[child + 1].sector > runs[child].sector)
			child++;
		if (runs[i].sector >= runs[child].sector)
			return;
		r = runs[i];
		runs[i] = runs[child];
		runs[child] = r;
		i = child;
	}
}

static bool are_sorted(const struct dmg_run *runs, u32 nr)
{
	u32 i;

	for (i = 1; i < nr; i++)
		if (runs[i].sector < runs[i - 1].sector)
			return false;
	return true;
}

/* Tables are in order in practice, but not by rule. qsort() may allocate and open files. */
static void sort_runs(struct dmg_run *runs, u32 nr)
{
	u32 i;

	if (are_sorted(runs, nr))
		return;
	for (i = nr / 2; i-- > 0;)
		sift_down(runs, i, nr);
	for (i = nr; i-- > 1;) {
		struct dmg_run r = runs[0];

		runs[0] = runs[i];
		runs[i] = r;
		sift_down(runs, 0, i);
	}
}

/* All of the disk has one run. QEMU fails reads where there is none. */
static int check_runs(struct foreign *f, const struct dmg *d)
{
	u64 end = 0;
	u32 i;

	for (i = 0; i < d->nr_runs; i++) {
		const struct dmg_run *r = &d->runs[i];

		if (r->sector < end)
			return foreign_fail(f, "has two runs with sector %llu",
					    (unsigned long long)r->sector);
		if (r->sector > end)
			break;
		end = r->sector + r->sectors;
	}
	if (end != d->trailer.sectors)
		return foreign_fail(f, "has no run with sector %llu", (unsigned long long)end);
	return 0;
}

static int read_runs(struct foreign *f, struct dmg *d)
{
	struct dmg_tables t = {
		.f = f, .trailer = &d->trailer, .window = &d->window,
		.run = take_run, .arg = f,
	};
	int err = alloc_runs(f, d);

	if (!err)
		err = dmg_read_tables(&t);
	if (err)
		return err;
	sort_runs(d->runs, d->nr_runs);
	return check_runs(f, d);
}

static bool is_compressed(const struct dmg_run *r)
{
	return r->kind != DMG_ZERO && r->kind != DMG_RAW && r->kind != DMG_EXPANDED;
}

/* 1: a run has to be decompressed before the image is attached; 0: not; or an errno. */
static int must_expand(struct foreign *f, const struct dmg_run *r)
{
	u8 start[XZ_START_BYTES];
	int err;

	if (!is_compressed(r))
		return 0;
	if (!dmg_codecs[r->kind].map || r->sectors > QCOW_MAP_CHUNK_MAX / SZ_512 ||
	    r->stored > QCOW_MAP_STORED_MAX)
		return 1;
	if (r->kind != DMG_XZ)
		return 0;
	if (r->stored < sizeof(start))
		return 1;
	err = foreign_read(f, 0, start, sizeof(start), r->host_offset);
	return err ? err : !expand_driver_reads_xz(start, sizeof(start));
}

static int expand_run(struct foreign *f, struct dmg *d, struct dmg_run *r)
{
	struct expand_chunk c;
	u64 place;
	int err;

	dmg_chunk(r, &c);
	if (!d->expand.file) {
		err = foreign_scratch(f, &d->expand.file);
		if (err)
			return err;
	}
	err = expand_to_file(f, &d->expand, &c, &place);
	if (err)
		return err;
	r->kind = place == EXPAND_ZERO ? DMG_ZERO : DMG_EXPANDED;
	r->host_offset = place;
	return 0;
}

/* Decompresses the runs that the driver cannot decompress. A check does so without this. */
static int expand_runs(struct foreign *f, struct dmg *d)
{
	u32 i;
	int err = 0;

	for (i = 0; i < d->nr_runs; i++)
		if (is_compressed(&d->runs[i]))
			d->expand.bytes_all += d->runs[i].sectors * SZ_512;
	for (i = 0; i < d->nr_runs && !err; i++) {
		struct dmg_run *r = &d->runs[i];

		err = must_expand(f, r);
		if (err > 0 && f->how.check_only) {
			r->kind = DMG_ZERO;
			err = 0;
		} else if (!err && is_compressed(r)) {
			d->expand.bytes_done += r->sectors * SZ_512;
		} else if (err > 0) {
			err = expand_run(f, d, r);
		}
	}
	expand_free(&d->expand);
	return err;
}

/* The codecs, in the order of their types: "zlib, bzip2" */
static void tell_codecs(struct foreign *f, const struct dmg *d)
{
	bool used[DMG_EXPANDED] = { };
	char text[64] = "";
	size_t i, n = 0;

	for (i = 0; i < d->nr_runs; i++)
		if (is_compressed(&d->runs[i]))
			used[d->runs[i].kind] = true;
	for (i = 0; i < DMG_EXPANDED; i++)
		if (used[i])
			n += snprintf(text + n, sizeof(text) - n, "%s%s", n ? ", " : "",
				      dmg_codecs[i].name);
	foreign_tell(f, "compression", n ? text : "none");
	foreign_tell_number(f, "runs", d->nr_runs);
}

static int dmg_open(struct foreign *f)
{
	struct dmg *d = foreign_alloc(f, 1, sizeof(*d));
	int err;

	if (!d)
		return -ENOMEM;
	f->private = d;
	err = check_start(f, d);
	if (!err)
		err = read_trailer(f, d);
	if (err)
		return err;
	f->disk.size = d->trailer.sectors * SZ_512;
	err = read_runs(f, d);
	if (err)
		return err;
	tell_codecs(f, d);
	return f->how.facts_only ? 0 : expand_runs(f, d);
}

/* A walk goes on in the run that was found last, or in the next one. */
static const struct dmg_run *find_run(struct dmg *d, u64 sector)
{
	u32 low = 0, high = d->nr_runs - 1;

	if (d->runs[d->last].sector <= sector) {
		low = d->last;
		if (low < high && sector < d->runs[low + 1].sector + d->runs[low + 1].sectors)
			high = low + 1;
	}
	while (low < high) {
		u32 middle = high - (high - low) / 2;

		if (d->runs[middle].sector <= sector)
			low = middle;
		else
			high = middle - 1;
	}
	d->last = low;
	return &d->runs[low];
}

static int dmg_find(struct foreign *f, u64 guest_offset, struct foreign_piece *p)
{
	struct dmg *d = f->private;
	const struct dmg_run *r = find_run(d, guest_offset / SZ_512);
	u64 skip = guest_offset - r->sector * SZ_512;

	p->length = r->sectors * SZ_512 - skip;
	switch (r->kind) {
	case DMG_ZERO:
		p->kind = QCOW_MAP_ZERO;
		return 0;
	case DMG_RAW:
	case DMG_EXPANDED:
		p->kind = QCOW_MAP_DATA;
		p->host_offset = r->host_offset + skip;
		p->file = r->kind == DMG_RAW ? 0 : d->expand.file;
		return 0;
	default:
		p->kind = QCOW_MAP_COMPRESSED;
		p->host_offset = r->host_offset;
		p->stored = r->stored;
		p->plain = r->sectors * SZ_512;
		p->skip = skip;
		p->codec = dmg_codecs[r->kind].map;
		return 0;
	}
}

const struct foreign_format foreign_dmg = {
	.name = "dmg",
	.title = "dmg",
	.probe = dmg_probe,
	.open = dmg_open,
	.find = dmg_find,
	.check = dmg_check,
};
