// SPDX-License-Identifier: GPL-2.0
/*
 * Maps: images of formats that the driver does not know. A table, which a program made,
 * gives the place of each piece of the disk (qcow_map.h). image.c opens them, for reading
 * only.
 *
 * The whole table is checked when the image is opened. Its pages then come and go through
 * the cache, so that a large table needs little memory: only the first guest offset of each
 * page stays. Nothing keeps the table from being changed meanwhile, so an entry that is used
 * is checked again.
 */
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "file/cache.h"
#include "file/comp.h"
#include "meta/fmt.h"
#include "meta/trace.h"
#include "ondisk/map_table.h"

/* A page of the table, which is a slice of the cache */
#define MAP_PAGE_BITS		12
#define MAP_PAGE_BYTES		BIT(MAP_PAGE_BITS)
#define MAP_PAGE_ENTRIES	(MAP_PAGE_BYTES / sizeof(struct qcow_map_entry))

/* Pages that are read at once when the table is checked */
#define MAP_READ_PAGES		16

/**
 * struct qcow_map_table - an image's table
 * @header: its header
 * @nr_pages: pages of entries
 * @keys: guest offset at which each page begins
 */
struct qcow_map_table {
	struct qcow_map_header header;
	u32 nr_pages;
	u64 *keys;
};

/* A codec that the kernel was built without is NULL. */
static const struct qcow_codec *const map_codecs[] = {
#define QCOW_MAP_CODEC(number, name, codec, built) \
	[QCOW_MAP_##number] = (built) ? &(codec) : NULL,
#include "ondisk/map_codecs.h"
};

/* --- Checking the whole table --- */

/**
 * struct map_check - the state of a check of the table
 * @img: the image
 * @direct: the choice of the user between direct I/O and the page cache
 * @msg: says what is wrong
 * @number: entries that were read
 * @last: the last one of them, whose end is not known yet
 */
struct map_check {
	struct qcow_image *img;
	enum qcow_direct direct;
	struct qcow_msg *msg;
	u64 number;
	struct qcow_map_entry last;
};

static int check_fails(const struct map_check *c, const char *fault)
{
	return qcow_fail(c->msg, -EINVAL, "entry %llu of its table is wrong: %s",
			 c->number - 1, fault);
}

/* A file that is salvaged may end anywhere. */
static bool file_has(const struct qcow_file *f, u64 host_offset, u64 len)
{
	return f->strict || (host_offset <= f->size &&
			     len <= round_up(f->size, SZ_512) - host_offset);
}

/*
 * Direct I/O can address few pieces of a file if one is not aligned like the disk. Then the
 * page cache serves all of them.
 */
static int check_alignment(const struct map_check *c, struct qcow_file *f)
{
	if (!f->direct || !((c->last.host - c->last.start) & f->dio_mask))
		return 0;
	if (c->direct == QCOW_DIRECT_ON)
		return qcow_fail(c->msg, -EOPNOTSUPP, "has data at host offset %#llx, which is not aligned for direct I/O",
				 c->last.host);
	qcow_file_use_cache(f);
	return 0;
}

static int check_place(const struct map_check *c, u64 guest_end)
{
	const struct qcow_map_entry *e = &c->last;
	struct qcow_file *f;

	if (e->kind == QCOW_MAP_DATA) {
		f = qcow_image_file(c->img, e->file);
		if (!file_has(f, e->host, guest_end - e->start))
			return check_fails(c, "past the end of its file");
		return check_alignment(c, f);
	} else if (e->kind == QCOW_MAP_COMPRESSED) {
		if (!map_codecs[e->codec])
			return qcow_fail_as(c->msg, QCOW_MSG_UNSUPPORTED, -EOPNOTSUPP, "has chunks compressed with %s, for which the kernel was built without support",
					    qcow_map_table_codec_name(e->codec));
		if (!file_has(qcow_image_file(c->img, e->file), e->host, 1))
			return check_fails(c, "past the end of its file");
	}
	return 0;
}

/* Check the last entry, whose end is known by now. */
static int check_last(const struct map_check *c, u64 guest_end)
{
	const char *fault;

	fault = qcow_map_table_fault(&c->img->map_table->header, &c->last, guest_end);
	return fault ? check_fails(c, fault) : check_place(c, guest_end);
}

static int check_entry(struct map_check *c, const struct qcow_map_entry *e)
{
	int err = 0;

	if (c->number)
		err = check_last(c, e->start);
	else if (e->start)
		err = qcow_fail(c->msg, -EINVAL, "its table does not begin with the disk");
	if (!err && c->number % MAP_PAGE_ENTRIES == 0)
		c->img->map_table->keys[c->number / MAP_PAGE_ENTRIES] = e->start;
	c->last = *e;
	c->number++;
	return err;
}

/* Read and check some pages of entries. */
static int check_pages(struct map_check *c, void *buf, u32 bytes)
{
	u64 nr_entries = c->img->map_table->header.nr_entries;
	const struct qcow_map_entry *entries = buf;
	u64 table_offset = QCOW_MAP_HEADER_BYTES + c->number * sizeof(*entries);
	u32 i, nr;
	int err;

	nr = min_t(u64, bytes / sizeof(*entries), nr_entries - c->number);
	err = qcow_file_pread(&c->img->table, table_offset, buf, nr * sizeof(*entries));
	if (err)
		return qcow_fmt_read_error(c->msg, err, "table");
	for (i = 0; !err && i < nr; i++)
		err = check_entry(c, &entries[i]);
	cond_resched();
	return err ?: (fatal_signal_pending(current) ? -EINTR : 0);
}

static int map_check_all(struct qcow_image *img, enum qcow_direct direct,
			 struct qcow_msg *msg)
{
	const struct qcow_map_header *h = &img->map_table->header;
	struct map_check c = { .img = img, .direct = direct, .msg = msg };
	u32 bytes = MAP_READ_PAGES * MAP_PAGE_BYTES;
	void *buf = kvmalloc(bytes, GFP_KERNEL);
	int err = 0;

	if (!buf)
		return -ENOMEM;
	while (!err && c.number < h->nr_entries)
		err = check_pages(&c, buf, bytes);
	kvfree(buf);
	return err ?: check_last(&c, h->disk_size);
}

/* --- Opening --- */

static int map_read_header(struct qcow_image *img, struct qcow_msg *msg)
{
	struct qcow_map_header *h = &img->map_table->header;
	void *page = kmalloc(QCOW_MAP_HEADER_BYTES, GFP_KERNEL);
	int err;

	if (!page)
		return -ENOMEM;
	err = qcow_file_pread(&img->table, 0, page, QCOW_MAP_HEADER_BYTES);
	if (err)
		err = qcow_fmt_read_error(msg, err, "table");
	else if (memchr_inv(page + sizeof(*h), 0, QCOW_MAP_HEADER_BYTES - sizeof(*h)))
		err = qcow_fail(msg, -EINVAL, "its table has unknown parts");
	memcpy(h, page, sizeof(*h));
	kfree(page);
	if (!err)
		err = qcow_map_table_check_header(h, msg);
	if (!err && img->table.size < QCOW_MAP_HEADER_BYTES +
				      h->nr_entries * sizeof(struct qcow_map_entry))
		err = qcow_fail(msg, -EINVAL, "its table is cut off");
	if (!err && h->nr_files != img->nr_files + 1)
		err = qcow_fail(msg, -EINVAL, "its table is for %u files, and it was given %u",
				h->nr_files, img->nr_files + 1);
	return err;
}

static int map_open_table(struct qcow_image *img, const struct qcow_params *params,
			  struct qcow_msg *msg)
{
	struct qcow_map_table *map = img->map_table;
	int err = map_read_header(img, msg);

	if (err)
		return err;
	map->nr_pages = DIV_ROUND_UP_ULL(map->header.nr_entries, MAP_PAGE_ENTRIES);
	map->keys = kvmalloc_array(map->nr_pages, sizeof(*map->keys), GFP_KERNEL);
	img->cache = qcow_cache_create(&img->table, MAP_PAGE_BITS, params->cache_bytes);
	img->comp = qcow_comp_create(params->comp_wq, params->stats);
	if (IS_ERR(img->cache)) {
		err = PTR_ERR(img->cache);
		img->cache = NULL;
	}
	if (err || !map->keys || !img->comp)
		return err ?: -ENOMEM;
	return map_check_all(img, params->direct, msg);
}

/*
 * Whether a file of the image has a name, so that the image may have named it. Data that a
 * program has decompressed for the driver lies in files without a name.
 */
static bool map_has_named_file(const struct qcow_image *img)
{
	u32 i;

	for (i = 0; i < img->nr_files; i++)
		if (file_inode(img->files[i].file)->i_nlink)
			return true;
	return false;
}

static int map_open(struct qcow_image *img, const struct qcow_params *params,
		    struct qcow_msg *msg)
{
	int err;

	if (params->snapshot)
		return qcow_fail(msg, -EINVAL, "has no snapshots that the driver knows");
	if (params->writable)
		return qcow_advise(msg, -EROFS, "is of a format that is only read; attach it read-only with -r, or with --temporary");
	if (params->untrusted && map_has_named_file(img))
		return qcow_advise(msg, -EPERM, "has more than one file with a name, which an untrusted image must not have; attach it without --untrusted if you trust it");
	if (!img->table.file)
		return qcow_fail(msg, -EINVAL, "was given no table");
	img->map_table = kzalloc(sizeof(*img->map_table), GFP_KERNEL);
	if (!img->map_table)
		return -ENOMEM;
	err = map_open_table(img, params, msg);
	img->size = img->map_table->header.disk_size;
	img->sector_size = img->map_table->header.sector_size;
	img->wants_backing = img->map_table->header.flags & QCOW_MAP_HAS_HOLES;
	return err;
}

static void map_close(struct qcow_image *img)
{
	qcow_comp_destroy(img->comp);
	qcow_cache_destroy(img->cache);
	if (img->map_table)
		kvfree(img->map_table->keys);
	kfree(img->map_table);
}

/* --- Mapping --- */

/* A piece of the disk to map, and the end of the disk that the page has */
struct map_want {
	u64 guest_offset;
	u64 len;
	u64 page_end;
	u32 entries;
};

/* Return: number of the page that has a guest offset. */
static u32 map_page_of(const struct qcow_map_table *map, u64 guest_offset)
{
	u32 low = 0, high = map->nr_pages, mid;

	while (high - low > 1) {
		mid = low + (high - low) / 2;
		if (map->keys[mid] <= guest_offset)
			low = mid;
		else
			high = mid;
	}
	return low;
}

/* Return: number of the entry in a page that has a guest offset. */
static u32 map_entry_of(const struct qcow_map_entry *entries, const struct map_want *want)
{
	u32 low = 0, high = want->entries, mid;

	while (high - low > 1) {
		mid = low + (high - low) / 2;
		if (READ_ONCE(entries[mid].start) <= want->guest_offset)
			low = mid;
		else
			high = mid;
	}
	return low;
}

/* Bytes of a chunk that the file had at the attach: zeros must not follow a cut stream. */
static u32 map_stored(const struct qcow_file *f, const struct qcow_map_entry *e)
{
	return e->host < f->size ? min_t(u64, e->stored, f->size - e->host) : e->stored;
}

static void map_to_extent(struct qcow_image *img, const struct qcow_map_entry *e,
			  u64 in_piece, struct qcow_extent *ext)
{
	ext->copied = false;
	ext->mapped = false;
	ext->host_offset = e->host;
	switch (e->kind) {
	case QCOW_MAP_HOLE:
		ext->type = QCOW_EXTENT_HOLE;
		break;
	case QCOW_MAP_ZERO:
		ext->type = QCOW_EXTENT_ZERO;
		break;
	case QCOW_MAP_DATA:
		ext->type = QCOW_EXTENT_DATA;
		ext->mapped = true;
		ext->host_offset += in_piece;
		ext->file = qcow_image_file(img, e->file);
		break;
	case QCOW_MAP_COMPRESSED:
		ext->type = QCOW_EXTENT_COMPRESSED;
		ext->file = qcow_image_file(img, e->file);
		ext->codec = map_codecs[e->codec];
		ext->csize = map_stored(ext->file, e);
		ext->cluster_bytes = e->plain;
		ext->in_cluster = e->skip + in_piece;
		break;
	}
}

/* Map with a page of the table, which may have been changed. */
static int map_in_page(struct qcow_image *img, const struct qcow_map_entry *entries,
		       const struct map_want *want, struct qcow_extent *ext)
{
	u32 i = map_entry_of(entries, want);
	struct qcow_map_entry e = entries[i];
	u64 end = i + 1 < want->entries ? READ_ONCE(entries[i + 1].start) : want->page_end;

	if (unlikely(e.start > want->guest_offset || end <= want->guest_offset ||
		     qcow_map_table_fault(&img->map_table->header, &e, end) ||
		     (e.kind == QCOW_MAP_COMPRESSED && !map_codecs[e.codec]))) {
		qcow_image_damaged(img, want->guest_offset, "its table was changed");
		return -EIO;
	}
	map_to_extent(img, &e, want->guest_offset - e.start, ext);
	ext->len = min(want->len, end - want->guest_offset);
	trace_qcow_map(img->label, want->guest_offset, ext->len, ext->type,
		       ext->host_offset);
	return 0;
}

static int map_unreadable(struct qcow_image *img, int err)
{
	if (err == -ENOMEM)
		return err;
	qcow_img_err_ratelimited(img, "cannot read its table: error %d\n", err);
	return -EIO;
}

static int map_map(struct qcow_image *img, u64 guest_offset, u64 len, unsigned int flags,
		   struct qcow_extent *ext)
{
	const struct qcow_map_table *map = img->map_table;
	u32 page = map_page_of(map, guest_offset);
	u64 table_offset = QCOW_MAP_HEADER_BYTES + ((u64)page << MAP_PAGE_BITS);
	bool last = page + 1 == map->nr_pages;
	struct map_want want = {
		.guest_offset = guest_offset,
		.len = len,
		.page_end = last ? img->size : map->keys[page + 1],
		.entries = last ? map->header.nr_entries - (u64)page * MAP_PAGE_ENTRIES :
				  MAP_PAGE_ENTRIES,
	};
	struct qcow_slice *pinned;
	const void *entries;
	int err = -EAGAIN;

	rcu_read_lock();
	entries = qcow_cache_peek(img->cache, table_offset);
	if (likely(entries))
		err = map_in_page(img, entries, &want, ext);
	rcu_read_unlock();
	if (likely(entries)) {
		qcow_count(img->stats, &img->stats->hits, 1);
		return err;
	}
	if (flags & QCOW_IO_NOWAIT)
		return -EAGAIN;
	qcow_count(img->stats, &img->stats->misses, 1);
	pinned = qcow_cache_get(img->cache, table_offset);
	if (IS_ERR(pinned))
		return map_unreadable(img, PTR_ERR(pinned));
	err = map_in_page(img, (const void *)pinned->data, &want, ext);
	qcow_cache_put(pinned);
	return err;
}

const struct qcow_format_ops qcow_fmt_map = {
	.name = "map",
	.open = map_open,
	.close = map_close,
	.map = map_map,
};

/**
 * qcow_map_table_format() - name the format of an image that is a map
 * @img: the image
 *
 * Context: any.
 *
 * Return: the name that its table gives.
 */
const char *qcow_map_table_format(const struct qcow_image *img)
{
	return img->map_table->header.format;
}
