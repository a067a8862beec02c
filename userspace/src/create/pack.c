// SPDX-License-Identifier: GPL-2.0
/*
 * Puts compressed clusters into an overlay that nobody else has open, until it needs no
 * backing file any more. A cluster that has an L2 entry stays as it is.
 *
 * A cluster and its refcount are durable before an L2 entry names it, and an L2 table before
 * an L1 entry names that. So the image reads the same at any time, also after a power cut, and
 * has leaked clusters at worst: pack_open() counts all uses anew, and finds these free.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "create/new_header.h"
#include "create/pack.h"
#include "image/extensions.h"
#include "lib/fd.h"
#include "lib/memory.h"

static u64 cluster_size(const struct pack *p)
{
	return 1ULL << p->layout.cluster_bits;
}

static u64 l2_entries(const struct pack *p)
{
	return 1ULL << p->layout.l2_bits;
}

static int flush(const struct pack *p)
{
	return fdatasync(p->fd) ? -errno : 0;
}

/* --- The uses of clusters of an image that is there --- */

static int count_bytes(struct pack *p, u64 host_offset, u64 bytes)
{
	if (host_offset & (cluster_size(p) - 1))
		return -EUCLEAN;
	return space_count(&p->space, host_offset >> p->layout.cluster_bits,
			   space_clusters(&p->space, bytes));
}

/* Of the L2 table that @p->l2 has. */
static int count_entries(struct pack *p, u64 l1_index)
{
	const char *fault;
	u64 first, i;
	u32 nr;
	int err = 0;

	for (i = 0; !err && i < l2_entries(p); i++) {
		if (qcow_entry_clusters(&p->layout, be64_to_cpu(p->l2[i]),
					(l1_index << p->layout.l2_bits | i) << p->layout.cluster_bits,
					&first, &nr, &fault))
			return -EUCLEAN;
		err = space_count(&p->space, first, nr);
	}
	return err;
}

static int read_table(struct pack *p, void *buf, u64 bytes, u64 host_offset)
{
	size_t got;
	int err = fd_read(p->fd, buf, bytes, host_offset, &got);

	return !err && got < bytes ? -EUCLEAN : err;
}

/* A table that is shared belongs to a snapshot, which such an image does not have. */
static int count_l2_table(struct pack *p, u64 l1_index)
{
	u64 raw = be64_to_cpu(p->l1[l1_index]), host_offset;
	int err;

	if (!raw)
		return 0;
	if (qcow_entry_l1(&p->layout, raw, &host_offset) || !qcow_entry_l1_own(&p->layout, raw))
		return -EUCLEAN;
	err = count_bytes(p, host_offset, cluster_size(p));
	if (!err)
		err = read_table(p, p->l2, cluster_size(p), host_offset);
	return err ? err : count_entries(p, l1_index);
}

static int count_blocks(struct pack *p)
{
	struct space *s = &p->space;
	u64 i;
	int err = 0;

	for (i = 0; !err && i < s->entries; i++)
		if (s->table[i])
			err = count_bytes(p, s->table[i], cluster_size(p));
	return err;
}

static int count_all(struct pack *p)
{
	const struct qcow_header *h = p->header;
	u64 i;
	int err = count_bytes(p, 0, cluster_size(p));

	if (!err)
		err = count_bytes(p, h->refcount_table_offset,
				  (u64)h->refcount_table_clusters << h->cluster_bits);
	if (!err)
		err = count_blocks(p);
	if (!err && h->l1_size)
		err = count_bytes(p, h->l1_table_offset, h->l1_size * sizeof(*p->l1));
	for (i = 0; !err && i < h->l1_size; i++)
		err = count_l2_table(p, i);
	return err;
}

/* Fields and features that the tables of such an image do not show, or that are rewritten. */
static bool is_plain(const struct image *img)
{
	const struct qcow_header *h = &img->header;

	return img->format == QCOW_FORMAT_QCOW2 && h->version >= 2 && !h->nr_snapshots &&
	       !h->bitmaps_in_header && !h->autoclear && !h->crypt_method &&
	       !(h->incompatible & ~QCOW_DISK_INCOMPAT_COMPRESSION) &&
	       1U << h->refcount_order >= 16;
}

/* The header is written anew, without extensions that are not known. */
static int check_extensions(struct pack *p)
{
	int err = read_table(p, p->l2, cluster_size(p), 0);

	if (!err && extensions_unknown(p->header, p->l2, cluster_size(p)))
		err = -EOPNOTSUPP;
	return err;
}

/*
 * After a failed writeback the page cache may have pages that never got to the disk, and that
 * count as clean. A --resume would trust tables in them, which are lost once the pages are. So
 * the pages are dropped, and the tables are read from the disk.
 */
static int drop_cache(const struct pack *p)
{
	int err = flush(p);

	if (!err)
		posix_fadvise(p->fd, 0, 0, POSIX_FADV_DONTNEED);
	return err;
}

/**
 * pack_open() - begin to put compressed clusters into an image
 * @p: the result; pack_close() it, after a failure too
 * @img: the image, open for writing, and locked; it stays open until pack_close()
 *
 * Return: 0; -EOPNOTSUPP: the image has snapshots, bitmaps or other things that the image of
 * a conversion has not; -EUCLEAN: it is damaged; or another negative errno.
 */
int pack_open(struct pack *p, const struct image *img)
{
	const struct qcow_header *h = &img->header;
	int err;

	*p = (struct pack) { .fd = img->file.fd, .header = h, .l2_index = UINT64_MAX };
	if (!is_plain(img))
		return -EOPNOTSUPP;
	qcow_layout_init(&p->layout, h);
	p->l1 = xcalloc(h->l1_size + 1, sizeof(*p->l1));
	p->l2 = xcalloc(1, cluster_size(p));
	err = drop_cache(p);
	if (!err)
		err = check_extensions(p);
	if (!err)
		err = space_load(&p->space, p->fd, h);
	if (!err)
		err = read_table(p, p->l1, h->l1_size * sizeof(*p->l1), h->l1_table_offset);
	if (!err)
		err = count_all(p);
	p->space.end = space_used(&p->space);
	return err;
}

/* --- Tables --- */

static int write_l2(struct pack *p)
{
	int err;

	if (!p->l2_changed)
		return 0;
	err = space_write(&p->space, p->l2, cluster_size(p), p->l2_host_offset);
	if (!err)
		p->l2_changed = false;
	return err;
}

static int write_l1(struct pack *p)
{
	u64 first = p->l1_changed, nr = p->l1_changed_end - first;
	int err;

	if (p->l1_changed_end <= first)
		return 0;
	err = space_write(&p->space, p->l1 + first, nr * sizeof(*p->l1),
			  p->header->l1_table_offset + first * sizeof(*p->l1));
	if (!err)
		p->l1_changed_end = 0;
	return err;
}

/**
 * pack_sync() - have the image name all clusters that were put into it
 * @p: the image
 *
 * The clusters and their refcounts are durable afterwards, the entries that name them at the next
 * call or with pack_finish().
 *
 * Return: 0 or a negative errno.
 */
int pack_sync(struct pack *p)
{
	int err = space_sync(&p->space);

	if (!err && !p->l2_named)
		err = write_l2(p);
	if (!err)
		err = flush(p);
	if (!err)
		err = write_l2(p);
	if (!err)
		err = write_l1(p);
	p->l2_named = p->l2_host_offset;
	p->unsynced = 0;
	return err;
}

/* An L2 table that the file names is written after the clusters that its entries name. */
static int leave_l2(struct pack *p)
{
	return p->l2_changed && p->l2_named ? pack_sync(p) : write_l2(p);
}

static int enter_l2(struct pack *p, u64 index)
{
	int err;

	if (p->l2_index == index)
		return 0;
	err = leave_l2(p);
	if (err)
		return err;
	p->l2_index = index;
	p->l2_host_offset = be64_to_cpu(p->l1[index]) & QCOW_DISK_L1E_OFFSET_MASK;
	p->l2_named = p->l2_host_offset;
	if (p->l2_host_offset)
		return read_table(p, p->l2, cluster_size(p), p->l2_host_offset);
	memset(p->l2, 0, cluster_size(p));
	return 0;
}

static int need_l2(struct pack *p)
{
	int err;

	if (p->l2_host_offset)
		return 0;
	err = space_alloc(&p->space, cluster_size(p), &p->l2_host_offset);
	if (err)
		return err;
	p->l1[p->l2_index] = cpu_to_be64(qcow_entry_make_l1(&p->layout, p->l2_host_offset));
	if (p->l1_changed_end <= p->l1_changed)
		p->l1_changed = p->l2_index;
	p->l1_changed_end = p->l2_index + 1;
	return 0;
}

static __be64 *entry_of(const struct pack *p, u64 guest_offset)
{
	return p->l2 + ((guest_offset >> p->layout.cluster_bits) & (l2_entries(p) - 1));
}

/**
 * pack_has() - tell whether a cluster of the disk has an L2 entry
 * @p: the image
 * @guest_offset: of the cluster; if its L2 table is another one than at the call before, that
 *	one is written first
 * @has: the result
 *
 * Return: 0 or a negative errno.
 */
int pack_has(struct pack *p, u64 guest_offset, bool *has)
{
	int err = enter_l2(p, guest_offset >> qcow_layout_l1_shift(&p->layout));

	*has = !err && *entry_of(p, guest_offset);
	return err;
}

/* --- Clusters --- */

/* Have room for compressed bytes: behind the latest ones, or in a new cluster. */
static int place(struct pack *p, size_t len, u64 *host_offset)
{
	u64 next = p->next_byte, end = ROUND_UP(next, cluster_size(p)), got = 0;
	int err = 0;

	if (next && end - next < len)
		err = space_alloc_at(&p->space, end, 1, &got);
	if (!err && next && (end - next >= len || got)) {
		*host_offset = next;
		err = space_share(&p->space, next);
	} else if (!err) {
		err = space_alloc(&p->space, cluster_size(p), host_offset);
	}
	p->next_byte = *host_offset + len;
	if (!(p->next_byte & (cluster_size(p) - 1)))
		p->next_byte = 0;
	return err;
}

static u64 compressed_entry(const struct pack *p, u64 host_offset, size_t len)
{
	u64 more = (host_offset + len - 1) / SZ_512 - host_offset / SZ_512;

	return QCOW_DISK_L2E_COMPRESSED | more << p->layout.csize_shift | host_offset;
}

/**
 * pack_put() - put a cluster into the image
 * @p: the image
 * @guest_offset: of the cluster; its L2 table is entered as by pack_has()
 * @buf: its content, compressed; or as it is, if @len is that of a cluster
 * @len: bytes
 *
 * Return: 0 or a negative errno.
 */
int pack_put(struct pack *p, u64 guest_offset, const void *buf, size_t len)
{
	u64 host_offset = 0, entry;
	int err = enter_l2(p, guest_offset >> qcow_layout_l1_shift(&p->layout));

	if (!err)
		err = need_l2(p);
	if (err)
		return err;
	if (len < cluster_size(p)) {
		err = place(p, len, &host_offset);
		entry = compressed_entry(p, host_offset, len);
	} else {
		err = space_alloc(&p->space, len, &host_offset);
		entry = host_offset | QCOW_DISK_E_COPIED;
	}
	if (!err)
		err = space_write(&p->space, buf, len, host_offset);
	if (err)
		return err;
	*entry_of(p, guest_offset) = cpu_to_be64(entry);
	p->l2_changed = true;
	p->unsynced += len;
	return 0;
}

/* --- The end --- */

static int write_header(struct pack *p)
{
	const struct qcow_header *h = p->header;
	const struct new_luks no_luks = { };
	const struct tables t = { .l1_entries = h->l1_size, .l1_table_offset = h->l1_table_offset };
	struct create_params params = CREATE_DEFAULTS;

	params.version = h->version;
	params.cluster_size = cluster_size(p);
	params.size = h->size;
	params.compression = h->compression;
	params.lazy_refcounts = h->compatible & QCOW_DISK_COMPAT_LAZY_REFCOUNTS;
	return new_header_write(&params, &p->space, &t, &no_luks);
}

static int cut(const struct pack *p, u64 bytes)
{
	struct stat st;

	if (fstat(p->fd, &st))
		return -errno;
	/* A block device keeps its size. */
	return S_ISREG(st.st_mode) && ftruncate(p->fd, bytes) ? -errno : 0;
}

/**
 * pack_finish() - have the image name no backing file any more, durably
 * @p: the image, which has all of the disk
 *
 * The file has nothing behind its last sector, as that of QEMU.
 *
 * Return: 0 or a negative errno.
 */
int pack_finish(struct pack *p)
{
	u64 used = space_used(&p->space), end;
	int err = pack_sync(p);

	end = ROUND_UP(p->space.end, SZ_512);
	if (!err)
		err = cut(p, min(used, end));
	if (!err)
		err = flush(p);
	if (!err)
		err = write_header(p);
	return err ? err : flush(p);
}

/**
 * pack_close() - free the memory of an image
 * @p: the image
 */
void pack_close(struct pack *p)
{
	space_free(&p->space);
	free(p->l1);
	free(p->l2);
}
