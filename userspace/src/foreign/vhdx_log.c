// SPDX-License-Identifier: GPL-2.0
/*
 * The log of a VHDX, a ring of sectors of 4 KiB with entries that follow each other. An entry
 * has a sector or more of descriptors, and a sector of data for each that is not of zeros. A
 * log that is not empty has to be replayed before the file is used. Here the file stays as it
 * is, and the parser looks at the log first.
 *
 * Facts are from the specification, and from QEMU, which writes wrong tails into its entries.
 */
#include "foreign/crc32c.h"
#include "foreign/sort.h"
#include "foreign/vhdx.h"

#define DESCRIPTOR_BYTES	32
#define DESCRIPTORS_PER_SECTOR	(VHDX_LOG_SECTOR / DESCRIPTOR_BYTES)
/* Bytes of the head of an entry, in descriptors */
#define HEAD_DESCRIPTORS	2

#define NO_ENTRY		((u32)-1)

/**
 * struct log_entry - a whole entry
 * @sequence: its number
 * @sector: number of its first sector in the ring
 * @sectors: how many it has
 * @descriptors: how many it has
 * @tail: byte of the log where the oldest entry starts that has to be replayed with it
 * @next: number of the entry that continues it, or NO_ENTRY
 * @first: number of the first entry of the run that it belongs to, or NO_ENTRY
 * @last: number of the last entry of that run
 * @continues: it is the next one of another entry
 */
struct log_entry {
	u64 sequence;
	u32 sector;
	u32 sectors;
	u32 descriptors;
	u32 tail;
	u32 next;
	u32 first;
	u32 last;
	bool continues;
};

/**
 * struct replay - a replay
 * @f: the image
 * @v: its numbers
 * @guid: which entries have to have
 * @sectors: of the ring
 * @w: the part of the ring that is in memory
 * @entries: whole ones, by their sectors
 * @nr: how many
 * @torn: there is an entry with the GUID that is not whole
 * @patches: of the entries that are replayed, oldest first
 * @nr_patches: how many
 */
struct replay {
	struct foreign *f;
	struct vhdx *v;
	const u8 *guid;
	u32 sectors;
	struct foreign_window w;
	struct log_entry *entries;
	u32 nr;
	bool torn;
	struct vhdx_patch *patches;
	u32 nr_patches;
};

static u64 ring_host_offset(const struct replay *r, u64 sector)
{
	return r->v->log.host_offset + sector % r->sectors * VHDX_LOG_SECTOR;
}

static const u8 *peek_sector(struct replay *r, u64 sector)
{
	return foreign_peek(r->f, &r->w, 0, ring_host_offset(r, sector), VHDX_LOG_SECTOR, NULL);
}

static bool starts_entry(const u8 *s)
{
	return !memcmp(s, "loge", 4);
}

static u32 descriptor_sectors(u32 descriptors)
{
	return DIV_ROUND_UP_ULL((u64)descriptors + HEAD_DESCRIPTORS, DESCRIPTORS_PER_SECTOR);
}

static bool read_head(const struct replay *r, const u8 *s, u32 sector, struct log_entry *e)
{
	*e = (struct log_entry) {
		.sequence = get_le64(s + 16),
		.sector = sector,
		.sectors = get_le32(s + 8) / VHDX_LOG_SECTOR,
		.descriptors = get_le32(s + 24),
		.tail = get_le32(s + 12),
		.next = NO_ENTRY,
		.first = NO_ENTRY,
	};
	return !(get_le32(s + 8) % VHDX_LOG_SECTOR) && e->sectors && e->sectors <= r->sectors &&
	       e->sequence && descriptor_sectors(e->descriptors) <= e->sectors;
}

static bool descriptor_is_data(const u8 *d)
{
	return !memcmp(d, "desc", 4);
}

static bool descriptor_is_valid(const u8 *d, u64 sequence)
{
	u64 host_offset = get_le64(d + 16), bytes = VHDX_LOG_SECTOR;

	if (!descriptor_is_data(d)) {
		if (memcmp(d, "zero", 4))
			return false;
		bytes = get_le64(d + 8);
	}
	return get_le64(d + 24) == sequence && !(host_offset % VHDX_LOG_SECTOR) &&
	       !(bytes % VHDX_LOG_SECTOR) && host_offset <= S64_MAX &&
	       bytes <= (u64)S64_MAX - host_offset;
}

/* The descriptors in a sector of an entry; adds to @data those that have data. */
static bool check_descriptors(const struct log_entry *e, const u8 *s, u32 number, u32 *data)
{
	u64 end = (u64)e->descriptors + HEAD_DESCRIPTORS;
	u64 i = (u64)number * DESCRIPTORS_PER_SECTOR, stop = i + DESCRIPTORS_PER_SECTOR;
	const u8 *d = s;

	for (; i < min(end, stop); i++, d += DESCRIPTOR_BYTES) {
		if (i < HEAD_DESCRIPTORS)
			continue;
		if (!descriptor_is_valid(d, e->sequence))
			return false;
		*data += descriptor_is_data(d);
	}
	return true;
}

static bool check_data(const struct log_entry *e, const u8 *s)
{
	u64 sequence = (u64)get_le32(s + 4) << 32 | get_le32(s + VHDX_LOG_SECTOR - 4);

	return !memcmp(s, "data", 4) && sequence == e->sequence;
}

/* A sector of an entry but for its checksum; @data is how many sectors of data are left. */
static bool check_sector(const struct log_entry *e, const u8 *s, u32 number, u32 *data)
{
	/* Entries do not overlap, so a scan of the ring takes no longer than the ring is. */
	if (number && starts_entry(s))
		return false;
	if (number < descriptor_sectors(e->descriptors))
		return check_descriptors(e, s, number, data);
	if (!*data)
		return true;
	--*data;
	return check_data(e, s);
}

/* Whether all sectors of an entry are there; 1: they are, or a negative errno. */
static int entry_is_whole(struct replay *r, const struct log_entry *e)
{
	u32 i, data = 0, crc = 0, want = 0;
	const u8 *s;

	for (i = 0; i < e->sectors; i++) {
		s = peek_sector(r, (u64)e->sector + i);
		if (!s)
			return -EINVAL;
		if (!check_sector(e, s, i, &data))
			return 0;
		if (i) {
			crc = crc32c(crc, s, VHDX_LOG_SECTOR);
			continue;
		}
		want = get_le32(s + 4);
		crc = crc32c_without(s, VHDX_LOG_SECTOR, 4);
	}
	return !data && (FOREIGN_FUZZED || crc == want);
}

static int find_entries(struct replay *r)
{
	struct log_entry e;
	const u8 *s;
	u32 n;
	int whole;

	for (n = 0; n < r->sectors; n++) {
		s = peek_sector(r, n);
		if (!s)
			return -EINVAL;
		if (!starts_entry(s) || memcmp(s + 32, r->guid, VHDX_GUID_BYTES))
			continue;
		whole = read_head(r, s, n, &e) ? entry_is_whole(r, &e) : 0;
		if (whole < 0)
			return whole;
		if (whole)
			r->entries[r->nr++] = e;
		else
			r->torn = true;
	}
	return 0;
}

static u64 sector_of(const void *element)
{
	const struct log_entry *e = element;

	return e->sector;
}

static u32 entry_at(const struct replay *r, u64 sector)
{
	u32 i = foreign_search(r->entries, r->nr, sizeof(*r->entries), sector, sector_of);

	return i < r->nr && r->entries[i].sector == sector ? i : NO_ENTRY;
}

static void link_entries(struct replay *r)
{
	struct log_entry *e;
	u32 i, next;

	for (i = 0; i < r->nr; i++) {
		e = &r->entries[i];
		next = entry_at(r, ((u64)e->sector + e->sectors) % r->sectors);
		if (next == NO_ENTRY || r->entries[next].sequence != e->sequence + 1)
			continue;
		e->next = next;
		r->entries[next].continues = true;
	}
}

/* Tell the entries of a run its first and its last one. */
static void mark_run(struct replay *r, u32 first)
{
	u32 i, last = first;

	while (r->entries[last].next != NO_ENTRY)
		last = r->entries[last].next;
	for (i = first; i != NO_ENTRY; i = r->entries[i].next) {
		r->entries[i].first = first;
		r->entries[i].last = last;
	}
}

/*
 * The entry from which a run is replayed: its tail, or its first one if that is wrong. To
 * replay older entries first does no harm.
 */
static u32 run_start(const struct replay *r, const struct log_entry *e, bool *right)
{
	u32 tail = e->tail % VHDX_LOG_SECTOR ? NO_ENTRY : entry_at(r, e->tail / VHDX_LOG_SECTOR);

	*right = tail != NO_ENTRY && r->entries[tail].last == e->last;
	return *right ? tail : e->first;
}

/*
 * The first entry of the run that counts: with a right tail rather, and the newest. A whole
 * entry behind a torn one does not count: its writer was not told yet that both are there.
 */
static u32 choose_run(struct replay *r)
{
	u32 i, start, best = NO_ENTRY;
	u64 sequence = 0;
	bool right, best_right = false;

	for (i = 0; i < r->nr; i++)
		if (!r->entries[i].continues)
			mark_run(r, i);
	for (i = 0; i < r->nr; i++) {
		if (r->entries[i].next != NO_ENTRY)
			continue;
		start = run_start(r, &r->entries[i], &right);
		if (right < best_right ||
		    (right == best_right && r->entries[i].sequence < sequence))
			continue;
		best = start;
		best_right = right;
		sequence = r->entries[i].sequence;
	}
	return best;
}

/* Bytes of the file that an entry needs, and those that it has afterwards. */
static int grow_file(struct replay *r, const u8 *head)
{
	u64 flushed = get_le64(head + 48), last = get_le64(head + 56);

	if (flushed > r->v->size || last > (u64)S64_MAX - VHDX_ALIGN) {
		qcow_advise(&r->f->msg, -EINVAL, "has a log of a file of %llu bytes, but has %llu bytes, so it is truncated; restore it from a copy",
			    (unsigned long long)flushed, (unsigned long long)r->v->size);
		return -EINVAL;
	}
	last = ROUND_UP(last, (u64)VHDX_ALIGN);
	if (last > r->v->size)
		r->v->size = last;
	return 0;
}

static void add_patch(struct replay *r, const u8 *d, u64 descriptor, u64 data)
{
	bool is_data = descriptor_is_data(d);
	u64 start = get_le64(d + 16);
	u64 end = start + (is_data ? VHDX_LOG_SECTOR : get_le64(d + 8));

	if (start == end)
		return;
	r->patches[r->nr_patches++] = (struct vhdx_patch) {
		.start = start,
		.end = end,
		.descriptor = is_data ? descriptor : 0,
		.data = is_data ? data : 0,
	};
	if (end > r->v->size)
		r->v->size = end;
}

static int replay_entry(struct replay *r, const struct log_entry *e)
{
	u64 data = (u64)e->sector + descriptor_sectors(e->descriptors), i, place;
	const u8 *s = peek_sector(r, e->sector);
	int err = s ? grow_file(r, s) : -EINVAL;

	for (i = HEAD_DESCRIPTORS; !err && i < (u64)e->descriptors + HEAD_DESCRIPTORS; i++) {
		s = peek_sector(r, e->sector + i / DESCRIPTORS_PER_SECTOR);
		if (!s)
			return -EINVAL;
		place = i % DESCRIPTORS_PER_SECTOR * DESCRIPTOR_BYTES;
		add_patch(r, s + place,
			  ring_host_offset(r, e->sector + i / DESCRIPTORS_PER_SECTOR) + place,
			  ring_host_offset(r, data));
		data += descriptor_is_data(s + place);
	}
	return err;
}

static int replay_run(struct replay *r, u32 first)
{
	u64 descriptors = 0;
	u32 i;
	int err = 0;

	for (i = first; i != NO_ENTRY; i = r->entries[i].next)
		descriptors += r->entries[i].descriptors;
	r->patches = foreign_alloc(r->f, descriptors, sizeof(*r->patches));
	if (!r->patches)
		return -ENOMEM;
	for (i = first; !err && i != NO_ENTRY; i = r->entries[i].next)
		err = replay_entry(r, &r->entries[i]);
	return err;
}

/**
 * struct flat - the places where patches start and end
 * @points: host offsets, sorted, without repetitions
 * @nr: how many
 * @owner: by number of a point: the newest patch from there to the next point, plus 1; 0:
 *	there is none
 * @skip: by number of a point: a later or the same one before which all have owners
 */
struct flat {
	u64 *points;
	u32 nr;
	u32 *owner;
	u32 *skip;
};

static int compare_points(const void *a, const void *b)
{
	const u64 *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static int find_points(struct replay *r, struct flat *flat)
{
	u32 i, n = 0;

	flat->points = foreign_alloc(r->f, r->nr_patches, 2 * sizeof(u64));
	flat->owner = foreign_alloc(r->f, r->nr_patches, 2 * sizeof(u32));
	flat->skip = foreign_alloc(r->f, r->nr_patches, 2 * sizeof(u32));
	if (!flat->points || !flat->owner || !flat->skip)
		return -ENOMEM;
	for (i = 0; i < r->nr_patches; i++) {
		flat->points[2 * i] = r->patches[i].start;
		flat->points[2 * i + 1] = r->patches[i].end;
	}
	foreign_sort(flat->points, 2 * r->nr_patches, sizeof(u64), compare_points);
	for (i = 0; i < 2 * r->nr_patches; i++)
		if (!n || flat->points[n - 1] != flat->points[i])
			flat->points[n++] = flat->points[i];
	for (i = 0; i < n; i++)
		flat->skip[i] = i;
	flat->nr = n;
	return 0;
}

static u64 point_of(const void *element)
{
	const u64 *point = element;

	return *point;
}

static u32 point_number(const struct flat *flat, u64 point)
{
	return foreign_search(flat->points, flat->nr, sizeof(*flat->points), point, point_of);
}

/* The first point from @i on that has no owner; the way there gets shorter each time. */
static u32 skip_owned(struct flat *flat, u32 i)
{
	while (flat->skip[i] != i) {
		flat->skip[i] = flat->skip[flat->skip[i]];
		i = flat->skip[i];
	}
	return i;
}

/* Newest first: a patch owns the points in it that no newer one owns. */
static void own_points(struct replay *r, struct flat *flat)
{
	u32 i, n;

	for (n = r->nr_patches; n-- > 0;) {
		i = skip_owned(flat, point_number(flat, r->patches[n].start));
		while (flat->points[i] < r->patches[n].end) {
			flat->owner[i] = n + 1;
			flat->skip[i] = i + 1;
			i = skip_owned(flat, i + 1);
		}
	}
}

/* Of patches that overlap, keep the parts of the newest. Those with data are all alike long. */
static int flatten(struct replay *r)
{
	struct flat flat;
	struct vhdx *v = r->v;
	struct vhdx_patch *p;
	u32 i;
	int err = find_points(r, &flat);

	if (err)
		return err;
	own_points(r, &flat);
	v->patches = foreign_alloc(r->f, r->nr_patches, 2 * sizeof(*v->patches));
	if (!v->patches)
		return -ENOMEM;
	for (i = 0; i + 1 < flat.nr; i++) {
		if (!flat.owner[i])
			continue;
		p = &v->patches[v->nr_patches++];
		*p = r->patches[flat.owner[i] - 1];
		p->start = flat.points[i];
		p->end = flat.points[i + 1];
	}
	return 0;
}

static int replay_log(struct replay *r)
{
	u32 first;
	int err = find_entries(r);

	if (err)
		return err;
	link_entries(r);
	first = choose_run(r);
	if (first == NO_ENTRY && r->torn)
		return foreign_fail(r->f, "has a log without a whole entry");
	if (first == NO_ENTRY)
		return 0;
	r->f->disk.dirty = true;
	err = replay_run(r, first);
	if (!err && r->nr_patches)
		err = flatten(r);
	return err;
}

/**
 * vhdx_replay() - replay the log in memory
 * @f: the image
 * @v: its numbers: the header; the log is set; gets patches and the size of the file
 *
 * Return: 0, or a negative errno with a message.
 */
int vhdx_replay(struct foreign *f, struct vhdx *v)
{
	static const u8 none[VHDX_GUID_BYTES];
	struct replay r = {
		.f = f,
		.v = v,
		.guid = v->header + 48,
		.sectors = v->log.bytes / VHDX_LOG_SECTOR,
	};

	if (!v->log.bytes)
		return 0;
	if (v->log.bytes % VHDX_ALIGN || v->log.host_offset % VHDX_ALIGN ||
	    v->log.host_offset < VHDX_ALIGN || v->log.host_offset > S64_MAX)
		return foreign_fail(f, "its header has a log of %llu bytes at offset %llu",
				    (unsigned long long)v->log.bytes,
				    (unsigned long long)v->log.host_offset);
	if (!memcmp(r.guid, none, sizeof(none)))
		return 0;
	if (get_le16(v->header + 64))
		return foreign_unsupported(f, "has a log of version %u, which is not supported; attach and detach it in Windows, which replays it",
					   get_le16(v->header + 64));
	if (v->log.host_offset > foreign_size(f, 0) ||
	    v->log.bytes > foreign_size(f, 0) - v->log.host_offset)
		return foreign_fail(f, "has a log that reaches past its end");
	r.entries = foreign_alloc(f, r.sectors, sizeof(*r.entries));
	return r.entries ? replay_log(&r) : -ENOMEM;
}
