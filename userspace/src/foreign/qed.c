// SPDX-License-Identifier: GPL-2.0
/*
 * QED, an older format of QEMU: a header, and tables of two levels with the host offset of each
 * cluster of the disk. Numbers are little-endian. A backing file may have any format.
 *
 * Facts are from QEMU's specification and its reader.
 */
#include "foreign/bytes.h"
#include "foreign/formats.h"
#include "foreign/units.h"

#define QED_MAGIC		"QED"
#define QED_HEADER_BYTES	64

/* Incompatible features */
#define QED_BACKING		BIT_ULL(0)
#define QED_NEED_CHECK		BIT_ULL(1)
#define QED_BACKING_RAW		BIT_ULL(2)
#define QED_KNOWN		(QED_BACKING | QED_NEED_CHECK | QED_BACKING_RAW)

/* Entries of tables that are no host offsets */
#define QED_NONE		0
#define QED_ZERO		1

#define QED_CLUSTER_MIN		SZ_4K
#define QED_CLUSTER_MAX		SZ_64M
#define QED_TABLE_MAX		16

/* Bytes of the name of a backing file, with a NUL */
#define QED_NAME_SIZE		SZ_1K

/**
 * struct qed - the numbers of a header that find clusters
 * @cluster: bytes of a cluster
 * @table: bytes of a table
 * @entries: of a table
 * @header: bytes of the header, a multiple of a cluster
 * @l1_host_offset: of the first table
 * @features: incompatible ones
 * @l1: the part of the first table that is in memory
 * @l2: of a table of the second level
 */
struct qed {
	u64 cluster;
	u64 table;
	u64 entries;
	u64 header;
	u64 l1_host_offset;
	u64 features;
	struct foreign_window l1;
	struct foreign_window l2;
};

static bool qed_probe(const struct foreign_sample *s)
{
	return !memcmp(s->start, QED_MAGIC, sizeof(QED_MAGIC));
}

/* Bytes of the disk that a table of the second level maps. */
static u64 qed_span(const struct qed *q)
{
	return q->entries * q->cluster;
}

/* Whether bytes are in clusters of the file behind the header. */
static bool qed_is_inside(const struct foreign *f, const struct qed *q, u64 host_offset, u64 len)
{
	u64 size = foreign_size(f, 0);

	return !(host_offset & (q->cluster - 1)) && host_offset >= q->header &&
	       host_offset <= size && len <= size - host_offset;
}

static int qed_check_sizes(struct foreign *f, struct qed *q, const u8 *h)
{
	u32 cluster = get_le32(h + 4), table = get_le32(h + 8), header = get_le32(h + 12);

	if (cluster < QED_CLUSTER_MIN || cluster > QED_CLUSTER_MAX || cluster & (cluster - 1))
		return foreign_fail(f, "its header has clusters of %u bytes", cluster);
	if (!table || table > QED_TABLE_MAX || table & (table - 1))
		return foreign_fail(f, "its header has tables of %u clusters", table);
	if (!header)
		return foreign_fail(f, "its header has no clusters");
	q->cluster = cluster;
	q->table = (u64)table * cluster;
	q->entries = q->table / sizeof(u64);
	q->header = (u64)header * cluster;
	f->disk.cluster_size = cluster;
	return 0;
}

static int qed_check_header(struct foreign *f, struct qed *q, const u8 *h)
{
	u64 size = get_le64(h + 48);
	int err;

	if (memcmp(h, QED_MAGIC, sizeof(QED_MAGIC)))
		return foreign_fail(f, "has no magic of QED");
	q->features = get_le64(h + 16);
	if (q->features & ~QED_KNOWN)
		return foreign_unsupported(f, "has unknown features of QED, 0x%llx; use a newer program",
					   (unsigned long long)(q->features & ~QED_KNOWN));
	err = qed_check_sizes(f, q, h);
	if (err)
		return err;
	/* The largest product, of 2^27 entries, 2^27 entries and 2^26 bytes, needs 80 bits. */
	if (!size || size % SZ_512 || (size - 1) / qed_span(q) >= q->entries)
		return foreign_fail(f, "its header has a disk of %llu bytes",
				    (unsigned long long)size);
	f->disk.size = size;
	f->disk.dirty = q->features & QED_NEED_CHECK;
	q->l1_host_offset = get_le64(h + 40);
	if (!qed_is_inside(f, q, q->l1_host_offset, q->table))
		return foreign_fail(f, "its L1 table is at host offset %llu",
				    (unsigned long long)q->l1_host_offset);
	return 0;
}

static int qed_open_backing(struct foreign *f, struct qed *q, u64 host_offset, u64 len)
{
	char name[QED_NAME_SIZE] = "";
	int err;

	if (!len || len >= sizeof(name) || host_offset + len > q->header)
		return foreign_fail(f, "its header has the name of a backing file of %llu bytes at host offset %llu",
				    (unsigned long long)len, (unsigned long long)host_offset);
	err = foreign_read(f, 0, name, len, host_offset);
	if (err)
		return err;
	if (strlen(name) != len)
		return foreign_fail(f, "the name of its backing file has a NUL");
	strcpy(f->disk.parent_format, q->features & QED_BACKING_RAW ? "raw" : "probe");
	foreign_backing(f, name);
	return 0;
}

static int qed_find_l2(struct foreign *f, struct qed *q, u64 n, u64 *l2_host_offset)
{
	const u8 *entry = foreign_peek(f, &q->l1, 0, q->l1_host_offset + n * 8, 8, NULL);

	if (!entry)
		return -EINVAL;
	*l2_host_offset = get_le64(entry);
	if (*l2_host_offset != QED_NONE && !qed_is_inside(f, q, *l2_host_offset, q->table))
		return foreign_fail(f, "entry %llu of its L1 table is 0x%llx",
				    (unsigned long long)n,
				    (unsigned long long)*l2_host_offset);
	return 0;
}

/* A table that many entries name would make a small file take long. */
static int qed_check_l1(struct foreign *f, struct qed *q)
{
	u64 nr = DIV_ROUND_UP_ULL(f->disk.size, qed_span(q)), i, l2_host_offset, bytes = 0;
	int err;

	for (i = 0; i < nr; i++) {
		err = qed_find_l2(f, q, i, &l2_host_offset);
		if (err)
			return err;
		if (l2_host_offset != QED_NONE)
			bytes += q->table;
		if (bytes > foreign_size(f, 0))
			return foreign_fail(f, "its L1 table names more L2 tables than the file has room for");
	}
	return 0;
}

static int qed_open(struct foreign *f)
{
	struct qed *q = foreign_alloc(f, 1, sizeof(*q));
	u32 name_host_offset, name_bytes;
	const u8 *h;
	int err;

	f->private = q;
	h = q ? foreign_peek(f, &q->l1, 0, 0, QED_HEADER_BYTES, NULL) : NULL;
	if (!h)
		return -EINVAL;
	name_host_offset = get_le32(h + 56);
	name_bytes = get_le32(h + 60);
	err = qed_check_header(f, q, h);
	if (!err)
		err = qed_check_l1(f, q);
	if (!err && q->features & QED_BACKING)
		err = qed_open_backing(f, q, name_host_offset, name_bytes);
	return err;
}

static int qed_find(struct foreign *f, u64 guest_offset, struct foreign_piece *p)
{
	struct qed *q = f->private;
	u64 in_span = guest_offset % qed_span(q), in_cluster = guest_offset % q->cluster;
	u64 l2_host_offset, cluster;
	const u8 *entry;
	int err = qed_find_l2(f, q, guest_offset / qed_span(q), &l2_host_offset);

	if (err)
		return err;
	p->kind = QCOW_MAP_HOLE;
	p->length = qed_span(q) - in_span;
	if (l2_host_offset == QED_NONE)
		return 0;
	entry = foreign_peek(f, &q->l2, 0, l2_host_offset + in_span / q->cluster * 8, 8, NULL);
	if (!entry)
		return -EINVAL;
	cluster = get_le64(entry);
	p->length = q->cluster - in_cluster;
	if (cluster == QED_ZERO)
		p->kind = QCOW_MAP_ZERO;
	if (cluster == QED_NONE || cluster == QED_ZERO)
		return 0;
	/* The walk finds data past the end. */
	if (!qed_is_inside(f, q, cluster, 0))
		return foreign_fail(f, "the cluster of guest offset %llu is 0x%llx",
				    (unsigned long long)guest_offset,
				    (unsigned long long)cluster);
	p->kind = QCOW_MAP_DATA;
	p->host_offset = cluster + in_cluster;
	return 0;
}

static int qed_check(struct foreign *f)
{
	struct qed *q = f->private;
	u64 nr = DIV_ROUND_UP_ULL(f->disk.size, qed_span(q)), i, l2_host_offset;
	struct units u;
	int err = units_init(&u, f, 0, 0, q->cluster);

	if (err)
		return err;
	units_add_metadata(&u, "the header", 0, q->header);
	units_add_metadata(&u, "the L1 table", q->l1_host_offset, q->table);
	for (i = 0; i < nr; i++) {
		err = qed_find_l2(f, q, i, &l2_host_offset);
		if (err)
			return err;
		if (l2_host_offset != QED_NONE)
			units_add_metadata(&u, "an L2 table", l2_host_offset, q->table);
	}
	err = units_add_disk(&u);
	if (!err)
		units_tell_free(&u, "clusters");
	return err;
}

const struct foreign_format foreign_qed = {
	.name = "qed",
	.title = "QED",
	.probe = qed_probe,
	.probe_backing = qed_probe,
	.open = qed_open,
	.find = qed_find,
	.check = qed_check,
};
