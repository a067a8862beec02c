// SPDX-License-Identifier: GPL-2.0
/*
 * Builds qcow2 images in memory. The expected content of the disk is put together from
 * the contents of the clusters, and never by looking at the image.
 */
#include <linux/log2.h>
#include <linux/math64.h>
#include <linux/slab.h>

#include <uapi/linux/qcow.h>

#include "compat/compat_test.h"
#include "builder.h"
#include "codec.h"
#include "ondisk/format.h"
#include "qtest.h"

#define GARBAGE		0xbd
#define NAME		"backing.img"
#define NAME_AT		300

/* An image being built. */
struct build {
	struct builder_image *b;
	const struct builder_spec *spec;
	struct rnd_state *rnd;
	u64 cluster;
	u32 l2_entries;
	u32 entry_bytes;
	u64 l1_at;
	u32 l1_size;
	u64 end;
	u32 kind;
	bool shared;
	u8 *plain;
};

/* --- Contents --- */

/* Words of which most repeat: it compresses, and no two places are the same. */
static void fill_content(struct rnd_state *rnd, u8 *p, u64 len)
{
	u64 in_cluster = 0, n;
	u8 piece[64];

	while (in_cluster < len) {
		n = min_t(u64, len - in_cluster, sizeof(piece));
		memset(piece, prandom_u32_state(rnd), sizeof(piece));
		put_unaligned_be64(qtest_u64(rnd), piece);
		memcpy(p + in_cluster, piece, n);
		in_cluster += n;
		/* The same again a few times. */
		while (in_cluster < len && !qtest_one_in(rnd, 4)) {
			n = min_t(u64, len - in_cluster, sizeof(piece));
			memcpy(p + in_cluster, piece, n);
			in_cluster += n;
		}
	}
}

static bool pick_kind_is_possible(const struct builder_spec *s, u32 kind)
{
	switch (kind) {
	case BUILDER_ZERO:
	case BUILDER_ZERO_ALLOC:
		return s->version == 3;
	case BUILDER_COMPRESSED:
		/* Many of them refer to one cluster of the file. */
		return !s->data_file && (!s->writable || s->order >= 3);
	case BUILDER_SUBCLUSTERS:
		return s->extended_l2;
	}
	return true;
}

/* Often the same as that of the cluster before. */
static u32 pick_kind(struct build *w)
{
	const struct builder_spec *s = w->spec;
	u32 kind, tries;

	if (w->kind && qtest_one_in(w->rnd, 2))
		return w->kind;
	for (tries = 0; tries < 100; tries++) {
		kind = 1 << qtest_below(w->rnd, 6);
		if (s->kinds & kind && pick_kind_is_possible(s, kind))
			break;
		kind = BUILDER_HOLE;
	}
	w->kind = kind;
	return kind;
}

/* --- Clusters --- */

/* A cluster in the file, often behind the one before. Return: where. */
static u64 take_cluster(struct build *w)
{
	u64 host_offset = round_up(w->end, w->cluster);

	if (!w->spec->tidy && qtest_one_in(w->rnd, 6))
		host_offset += w->cluster;
	if (WARN_ON(host_offset + w->cluster > w->b->capacity))
		host_offset = 0;
	w->end = host_offset + w->cluster;
	return host_offset;
}

static void put_entry(struct build *w, struct builder_cluster *c, u64 raw,
		      u64 bitmap)
{
	put_unaligned_be64(raw, w->b->file + c->l2_at);
	if (w->spec->extended_l2)
		put_unaligned_be64(bitmap, w->b->file + c->l2_at + 8);
}

/* The entry of a cluster that has one in the file, or in the data file. */
static u64 entry_of(struct build *w, u64 host)
{
	bool copied = w->spec->data_file || !qtest_one_in(w->rnd, 8);

	if (w->shared)
		copied = false;
	else if (w->spec->writable && !w->spec->order)
		copied = true;
	return host | (copied ? QCOW_DISK_E_COPIED : 0);
}

/* Takes a cluster for guest data and fills it. Return: its memory. */
static u8 *take_data(struct build *w, struct builder_cluster *c, u64 guest,
		     const void *content)
{
	u8 *p;

	if (w->spec->data_file) {
		c->host = guest;
		p = w->b->data + guest;
	} else {
		c->host = take_cluster(w);
		c->host_len = w->cluster;
		p = w->b->file + c->host;
	}
	if (content)
		memcpy(p, content, w->cluster);
	else
		memset(p, GARBAGE, w->cluster);
	return p;
}

/* Bytes of the cluster at @guest that are inside the disk. */
static u64 inside(struct build *w, u64 guest, u64 len)
{
	return guest < w->b->size ? min(len, w->b->size - guest) : 0;
}

static void expect(struct build *w, u64 guest, const u8 *content, u64 len)
{
	len = inside(w, guest, len);
	if (content)
		memcpy(w->b->expect + guest, content, len);
	else
		memset(w->b->expect + guest, 0, len);
}

static void build_zero(struct build *w, struct builder_cluster *c, u64 guest,
		       bool allocated)
{
	u64 raw = 0;

	if (allocated) {
		take_data(w, c, guest, NULL);
		raw = entry_of(w, c->host);
	}
	if (!w->spec->extended_l2)
		raw |= QCOW_DISK_L2E_ZERO;
	put_entry(w, c, raw, (u64)U32_MAX << 32);
	expect(w, guest, NULL, w->cluster);
}

static void build_data(struct build *w, struct builder_cluster *c, u64 guest)
{
	fill_content(w->rnd, w->plain, w->cluster);
	take_data(w, c, guest, w->plain);
	put_entry(w, c, entry_of(w, c->host), U32_MAX);
	expect(w, guest, w->plain, w->cluster);
}

/* Compressed data is stored at the end of the file, at any byte. */
static void build_compressed(struct build *w, struct builder_cluster *c,
			     u64 guest)
{
	u32 shift = 70 - w->spec->cluster_bits;
	u64 host_offset = w->end, sectors;
	size_t n;

	fill_content(w->rnd, w->plain, w->cluster);
	n = (w->spec->zstd ? codec_zstd : codec_deflate)
		(w->b->file + host_offset, min(w->cluster, w->b->capacity - host_offset),
		 w->plain, w->cluster);
	if (!n) {
		build_data(w, c, guest);
		return;
	}
	sectors = (host_offset % 512 + n - 1) / 512;
	c->host = host_offset;
	c->host_len = n;
	w->end = host_offset + n;
	put_entry(w, c, QCOW_DISK_L2E_COMPRESSED | sectors << shift | host_offset,
		  qtest_u64(w->rnd));
	expect(w, guest, w->plain, w->cluster);
}

static void build_subclusters(struct build *w, struct builder_cluster *c,
			      u64 guest)
{
	u32 a = prandom_u32_state(w->rnd), z = prandom_u32_state(w->rnd) & ~a;
	u64 sub = w->cluster / 32, i;

	/* Long runs as well. */
	if (qtest_one_in(w->rnd, 2)) {
		a = U32_MAX << (a & 31);
		z = ~a & (z & 1 ? U32_MAX : 0);
	}
	fill_content(w->rnd, w->plain, w->cluster);
	take_data(w, c, guest, w->plain);
	put_entry(w, c, entry_of(w, c->host), (u64)z << 32 | a);
	for (i = 0; i < 32; i++) {
		if (a >> i & 1)
			expect(w, guest + i * sub, w->plain + i * sub, sub);
		else if (z >> i & 1)
			expect(w, guest + i * sub, NULL, sub);
	}
}

static void build_cluster(struct build *w, u32 index)
{
	struct builder_cluster *c = &w->b->clusters[index];
	u64 guest = (u64)index * w->cluster;
	u32 kind = pick_kind(w);

	switch (kind) {
	case BUILDER_ZERO:
	case BUILDER_ZERO_ALLOC:
		build_zero(w, c, guest, kind == BUILDER_ZERO_ALLOC);
		break;
	case BUILDER_DATA:
		build_data(w, c, guest);
		break;
	case BUILDER_COMPRESSED:
		build_compressed(w, c, guest);
		break;
	case BUILDER_SUBCLUSTERS:
		build_subclusters(w, c, guest);
		break;
	}
}

/* --- Tables --- */

static void build_l2_table(struct build *w, u32 l1_index)
{
	u32 first = l1_index * w->l2_entries, i;
	u64 l1_at = w->l1_at + l1_index * 8ULL, host_offset;

	for (i = first; i < w->b->nr_clusters && i < first + w->l2_entries; i++)
		w->b->clusters[i].l1_at = l1_at;
	/* None, so all of it is a hole. */
	if (!w->spec->tidy && w->spec->kinds & BUILDER_HOLE &&
	    qtest_one_in(w->rnd, 6))
		return;
	host_offset = take_cluster(w);
	w->shared = w->spec->writable && !w->spec->tidy && w->spec->order &&
		    qtest_one_in(w->rnd, 4);
	put_unaligned_be64(host_offset | (w->shared ? 0 : QCOW_DISK_E_COPIED),
			   w->b->file + l1_at);
	for (i = first; i < w->b->nr_clusters && i < first + w->l2_entries; i++) {
		w->b->clusters[i].l2_at = host_offset + (u64)(i - first) * w->entry_bytes;
		build_cluster(w, i);
	}
}

static u32 put_extension(u8 *p, u32 type, const void *data, u32 len)
{
	put_unaligned_be32(type, p);
	put_unaligned_be32(len, p + 4);
	memcpy(p + 8, data, len);
	return 8 + round_up(len, 8);
}

static void build_extensions(struct build *w, u32 host_offset)
{
	u8 *file = w->b->file;

	if (w->spec->backing)
		host_offset += put_extension(file + host_offset,
					     QCOW_DISK_EXT_BACKING_FORMAT, "raw", 3);
	if (w->spec->data_file)
		host_offset += put_extension(file + host_offset, QCOW_DISK_EXT_DATA_FILE,
					     "data", 4);
	put_extension(file + host_offset, 0x77777777, "whatever", 8);
	if (w->spec->backing)
		memcpy(file + NAME_AT, NAME, sizeof(NAME) - 1);
}

static void build_header(struct build *w)
{
	struct qcow_disk_header *d = (struct qcow_disk_header *)w->b->file;
	const struct builder_spec *s = w->spec;
	u64 incompatible = 0;

	d->magic = cpu_to_be32(QCOW_DISK_MAGIC);
	d->version = cpu_to_be32(s->version);
	if (s->backing) {
		d->backing_file_offset = cpu_to_be64(NAME_AT);
		d->backing_file_size = cpu_to_be32(sizeof(NAME) - 1);
	}
	d->cluster_bits = cpu_to_be32(s->cluster_bits);
	d->size = cpu_to_be64(s->size);
	d->l1_size = cpu_to_be32(w->l1_size);
	d->l1_table_offset = cpu_to_be64(w->l1_at);
	d->refcount_table_offset = cpu_to_be64(w->cluster);
	d->refcount_table_clusters = cpu_to_be32(1);
	if (s->version == 3) {
		incompatible |= s->extended_l2 ? QCOW_DISK_INCOMPAT_EXTL2 : 0;
		incompatible |= s->data_file ? QCOW_DISK_INCOMPAT_DATA_FILE : 0;
		incompatible |= s->zstd ? QCOW_DISK_INCOMPAT_COMPRESSION : 0;
		d->incompatible_features = cpu_to_be64(incompatible);
		d->refcount_order = cpu_to_be32(s->writable ? s->order : 4);
		d->header_length = cpu_to_be32(112);
		d->compression_type = s->zstd;
	}
	build_extensions(w, s->version == 3 ? 112 : 72);
}

/* --- An image --- */

static int build_alloc(struct build *w)
{
	struct builder_image *b = w->b;
	u32 l2_tables = w->l1_size;
	u64 l1_bytes = round_up(w->l1_size * 8ULL, w->cluster);

	b->nr_clusters = DIV64_U64_ROUND_UP(b->size, w->cluster);
	/* Every cluster may come with one that is left out. */
	b->capacity = 4 * w->cluster + l1_bytes +
		      2ULL * (l2_tables + b->nr_clusters) * w->cluster;
	if (w->spec->tidy || w->spec->data_file)
		b->capacity -= (u64)b->nr_clusters * w->cluster;
	/* Refcount blocks of the widest, which cover themselves. */
	if (w->spec->writable)
		b->capacity += b->capacity / (w->cluster / 8 - 1) + 3 * w->cluster;
	if (w->spec->full)
		b->capacity += w->cluster / 8 * w->cluster;
	b->file = kvzalloc(b->capacity, GFP_KERNEL);
	b->clusters = kvcalloc(b->nr_clusters + 1, sizeof(*b->clusters), GFP_KERNEL);
	w->plain = kvzalloc(w->cluster, GFP_KERNEL);
	if (w->spec->data_file) {
		b->data_len = (u64)b->nr_clusters * w->cluster;
		b->data = kvzalloc(b->data_len + 1, GFP_KERNEL);
	}
	if (!b->file || !b->clusters || !w->plain ||
	    (w->spec->data_file && !b->data))
		return -ENOMEM;
	return 0;
}

static int build_qcow2(struct builder_image *b, struct rnd_state *rnd)
{
	const struct builder_spec *s = &b->spec;
	struct build w = {
		.b = b,
		.spec = s,
		.rnd = rnd,
		.cluster = 1ULL << s->cluster_bits,
		.entry_bytes = s->extended_l2 ? 16 : 8,
	};
	u64 covered;
	u32 i, used;
	int err;

	w.l2_entries = w.cluster / w.entry_bytes;
	covered = w.cluster * w.l2_entries;
	used = DIV64_U64_ROUND_UP(s->size, covered);
	w.l1_size = used + qtest_below(rnd, 3);
	err = build_alloc(&w);
	if (err)
		goto out;
	w.l1_at = 2 * w.cluster;
	w.end = w.l1_at + round_up(w.l1_size * 8ULL, w.cluster);
	build_header(&w);
	for (i = 0; i < used; i++)
		build_l2_table(&w, i);
	if (s->writable)
		err = builder_put_refcounts(b, &w.end);
	/* The last sector of compressed data may be a part of one. */
	b->file_len = qtest_one_in(rnd, 2) ? w.end : round_up(w.end, w.cluster);
out:
	kvfree(w.plain);
	return err;
}

/* The last sector of the disk may be partly in the file. */
static int build_raw(struct builder_image *b, struct rnd_state *rnd)
{
	b->file_len = b->spec.size;
	b->file = kvzalloc(b->file_len + 1, GFP_KERNEL);
	if (!b->file)
		return -ENOMEM;
	fill_content(rnd, b->file, b->file_len);
	memcpy(b->expect, b->file, b->file_len);
	return 0;
}

static int build_files(struct builder_image *b)
{
	static const struct memfile_mode plain;

	b->m = memfile_create();
	if (!b->m)
		return -ENOMEM;
	if (b->spec.writable &&
	    memfile_own(b->m, b->file, b->file_len, b->file_len + b->spec.room))
		return -ENOMEM;
	if (!b->spec.writable)
		memfile_set_data(b->m, b->file, b->file_len, b->file_len);
	memfile_set_mode(b->m, &plain);
	if (!b->data)
		return 0;
	b->data_m = memfile_create();
	if (!b->data_m)
		return -ENOMEM;
	memfile_set_mode(b->data_m, &plain);
	if (b->spec.writable)
		return memfile_own(b->data_m, b->data, b->data_len, b->data_len);
	memfile_set_data(b->data_m, b->data, b->data_len, b->data_len);
	return 0;
}

/* @under: the backing image or NULL */
static int build_image(struct builder_image *b, const struct builder_spec *spec,
		       const struct builder_image *under, struct rnd_state *rnd)
{
	int err;

	b->spec = *spec;
	b->spec.backing = under;
	b->size = spec->raw ? round_up(spec->size, 512) : round_down(spec->size, 512);
	b->expect = kvzalloc(b->size + 1, GFP_KERNEL);
	if (!b->expect)
		return -ENOMEM;
	if (under)
		memcpy(b->expect, under->expect, min(b->size, under->size));
	err = spec->raw ? build_raw(b, rnd) : build_qcow2(b, rnd);
	return err ?: build_files(b);
}

/* --- Chains --- */

/**
 * builder_build() - build an image and its backing files
 * @c: the result, to be given to builder_free() also after a failure
 * @specs: of the images, the top first; all but the last are qcow2
 * @nr: of them
 * @rnd: where contents and details come from
 *
 * Return: 0 or a negative errno.
 */
int builder_build(struct builder_chain *c, const struct builder_spec *specs,
		  u32 nr, struct rnd_state *rnd)
{
	u32 i;
	int err;

	memset(c, 0, sizeof(*c));
	c->nr = nr;
	for (i = nr; i--; ) {
		struct builder_image *b = &c->img[i];
		struct qcow_source *src = &c->sources[i];

		err = build_image(b, &specs[i], i + 1 < nr ? b + 1 : NULL, rnd);
		if (err)
			return err;
		src->file = b->m->file;
		src->data_file = b->data_m ? b->data_m->file : NULL;
		src->format = specs[i].raw ? QCOW_FORMAT_RAW : QCOW_FORMAT_QCOW2;
	}
	return 0;
}

static u32 random_cluster_bits(struct rnd_state *rnd)
{
	u32 n = qtest_below(rnd, 100);

	if (n < 60)
		return 9 + qtest_below(rnd, 5);
	return n < 99 ? 14 + qtest_below(rnd, 3) : 17 + qtest_below(rnd, 5);
}

void builder_random_spec(struct rnd_state *rnd, struct builder_spec *spec)
{
	u32 bits = random_cluster_bits(rnd);
	u32 most = clamp_t(u32, (192 << 10) >> bits, 3, 200);
	u64 clusters = 1 + qtest_below(rnd, most);

	memset(spec, 0, sizeof(*spec));
	spec->version = qtest_one_in(rnd, 4) ? 2 : 3;
	spec->cluster_bits = bits;
	spec->kinds = BUILDER_ALL;
	spec->size = clusters << bits;
	if (qtest_one_in(rnd, 2))
		spec->size -= qtest_below(rnd, 1 << bits);
	spec->tidy = qtest_one_in(rnd, 4);
	if (spec->version == 2)
		return;
	spec->extended_l2 = bits >= 14 && qtest_one_in(rnd, 2);
	spec->zstd = qtest_one_in(rnd, 2);
	spec->data_file = qtest_one_in(rnd, 8);
}

int builder_build_random(struct builder_chain *c, u32 nr, struct rnd_state *rnd)
{
	struct builder_spec specs[BUILDER_MAX_CHAIN];
	u32 i;

	for (i = 0; i < nr; i++)
		builder_random_spec(rnd, &specs[i]);
	specs[nr - 1].raw = qtest_one_in(rnd, 3);
	return builder_build(c, specs, nr, rnd);
}

void builder_free(struct builder_chain *c)
{
	u32 i;

	for (i = 0; i < c->nr; i++) {
		struct builder_image *b = &c->img[i];

		memfile_destroy(b->m);
		memfile_destroy(b->data_m);
		kvfree(b->file);
		kvfree(b->data);
		kvfree(b->expect);
		kvfree(b->clusters);
	}
	memset(c, 0, sizeof(*c));
}

/* Sets the mode of all files of the chain. */
void builder_set_mode(struct builder_chain *c, const struct memfile_mode *mode)
{
	u32 i;

	for (i = 0; i < c->nr; i++) {
		memfile_set_mode(c->img[i].m, mode);
		if (c->img[i].data_m)
			memfile_set_mode(c->img[i].data_m, mode);
	}
}

/* Whether the driver has let go of all files. */
bool builder_idle(const struct builder_chain *c)
{
	u32 i;

	for (i = 0; i < c->nr; i++)
		if (!memfile_idle(c->img[i].m) ||
		    (c->img[i].data_m && !memfile_idle(c->img[i].data_m)))
			return false;
	return true;
}
