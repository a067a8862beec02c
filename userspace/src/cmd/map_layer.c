// SPDX-License-Identifier: GPL-2.0
/*
 * Mapping of one image of a chain, in the terms of qemu-img map. Tables are read a
 * piece at a time, so that an image cannot decide on the memory; callers ask for ranges
 * in rising order, so that each piece is read once.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <unistd.h>

#include "cmd/map.h"
#include "image/foreign_image.h"
#include "lib/report.h"
#include "qcow/ondisk/entry.h"

/* Bytes of a table that are kept. */
#define WINDOW_BYTES	SZ_16K

/* A piece of a table. */
struct window {
	u64 host_offset;
	u32 len;
	void *buf;
};

/* A piece of a file that is either data or a hole. */
struct range {
	u64 start;
	u64 end;
	bool hole;
};

/**
 * struct map_layer - an image of a chain, and the state of the walk through it
 * @img: the image
 * @layout: of its tables
 * @size: bytes of its disk
 * @tables_left: L2 tables that it can still have
 * @table: the last one seen, as its L1 entry's number plus one
 * @l1: a piece of the L1 table
 * @l2: a piece of an L2 table
 * @last: the latest extent
 * @range: of the file that holds its data
 * @looked: whether @preallocated is known
 * @preallocated: see is_preallocated()
 * @number: of an image of a foreign format: the latest entry of its table
 */
struct map_layer {
	const struct image *img;
	struct qcow_layout layout;
	u64 size;
	u64 tables_left;
	u64 table;
	struct window l1;
	struct window l2;
	struct map_extent last;
	struct range range;
	bool looked;
	bool preallocated;
	u64 number;
};

/* QEMU counts disks in sectors. */
static u64 whole_sectors(u64 bytes)
{
	return ROUND_UP(bytes, SZ_512);
}

static void layer_init(struct map_layer *l, const struct image *img)
{
	l->img = img;
	l->size = whole_sectors(img->file.size);
	if (img->foreign)
		l->size = image_disk_size(img);
	if (!image_has_tables(img))
		return;
	qcow_layout_init(&l->layout, &img->header);
	l->size = img->header.size;
	l->tables_left = img->file.size / qcow_layout_l2_bytes(&l->layout) + 1;
}

/**
 * map_layers_new() - get ready to look at the images of a chain
 * @c: the open chain; has to stay until map_layers_free()
 *
 * Return: as many layers as the chain has images.
 */
struct map_layer *map_layers_new(const struct chain *c)
{
	struct map_layer *layers = xcalloc(c->nr, sizeof(*layers));
	u32 i;

	for (i = 0; i < c->nr; i++)
		layer_init(&layers[i], &c->images[i]);
	return layers;
}

/**
 * map_layers_free() - undo map_layers_new()
 * @layers: the layers
 * @nr: how many
 */
void map_layers_free(struct map_layer *layers, u32 nr)
{
	u32 i;

	for (i = 0; i < nr; i++) {
		free(layers[i].l1.buf);
		free(layers[i].l2.buf);
	}
	free(layers);
}

/**
 * map_layer_at() - a layer of a chain
 * @layers: from map_layers_new()
 * @depth: 0: the first image
 *
 * Return: the layer.
 */
struct map_layer *map_layer_at(struct map_layer *layers, u32 depth)
{
	return layers + depth;
}

/**
 * map_layer_size() - the size of an image's disk
 * @l: the layer
 *
 * Return: bytes, a multiple of 512.
 */
u64 map_layer_size(const struct map_layer *l)
{
	return l->size;
}

/* The file that holds an image's uncompressed data, unless its format is a foreign one. */
static const struct file *data_file(const struct map_layer *l)
{
	return image_has_data_file(l->img) ? &l->img->data : &l->img->file;
}

/**
 * map_layer_longest() - the size of the longest file of an image
 * @l: the layer
 *
 * Return: bytes.
 */
u64 map_layer_longest(const struct map_layer *l)
{
	u64 most = data_file(l)->size;
	u32 i;

	for (i = 0; i < image_nr_files(l->img); i++)
		if (image_file(l->img, i)->size > most)
			most = image_file(l->img, i)->size;
	return most;
}

/**
 * map_layer_has_files() - whether the data of an image may lie in several files
 * @l: the layer
 *
 * Return: whether it may.
 */
bool map_layer_has_files(const struct map_layer *l)
{
	return l->img->foreign;
}

/* --- Holes of a file --- */

/* Which range of a file @host_offset is in; where nobody knows, data to its end. */
static void find_range(const struct file *f, u64 host_offset, struct range *r)
{
	off_t data, end;

	if (host_offset >= r->start && host_offset < r->end)
		return;
	r->start = host_offset;
	r->end = whole_sectors(f->size);
	data = host_offset < r->end ? lseek(f->fd, host_offset, SEEK_DATA) : -1;
	if (data < 0) {
		r->hole = host_offset >= r->end || errno == ENXIO;
		if (r->hole)
			r->end = S64_MAX;
		return;
	}
	r->hole = (u64)data > host_offset;
	end = r->hole ? data : lseek(f->fd, host_offset, SEEK_HOLE);
	if (end > 0 && (u64)end > host_offset)
		r->end = end;
}

static void find_raw(struct map_layer *l, u64 start, struct map_extent *e)
{
	find_range(&l->img->file, start, &l->range);
	e->length = min(l->range.end, l->size) - start;
	e->data = !l->range.hole;
	e->zero = l->range.hole;
	e->mapped = true;
	e->host_offset = start;
}

/* --- Preallocated images --- */

/* Add to @used the refcounts that are not 0 of a block's first @nr. */
static int count_used(const struct image *img, u64 block, u64 nr, u64 *used)
{
	u32 order = img->header.refcount_order;
	u8 piece[SZ_4K];
	u64 per_piece = sizeof(piece) * 8 >> order;
	u64 i;

	for (i = 0; i < nr; i++) {
		if (!(i % per_piece) &&
		    file_read(&img->file, piece, sizeof(piece),
			      block + i / per_piece * sizeof(piece), NULL))
			return -1;
		*used += !!qcow_entry_refcount(piece, order, i % per_piece);
	}
	return 0;
}

/* The block of some refcounts; 0: there is none, -1: nonsense. */
static s64 refcount_block(const struct map_layer *l, u64 index)
{
	const struct qcow_header *h = &l->img->header;
	u64 entries = (u64)h->refcount_table_clusters << (h->cluster_bits - 3);
	__be64 raw = 0;
	s64 block;

	if (index < entries &&
	    file_read(&l->img->file, &raw, sizeof(raw),
		      h->refcount_table_offset + index * sizeof(raw), NULL))
		return -1;
	block = be64_to_cpu(raw) & QCOW_DISK_REFTABLE_OFFSET_MASK;
	return block & ((1LL << h->cluster_bits) - 1) ? -1 : block;
}

/*
 * Whether an image has more clusters than its file has blocks for. Then data that
 * it refers to may be holes of the file, and QEMU looks for them.
 */
static bool is_preallocated(const struct map_layer *l)
{
	const struct image *img = l->img;
	u32 bits = img->header.cluster_bits;
	u64 real = file_allocated(&img->file) >> bits;
	u64 enough = real * 10 / 9 > real + 2 ? real * 10 / 9 : real + 2;
	u64 end = (whole_sectors(img->file.size) + (1ULL << bits) - 1) >> bits;
	u64 per_block = (8ULL << bits) >> img->header.refcount_order;
	u64 used = 0, i;
	s64 block;

	/* The table has entries for no more; a part past it is not used. */
	end = min(end, ((u64)QCOW_DISK_MAX_REFTABLE_BYTES / sizeof(__be64)) * per_block);
	for (i = 0; i < end && used < enough; i += per_block) {
		block = refcount_block(l, i / per_block);
		if (block < 0 ||
		    (block && count_used(img, block, min(per_block, end - i), &used)))
			return false;
	}
	return used >= enough;
}

/* Look whether data in a file that is mostly holes is one of them. */
static void look_into_file(struct map_layer *l, struct map_extent *e)
{
	/* QEMU does not for version 1. Zeros that are decrypted are noise. */
	if (l->layout.version == 1 || l->img->header.crypt_method)
		return;
	if (!l->looked)
		l->preallocated = is_preallocated(l);
	l->looked = true;
	if (!l->preallocated)
		return;
	find_range(data_file(l), e->host_offset, &l->range);
	e->zero = l->range.hole;
	e->length = min(e->length, l->range.end - e->host_offset);
}

/* --- Tables --- */

/* An entry of a table, through a window of which @piece bytes are kept. */
static const void *table_entry(struct map_layer *l, struct window *w, u32 piece,
			       u64 table, u64 in_table, u64 *left)
{
	u64 host_offset = table + in_table / piece * piece;

	if (!w->buf)
		w->buf = xcalloc(1, WINDOW_BYTES);
	if (w->host_offset != host_offset || w->len != piece) {
		w->len = 0;
		if (file_read(&l->img->file, w->buf, piece, host_offset, NULL))
			return NULL;
		w->host_offset = host_offset;
		w->len = piece;
	}
	*left = piece - in_table % piece;
	return (const char *)w->buf + in_table % piece;
}

static int damaged(const struct map_layer *l, u64 start, const char *fault)
{
	report(l->img->file.name, "damaged entry for byte %llu of the disk: %s; restore it from a copy",
	       (unsigned long long)start, fault);
	return -1;
}

/* Only zeros that keep a cluster which cannot be one are repaired. */
static bool is_repaired(const struct map_layer *l, const __be64 *entry)
{
	u64 raw = be64_to_cpu(entry[0]);
	u64 bitmap = l->layout.extended_l2 ? be64_to_cpu(entry[1]) : 0;
	u64 unaligned = raw & QCOW_DISK_L2E_OFFSET_MASK &
			((1ULL << l->layout.cluster_bits) - 1);

	return l->layout.version > 1 && !(raw & QCOW_DISK_L2E_COMPRESSED) && unaligned &&
	       (l->layout.extended_l2 ? !(u32)bitmap : raw & QCOW_DISK_L2E_ZERO);
}

static int damaged_l2(const struct map_layer *l, u64 start, const __be64 *entry,
		      const char *fault)
{
	if (!is_repaired(l, entry))
		return damaged(l, start, fault);
	report(l->img->file.name, "damaged entry for byte %llu of the disk: %s; repair the image with qcowctl check --repair=all",
	       (unsigned long long)start, fault);
	return -1;
}

/*
 * The L2 table for a byte of the disk. @none: bytes of the disk from @start on
 * that have no table, or 0.
 */
static int find_l2(struct map_layer *l, u64 start, u64 *table, u64 *none)
{
	u32 shift = qcow_layout_l1_shift(&l->layout);
	u64 index = start >> shift, left, i;
	const __be64 *l1 = table_entry(l, &l->l1, WINDOW_BYTES,
				       l->img->header.l1_table_offset,
				       index * sizeof(*l1), &left);

	if (!l1)
		return -1;
	*none = 0;
	if (qcow_entry_l1(&l->layout, be64_to_cpu(l1[0]), table))
		return damaged(l, start, "offset of its table is not aligned");
	if (!*table) {
		for (i = 1; i < left / sizeof(*l1) &&
		     !qcow_entry_l1(&l->layout, be64_to_cpu(l1[i]), table) &&
		     !*table; i++)
			;
		*none = ((index + i) << shift) - start;
		return 0;
	}
	/* Each table has its own place: so many, or one is used twice. */
	if (l->table != index + 1 && !l->tables_left--)
		return damaged(l, start, "more tables than the file has room for");
	l->table = index + 1;
	return 0;
}

static int decode(const struct map_layer *l, const __be64 *entry, u64 start,
		  struct qcow_entry *d)
{
	u64 bitmap = l->layout.extended_l2 ? be64_to_cpu(entry[1]) : 0;

	int err = qcow_entry_l2(&l->layout, be64_to_cpu(entry[0]), bitmap, start, d);

	if (err)
		return err;
	/* A plain zero cluster in a data file: without an offset, as in QEMU. */
	if (!l->layout.extended_l2 && d->type == QCOW_EXTENT_ZERO &&
	    !(be64_to_cpu(entry[0]) & QCOW_DISK_L2E_OFFSET_MASK))
		d->mapped = false;
	return 0;
}

static bool continues(const struct qcow_entry *first, u64 length,
		      const struct qcow_entry *next)
{
	return next->type == first->type && next->mapped == first->mapped &&
	       (!first->mapped || next->host_offset == first->host_offset + length);
}

/*
 * How far it goes on as it began with @first, within a piece of a table. Not to a
 * damaged entry: an image above may hide that.
 */
static void extend(const struct map_layer *l, const __be64 *entries, u64 nr,
		   const struct qcow_entry *first, struct map_extent *e)
{
	u64 grain = 1ULL << l->layout.grain_bits;
	u64 cluster = 1ULL << l->layout.cluster_bits;
	u64 base = e->start & ~(cluster - 1);
	u32 words = l->layout.extended_l2 ? 2 : 1;
	struct qcow_entry next;
	u64 guest_offset;

	e->length = grain - (e->start & (grain - 1));
	for (;;) {
		guest_offset = e->start + e->length;
		if (guest_offset >= l->size || (guest_offset - base) / cluster >= nr ||
		    decode(l, entries + (guest_offset - base) / cluster * words, guest_offset,
			   &next) ||
		    !continues(first, e->length, &next))
			return;
		e->length += grain;
	}
}

static int find_entry(struct map_layer *l, u64 table, u64 start,
		      struct map_extent *e)
{
	u32 bits = l->layout.cluster_bits;
	u32 piece = min(WINDOW_BYTES, qcow_layout_l2_bytes(&l->layout));
	u64 index = (start >> bits) & ((1ULL << l->layout.l2_bits) - 1);
	struct qcow_entry d;
	u64 left;
	const __be64 *entry = table_entry(l, &l->l2, piece, table,
					  index << l->layout.entry_bits, &left);

	if (!entry)
		return -1;
	if (decode(l, entry, start, &d))
		return damaged_l2(l, start, entry, d.fault);
	extend(l, entry, left >> l->layout.entry_bits, &d, e);
	e->zero = d.type == QCOW_EXTENT_ZERO;
	e->compressed = d.type == QCOW_EXTENT_COMPRESSED;
	e->data = e->compressed || d.type == QCOW_EXTENT_DATA;
	e->mapped = d.mapped;
	e->host_offset = d.mapped ? d.host_offset : 0;
	if (e->data && e->mapped)
		look_into_file(l, e);
	return 0;
}

static int find_mapped(struct map_layer *l, u64 start, struct map_extent *e)
{
	u64 table, none;

	if (find_l2(l, start, &table, &none))
		return -1;
	e->length = none;
	if (!none && find_entry(l, table, start, e))
		return -1;
	e->length = min(e->length, l->size - start);
	return 0;
}

/* --- Images of foreign formats --- */

/* The number of the entry of a guest offset, by that of the one before if that is near. */
static int find_number(struct map_layer *l, struct table *t, u64 start)
{
	struct qcow_map_entry e;
	u64 end;
	int err = 0;

	for (; !err && l->number + 1 < t->header.nr_entries; l->number++) {
		err = table_get(t, l->number, &e, &end);
		if (err || (start >= e.start && start < end))
			break;
		if (start < e.start || start - end > SZ_64M)
			return table_find(t, start, &l->number);
	}
	return err;
}

static void from_entry(struct map_layer *l, const struct qcow_map_entry *found, u64 end,
		       struct map_extent *e)
{
	u64 skip = e->start - found->start;

	e->length = end - e->start;
	e->zero = found->kind == QCOW_MAP_ZERO;
	e->compressed = found->kind == QCOW_MAP_COMPRESSED;
	e->mapped = found->kind == QCOW_MAP_DATA;
	e->data = e->mapped || e->compressed;
	if (e->data)
		e->file = image_file(l->img, found->file);
	if (e->mapped)
		e->host_offset = found->host + skip;
}

static int find_foreign(struct map_layer *l, u64 start, struct map_extent *e)
{
	struct table *t = &l->img->foreign->parsed.table;
	struct qcow_map_entry found;
	u64 end;
	int err = find_number(l, t, start);

	if (!err)
		err = table_get(t, l->number, &found, &end);
	if (err) {
		report(l->img->file.name, "its table cannot be read: %s; do it again",
		       strerror(-err));
		return -1;
	}
	from_entry(l, &found, end, e);
	return 0;
}

static int find_extent(struct map_layer *l, u64 start, struct map_extent *e)
{
	if (l->img->foreign)
		return find_foreign(l, start, e);
	e->file = data_file(l);
	if (image_has_tables(l->img))
		return find_mapped(l, start, e);
	find_raw(l, start, e);
	return 0;
}

/**
 * map_layer_find() - find the extent of a byte of the disk
 * @l: the layer
 * @start: the byte, below map_layer_size() and not below that asked for last
 * @e: the result: from @start to where that changes, or earlier
 *
 * Return: 0, or -1 after printing the error.
 */
int map_layer_find(struct map_layer *l, u64 start, struct map_extent *e)
{
	struct map_extent *last = &l->last;
	u64 skip = start - last->start;

	if (start < last->start || skip >= last->length) {
		memset(last, 0, sizeof(*last));
		last->start = start;
		if (find_extent(l, start, last))
			return -1;
		skip = 0;
	}
	*e = *last;
	e->start += skip;
	e->length -= skip;
	if (e->mapped)
		e->host_offset += skip;
	return 0;
}

/**
 * map_find() - find the range of the disk that begins at a byte
 * @layers: from map_layers_new()
 * @nr: how many
 * @start: the byte, not below the one of the call before; within the disk
 * @n: the result: the first layer that has the byte, or that shows no layer below it
 *
 * Return: 0, or -1 after printing the error.
 */
int map_find(struct map_layer *layers, u32 nr, u64 start, struct map_entry *n)
{
	u64 length = map_layer_size(layers) - start;
	struct map_layer *below;

	for (n->depth = 0;; n->depth++) {
		if (map_layer_find(map_layer_at(layers, n->depth), start, &n->e))
			return -1;
		length = min(length, n->e.length);
		n->e.length = length;
		n->present = n->e.data || n->e.zero;
		if (n->present)
			return 0;
		if (n->depth + 1 == nr)
			break;
		below = map_layer_at(layers, n->depth + 1);
		if (start >= map_layer_size(below))
			break;
	}
	n->e.zero = true;
	return 0;
}
