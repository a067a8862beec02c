// SPDX-License-Identifier: GPL-2.0
/*
 * The code that the driver and the tool share: for any input it stays in its buffers, and
 * it writes the same bytes that it has read.
 */
#include <stdlib.h>

#include "fuzz.h"
#include "qcow/ondisk/bitdir.h"
#include "qcow/ondisk/map_table.h"

/* An entry of a snapshot or bitmap is at most so long: see its 16-bit lengths. */
#define ENTRY_BYTES	(256U << 10)

/* The next bytes of the input, zeros behind its end. */
static void take(void *to, size_t len, const u8 **data, size_t *size)
{
	size_t n = min(len, *size);

	memset(to, 0, len);
	memcpy(to, *data, n);
	*data += n;
	*size -= n;
}

static void pure_entries(const struct qcow_layout *lay, const u8 *data, size_t size)
{
	u64 grain = 1ULL << lay->grain_bits, word[4], host, first;
	struct qcow_l2_entry old, new;
	struct qcow_entry e;
	const char *fault;
	bool ones;
	u32 nr;

	while (size) {
		take(word, sizeof(word), &data, &size);
		if (!qcow_entry_l1(lay, word[0], &host) && host)
			promise(!qcow_entry_l1(lay, qcow_entry_make_l1(lay, host), &first) &&
				first == host, "an L1 entry differs from the one that was made");
		(void)qcow_entry_l1_own(lay, word[0]);
		if (qcow_entry_clusters(lay, word[0], word[2], &first, &nr, &fault))
			promise(fault, "a damaged entry without a reason");
		(void)qcow_bitdir_table_entry(lay, word[0], &host, &ones);
		if (qcow_entry_l2(lay, word[0], word[1], word[2], &e)) {
			promise(e.fault, "a damaged entry without a reason");
			continue;
		}
		old = (struct qcow_l2_entry) { .raw = word[0], .bitmap = word[1] };
		(void)qcow_entry_zero(lay, old, word[2] & -grain, grain, word[3] & 1, &new);
	}
}

static void pure_snapshot(const struct qcow_layout *lay, const u8 *data, size_t size)
{
	struct {
		struct qcow_disk_snapshot fixed;
		struct qcow_disk_snapshot_extra extra;
	} disk;
	static u8 buf[ENTRY_BYTES] __attribute__((aligned(8)));
	static char text[1 << 16];
	struct qcow_snapshot s, again;
	u32 bytes;

	take(&disk, sizeof(disk), &data, &size);
	if (qcow_entry_snapshot(lay, &disk.fixed, &disk.extra, &s))
		return;
	bytes = qcow_entry_snapshot_bytes(&s);
	promise(bytes <= sizeof(buf), "a snapshot of %u bytes", bytes);
	qcow_entry_put_snapshot(&s, text, text, buf);
	memcpy(&disk, buf, min(bytes, sizeof(disk)));
	promise(!qcow_entry_snapshot(lay, &disk.fixed, &disk.extra, &again) &&
		again.l1_table_offset == s.l1_table_offset && again.l1_size == s.l1_size &&
		again.disk_size == s.disk_size && again.id_len == s.id_len &&
		again.name_len == s.name_len && again.entry_bytes == bytes,
		"a snapshot differs from the one that was written");
}

static void pure_bitmaps(const struct qcow_layout *lay, u64 disk_size,
			 const u8 *data, size_t size)
{
	struct qcow_disk_bitmaps disk;
	struct qcow_bitmap_entry e, again;
	static u8 buf[ENTRY_BYTES] __attribute__((aligned(8)));
	struct qcow_bitmap_dir dir;
	u8 *exact = malloc(size + 1);
	u32 n;

	/* So that a byte too many is found. */
	memcpy(exact, data, size);
	if (size && !qcow_bitdir_entry(lay, disk_size, exact, size, &e)) {
		promise(e.bytes <= size && e.name + e.name_len <= (char *)exact + size,
			"a bitmap's entry is longer than its directory");
		n = qcow_bitdir_put_entry(buf, &e);
		promise(!qcow_bitdir_entry(lay, disk_size, buf, n, &again) &&
			again.table_host_offset == e.table_host_offset && again.flags == e.flags &&
			again.name_len == e.name_len, "a bitmap differs from the one that was written");
	}
	free(exact);
	take(&disk, sizeof(disk), &data, &size);
	if (!qcow_bitdir_extension(lay, &disk, sizeof(disk), &dir))
		qcow_bitdir_put_extension(&disk, &dir);
}

/* A table whose header and entries pass has its pieces in order, in the disk. */
static void pure_map(const u8 *data, size_t size)
{
	struct qcow_map_entry e, next;
	struct qcow_map_header h;
	struct qcow_msg msg = { };
	u64 end;

	take(&h, sizeof(h), &data, &size);
	if (qcow_map_table_check_header(&h, &msg)) {
		promise(msg.text[0], "a table is refused without a reason");
		/* So that entries are reached. */
		h = (struct qcow_map_header) { .disk_size = SZ_1G, .nr_entries = 1, .nr_files = 3,
					       .chunk_max = SZ_64K, .sector_size = SZ_512 };
	}
	take(&e, sizeof(e), &data, &size);
	while (size) {
		take(&next, sizeof(next), &data, &size);
		end = size ? next.start : h.disk_size;
		if (!qcow_map_table_fault(&h, &e, end)) {
			promise(e.start < end && end <= h.disk_size, "a piece is not in the disk");
			promise(e.kind != QCOW_MAP_COMPRESSED ||
				(qcow_map_table_codec_name(e.codec) &&
				 e.skip + (end - e.start) <= e.plain && e.plain <= h.chunk_max),
				"a piece is not in its chunk");
			promise(e.kind != QCOW_MAP_DATA ||
				(e.file < h.nr_files && e.host <= S64_MAX - (end - e.start)),
				"a piece is not in a file");
		}
		e = next;
	}
}

static void pure_refcounts(const u8 *data, size_t size)
{
	u8 block[512];
	u32 order, index;
	u64 value;

	take(block, sizeof(block), &data, &size);
	take(&value, sizeof(value), &data, &size);
	for (order = 0; order <= QCOW_DISK_MAX_REFCOUNT_ORDER; order++) {
		index = block[order] % (sizeof(block) * 8 >> order);
		value &= qcow_entry_refcount_max(order);
		qcow_entry_set_refcount(block, order, index, value);
		promise(qcow_entry_refcount(block, order, index) == value,
			"a refcount differs from the one that was set");
	}
}

static void pure_image(const u8 *data, size_t size)
{
	struct qcow_msg msg = { };
	struct qcow_layout lay;
	struct qcow_header h;
	size_t used;
	int bytes;

	(void)qcow_header_probe(data, size);
	bytes = qcow_header_cluster_size(data, size, &msg);
	if (bytes < 0) {
		promise(msg.text[0], "a header is refused without a reason");
		return;
	}
	if (!qcow_header_salvage(&h, data, size, &msg))
		(void)qcow_header_supported(&h, &msg);
	if (!qcow_header_parse(&h, data, size, size, &msg))
		(void)qcow_header_supported(&h, &msg);
	if (qcow_header_parse(&h, data, size, S64_MAX, &msg))
		return;
	qcow_layout_init(&lay, &h);
	used = min(size, 512U);
	pure_entries(&lay, data + used, min(size - used, 4096U));
	pure_snapshot(&lay, data + used, size - used);
	pure_bitmaps(&lay, h.size, data + used, min(size - used, 4096U));
	pure_refcounts(data + used, size - used);
}

void fuzz_pure(const uint8_t *data, size_t size)
{
	pure_image(data, size);
	pure_map(data, min(size, 4096U));
}
