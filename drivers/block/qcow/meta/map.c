// SPDX-License-Identifier: GPL-2.0
/*
 * Mapping of qcow and qcow2 images: from guest offset to host offset. image.c calls it
 * for reads, data/ for writes; it changes nothing.
 *
 * The result is a value: nothing stays locked or referenced. Section "Cluster
 * mapping" of the specification.
 */
#include <linux/percpu.h>
#include <linux/rcupdate.h>

#include "file/cache.h"
#include "meta/map.h"
#include "meta/trace.h"

/* Bytes from @guest_offset to the next multiple of 2^@bits. */
static u64 bytes_to_boundary(u64 guest_offset, u32 bits)
{
	return (1ULL << bits) - (guest_offset & ((1ULL << bits) - 1));
}

/* Both halves of an extended entry are of the same moment. */
static void entry_load(const struct qcow_image *img, const __be64 *slice,
		       u32 index, struct qcow_l2_entry *e)
{
	unsigned int seq;

	if (!img->layout.extended_l2) {
		e->raw = be64_to_cpu(READ_ONCE(slice[index]));
		e->bitmap = 0;
		return;
	}
	do {
		seq = read_seqcount_begin(&img->cache->seq);
		e->raw = be64_to_cpu(READ_ONCE(slice[2 * index]));
		e->bitmap = be64_to_cpu(READ_ONCE(slice[2 * index + 1]));
	} while (read_seqcount_retry(&img->cache->seq, seq));
}

/* Return: true if an entry could not be read, in an image that is salvaged. */
static bool entry_lost(const struct qcow_image *img, u64 raw)
{
	return img->file.strict && raw == U64_MAX;
}

static int map_lost(struct qcow_image *img, u64 guest_offset, const char *what)
{
	qcow_image_unreadable(img, guest_offset, what);
	return -EIO;
}

/* Return: true if @next continues an extent of @len bytes that began with @e. */
static bool entry_follows(const struct qcow_entry *e, u64 len,
			  const struct qcow_entry *next)
{
	if (next->type != e->type || next->copied != e->copied ||
	    next->mapped != e->mapped)
		return false;
	return !e->mapped || next->host_offset == e->host_offset + len;
}

/* Return: true if an equal entry of the next cluster always continues its extent. */
static bool entry_repeats(const struct qcow_layout *lay, const struct qcow_entry *e)
{
	return !lay->extended_l2 && !e->mapped && e->type != QCOW_EXTENT_COMPRESSED;
}

static int entry_damaged(struct qcow_image *img, u64 guest_offset,
			 const struct qcow_entry *e)
{
	qcow_image_damaged(img, guest_offset, e->fault);
	return -EIO;
}

static int l2_unreadable(struct qcow_image *img, u64 guest_offset, u64 l2_host_offset,
			 int err)
{
	if (err == -ENOMEM)
		return err;
	if (!qcow_file_there(&img->file, l2_host_offset, 1))
		return map_lost(img, guest_offset,
				"its L2 table lies past the end of the file");
	if (qcow_file_shrunk(&img->file))
		qcow_image_damaged(img, guest_offset, "the image file became shorter");
	else
		qcow_img_err_ratelimited(img, "cannot read the L2 table at offset %#llx of the file: error %d\n",
					 l2_host_offset, err);
	return -EIO;
}

/* Of all but the length */
static void map_entry(const struct qcow_image *img, u64 guest_offset,
		      const struct qcow_entry *e, struct qcow_extent *ext)
{
	ext->type = e->type;
	ext->copied = e->copied;
	ext->mapped = e->mapped;
	ext->host_offset = e->host_offset;
	ext->file = img->data;
	if (e->type != QCOW_EXTENT_COMPRESSED)
		return;
	ext->codec = img->codec;
	ext->csize = e->csize;
	ext->cluster_bytes = 1U << img->layout.cluster_bits;
	ext->in_cluster = guest_offset & (ext->cluster_bytes - 1);
}

/*
 * Decode entries of a slice from @index on, as long as they form one extent. A damaged
 * entry behind a good one only ends the extent.
 */
static noinline int map_entries(struct qcow_image *img, const __be64 *slice, u32 index,
				u64 guest_offset, u64 want, struct qcow_extent *ext)
{
	const struct qcow_layout *lay = &img->layout;
	struct qcow_entry e, next;
	struct qcow_l2_entry on_disk;
	bool repeats;
	u64 len, raw;

	entry_load(img, slice, index, &on_disk);
	if (unlikely(entry_lost(img, on_disk.raw)))
		return map_lost(img, guest_offset, "its L2 table is cut off");
	if (qcow_entry_l2(lay, on_disk.raw, on_disk.bitmap, guest_offset, &e))
		return entry_damaged(img, guest_offset, &e);

	raw = on_disk.raw;
	repeats = entry_repeats(lay, &e);
	len = bytes_to_boundary(guest_offset, lay->grain_bits);
	if (e.type == QCOW_EXTENT_COMPRESSED)
		len = bytes_to_boundary(guest_offset, lay->cluster_bits);
	while (len < want && e.type != QCOW_EXTENT_COMPRESSED) {
		u64 next_guest_offset = guest_offset + len;

		if (!(next_guest_offset & ((1ULL << lay->cluster_bits) - 1))) {
			if (++index == img->slice_entries)
				break;
			entry_load(img, slice, index, &on_disk);
		}
		if (!(repeats && on_disk.raw == raw) &&
		    (qcow_entry_l2(lay, on_disk.raw, on_disk.bitmap, next_guest_offset,
				   &next) ||
		     !entry_follows(&e, len, &next)))
			break;
		len += 1ULL << lay->grain_bits;
	}
	map_entry(img, guest_offset, &e, ext);
	ext->len = min(len, want);
	return 0;
}

/*
 * As map_entries(). Most entries are plain: those of adjacent clusters differ by the size
 * of a cluster.
 */
static inline int map_slice(struct qcow_image *img, const __be64 *slice, u32 index,
			    u64 guest_offset, u64 want, struct qcow_extent *ext)
{
	const struct qcow_layout *lay = &img->layout;
	u64 cluster = 1ULL << lay->cluster_bits;
	u64 in_cluster = guest_offset & (cluster - 1);
	u64 raw = be64_to_cpu(READ_ONCE(slice[index]));
	u64 next, len;

	if (unlikely(!qcow_entry_is_plain(lay, raw)))
		return map_entries(img, slice, index, guest_offset, want, ext);
	ext->type = QCOW_EXTENT_DATA;
	ext->copied = raw & QCOW_DISK_E_COPIED;
	ext->mapped = true;
	ext->host_offset = (raw & QCOW_DISK_L2E_OFFSET_MASK) + in_cluster;
	ext->file = img->data;
	for (len = cluster - in_cluster; len < want; len += cluster, raw = next) {
		if (++index == img->slice_entries)
			break;
		next = be64_to_cpu(READ_ONCE(slice[index]));
		if (next != raw + cluster || !qcow_entry_is_plain(lay, next))
			break;
	}
	ext->len = min(len, want);
	return 0;
}

/* Map with a slice that has to be read first. */
static noinline int map_l2_read(struct qcow_image *img, u64 l2_host_offset,
				u64 slice_host_offset, u64 guest_offset, u64 want,
				struct qcow_extent *ext)
{
	u32 index = (guest_offset >> img->layout.cluster_bits) & (img->slice_entries - 1);
	struct qcow_slice *pinned;
	int err;

	qcow_count(img->stats, &img->stats->misses, 1);
	pinned = qcow_cache_get(img->cache, slice_host_offset);
	if (IS_ERR(pinned))
		return l2_unreadable(img, guest_offset, l2_host_offset, PTR_ERR(pinned));
	err = map_slice(img, pinned->data, index, guest_offset, want, ext);
	qcow_cache_put(pinned);
	return err;
}

/* Map with a slice that is in memory, or read it first. */
static inline int map_l2(struct qcow_image *img, u64 l2_host_offset, unsigned int flags,
			 u64 guest_offset, u64 want, struct qcow_extent *ext)
{
	const struct qcow_layout *lay = &img->layout;
	u64 l2_index = (guest_offset >> lay->cluster_bits) & ((1ULL << lay->l2_bits) - 1);
	u64 slice_host_offset = l2_host_offset + (l2_index << lay->entry_bits);
	u32 index = l2_index & (img->slice_entries - 1);
	const __be64 *slice;
	int err = -EAGAIN;

	rcu_read_lock();
	slice = qcow_cache_peek(img->cache, slice_host_offset);
	if (likely(slice))
		err = map_slice(img, slice, index, guest_offset, want, ext);
	rcu_read_unlock();
	if (likely(slice)) {
		qcow_count(img->stats, &img->stats->hits, 1);
		return err;
	}
	if (flags & QCOW_IO_NOWAIT)
		return -EAGAIN;
	return map_l2_read(img, l2_host_offset, slice_host_offset, guest_offset, want, ext);
}

/* Nothing is there: not even an L2 table. */
static void map_hole(u64 len, struct qcow_extent *ext)
{
	ext->type = QCOW_EXTENT_HOLE;
	ext->copied = false;
	ext->mapped = false;
	ext->host_offset = 0;
	ext->len = len;
}

/**
 * qcow_map() - map a piece of a qcow or qcow2 image's disk
 * @img: the image
 * @guest_offset: guest offset, below the disk's size
 * @len: bytes, at least 1, not beyond the disk's size
 * @flags: QCOW_IO_NOWAIT: the caller must not sleep
 * @ext: the result, for 1 to @len bytes from @guest_offset on; @ext->image is not set
 *
 * Return: 0; -EAGAIN: QCOW_IO_NOWAIT, and the table is not in memory; -EIO: the table is
 * damaged or unreadable, which is reported; -ENOMEM.
 */
int qcow_map(struct qcow_image *img, u64 guest_offset, u64 len, unsigned int flags,
	     struct qcow_extent *ext)
{
	u32 l1_shift = qcow_layout_l1_shift(&img->layout);
	u64 want = min(len, bytes_to_boundary(guest_offset, l1_shift));
	u64 l1_index = guest_offset >> l1_shift;
	u64 l1_entry, l2_host_offset;
	int err;

	/* The header's validation made the table cover the disk. */
	if (WARN_ON_ONCE(l1_index >= img->l1_size))
		return -EIO;
	/* Pairs with l1_set(). */
	l1_entry = smp_load_acquire(&img->l1[l1_index]);
	if (unlikely(entry_lost(img, l1_entry)))
		return map_lost(img, guest_offset,
				"its L1 table is cut off or unreadable");
	if (qcow_entry_l1(&img->layout, l1_entry, &l2_host_offset)) {
		qcow_image_damaged(img, guest_offset, "L2 table offset is not aligned");
		return -EIO;
	}
	if (unlikely(!l2_host_offset)) {
		map_hole(want, ext);
		trace_qcow_map(img->label, guest_offset, ext->len, ext->type, 0);
		return 0;
	}
	err = map_l2(img, l2_host_offset, flags, guest_offset, want, ext);
	if (unlikely(err))
		return err;
	ext->copied &= qcow_entry_l1_own(&img->layout, l1_entry);
	trace_qcow_map(img->label, guest_offset, ext->len, ext->type, ext->host_offset);
	return 0;
}
