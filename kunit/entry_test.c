// SPDX-License-Identifier: GPL-2.0
/*
 * L1 and L2 entries, against a second decoder written from the specification.
 */
#include "ondisk/entry.h"
#include "qtest.h"

#define ENTRIES_PER_LAYOUT	4000
#define COPIED			QCOW_DISK_E_COPIED

static struct qcow_layout make_layout(u32 cluster_bits, u32 version,
				      u64 incompatible)
{
	struct qcow_header h = {
		.version = version,
		.cluster_bits = cluster_bits,
		.incompatible = incompatible,
	};
	struct qcow_layout lay;

	qcow_layout_init(&lay, &h);
	return lay;
}

/* --- The second decoder --- */

/* An entry as the specification has it; @valid false: it is damaged. */
struct ref_entry {
	bool valid;
	enum qcow_extent_type type;
	u64 host;
	u64 csize;
};

static u64 bits_of(u64 v, u32 first, u32 last)
{
	u64 r = 0;
	u32 i;

	for (i = first; i <= last; i++)
		r += (v >> i & 1) << (i - first);
	return r;
}

static struct ref_entry ref_compressed(const struct qcow_layout *lay, u64 raw)
{
	u32 x = 62 - (lay->cluster_bits - 8);
	struct ref_entry r = { };

	r.valid = !lay->data_file;
	r.type = QCOW_EXTENT_COMPRESSED;
	r.host = bits_of(raw, 0, x - 1);
	/* Up to the end of the last sector. */
	r.csize = (bits_of(raw, x, 61) + r.host / 512 + 1) * 512 - r.host;
	return r;
}

static bool ref_bitmap_valid(u64 bitmap, bool cluster)
{
	u32 i;

	for (i = 0; i < 32; i++) {
		bool allocated = bitmap >> i & 1, zero = bitmap >> (32 + i) & 1;

		if (allocated && (zero || !cluster))
			return false;
	}
	return true;
}

static enum qcow_extent_type ref_type(const struct qcow_layout *lay, u64 raw,
				      u64 bitmap, u64 guest, bool cluster)
{
	u64 size = 1ULL << lay->cluster_bits;
	u64 sub = guest % size / (size / 32);

	if (!lay->extended_l2) {
		if (raw & 1)
			return QCOW_EXTENT_ZERO;
		return cluster ? QCOW_EXTENT_DATA : QCOW_EXTENT_HOLE;
	}
	if (bitmap >> (32 + sub) & 1)
		return QCOW_EXTENT_ZERO;
	return bitmap >> sub & 1 ? QCOW_EXTENT_DATA : QCOW_EXTENT_HOLE;
}

static struct ref_entry ref_decode(const struct qcow_layout *lay, u64 raw,
				   u64 bitmap, u64 guest)
{
	u64 host_offset = bits_of(raw, 9, 55) * 512;
	u64 size = 1ULL << lay->cluster_bits;
	bool cluster = host_offset || (lay->data_file && raw >> 63);
	struct ref_entry r = { };

	if (raw >> 62 & 1)
		return ref_compressed(lay, raw);
	r.type = ref_type(lay, raw, bitmap, guest, cluster);
	r.host = cluster ? host_offset + guest % size : 0;
	r.valid = !cluster || (host_offset % size == 0 &&
			       (!lay->data_file || r.host == guest));
	if (lay->extended_l2 && !ref_bitmap_valid(bitmap, cluster))
		r.valid = false;
	if (!lay->extended_l2 && raw & 1 && lay->version < 3)
		r.valid = false;
	return r;
}

/* --- Comparison --- */

static void compare(struct kunit *test, const struct qcow_layout *lay, u64 raw,
		    u64 bitmap, u64 guest)
{
	struct ref_entry r = ref_decode(lay, raw, bitmap, guest);
	struct qcow_entry e = { };
	int err = qcow_entry_l2(lay, raw, bitmap, guest, &e);
	bool same;

	if (err)
		same = !r.valid && err == -EIO && e.fault;
	else
		same = r.valid && e.type == r.type && e.host_offset == r.host &&
		       e.csize == r.csize && e.copied == (raw >> 63 && !(raw >> 62 & 1));
	if (qcow_entry_is_plain(lay, raw))
		same = same && !err && e.type == QCOW_EXTENT_DATA && e.mapped &&
		       !lay->data_file && !lay->extended_l2 &&
		       e.host_offset - guest % (1ULL << lay->cluster_bits) ==
		       (raw & ~QCOW_DISK_E_COPIED);
	if (!same)
		KUNIT_FAIL(test,
			   "cluster_bits %u version %u extl2 %d data file %d: entry %#llx bitmap %#llx guest %#llx: error %d type %d host %#llx csize %u, expected valid %d type %d host %#llx csize %llu",
			   lay->cluster_bits, lay->version, lay->extended_l2, lay->data_file,
			   raw, bitmap, guest, err, e.type, e.host_offset, e.csize, r.valid,
			   r.type, r.host, r.csize);
}

/* Mostly entries that are right but for a detail. */
static u64 random_entry(struct rnd_state *rnd, const struct qcow_layout *lay,
			u64 guest)
{
	u64 mask = ~((1ULL << lay->cluster_bits) - 1);
	u64 raw = qtest_u64(rnd) & GENMASK_ULL(55, 9);

	if (qtest_one_in(rnd, 8))
		return qtest_u64(rnd);
	raw &= mask;
	if (qtest_one_in(rnd, 4))
		raw = 0;
	if (lay->data_file && !qtest_one_in(rnd, 4))
		raw = guest & mask & GENMASK_ULL(55, 9);
	if (qtest_one_in(rnd, 2))
		raw |= QCOW_DISK_E_COPIED;
	if (qtest_one_in(rnd, 4))
		raw |= QCOW_DISK_L2E_ZERO;
	if (qtest_one_in(rnd, 6))
		raw ^= BIT_ULL(qtest_below(rnd, 64));
	return raw;
}

static u64 random_bitmap(struct rnd_state *rnd)
{
	u32 a = prandom_u32_state(rnd), z = prandom_u32_state(rnd);

	switch (qtest_below(rnd, 5)) {
	case 0:
		return (u64)z << 32 | a;
	case 1:
		return (u64)z << 32;
	case 2:
		return a;
	case 3:
		return BIT_ULL(a & 63);
	default:
		return (u64)(z & ~a) << 32 | a;
	}
}

static void compare_layout(struct kunit *test, const struct qcow_layout *lay,
			   struct rnd_state *rnd)
{
	u32 i;

	for (i = 0; i < ENTRIES_PER_LAYOUT; i++) {
		u64 guest = qtest_u64(rnd) >> (8 + qtest_below(rnd, 48));

		compare(test, lay, random_entry(rnd, lay, guest),
			random_bitmap(rnd), guest);
	}
}

static void entry_random(struct kunit *test)
{
	static const u64 features[] = {
		0, QCOW_DISK_INCOMPAT_DATA_FILE, QCOW_DISK_INCOMPAT_EXTL2,
		QCOW_DISK_INCOMPAT_EXTL2 | QCOW_DISK_INCOMPAT_DATA_FILE,
	};
	struct rnd_state rnd = qtest_rnd(100);
	struct qcow_layout lay;
	u32 bits, i;

	for (bits = 9; bits <= 21; bits++) {
		lay = make_layout(bits, 2, 0);
		compare_layout(test, &lay, &rnd);
		for (i = 0; i < ARRAY_SIZE(features); i++) {
			if (features[i] & QCOW_DISK_INCOMPAT_EXTL2 && bits < 14)
				continue;
			lay = make_layout(bits, 3, features[i]);
			compare_layout(test, &lay, &rnd);
		}
	}
}

static void entry_layout(struct kunit *test)
{
	struct qcow_layout lay = make_layout(16, 3, QCOW_DISK_INCOMPAT_EXTL2);

	KUNIT_EXPECT_EQ(test, lay.l2_bits, 12);
	KUNIT_EXPECT_EQ(test, lay.entry_bits, 4);
	KUNIT_EXPECT_EQ(test, lay.grain_bits, 11);
	KUNIT_EXPECT_EQ(test, lay.csize_shift, 54);
	KUNIT_EXPECT_EQ(test, qcow_layout_l1_shift(&lay), 28);
	lay = make_layout(9, 2, 0);
	KUNIT_EXPECT_EQ(test, lay.l2_bits, 6);
	KUNIT_EXPECT_EQ(test, lay.entry_bits, 3);
	KUNIT_EXPECT_EQ(test, lay.grain_bits, 9);
	KUNIT_EXPECT_EQ(test, lay.csize_shift, 61);
	KUNIT_EXPECT_EQ(test, qcow_layout_l1_shift(&lay), 15);
	lay = make_layout(21, 3, 0);
	KUNIT_EXPECT_EQ(test, qcow_layout_l1_shift(&lay), 39);
}

static void entry_l1(struct kunit *test)
{
	struct rnd_state rnd = qtest_rnd(101);
	struct qcow_layout lay;
	u32 bits, i;
	u64 host_offset;

	for (bits = 9; bits <= 21; bits++) {
		lay = make_layout(bits, 3, 0);
		KUNIT_EXPECT_EQ(test, qcow_entry_l1(&lay, 0, &host_offset), 0);
		KUNIT_EXPECT_EQ(test, host_offset, 0);
		KUNIT_EXPECT_TRUE(test, qcow_entry_is_plain(&lay, 1ULL << bits));
		KUNIT_EXPECT_TRUE(test, qcow_entry_is_plain(&lay, COPIED | BIT_ULL(55)));
		KUNIT_EXPECT_FALSE(test, qcow_entry_is_plain(&lay, COPIED));
		KUNIT_EXPECT_FALSE(test, qcow_entry_is_plain(&lay, BIT_ULL(56) | BIT_ULL(55)));
		for (i = 0; i < 2000; i++) {
			u64 raw = random_entry(&rnd, &lay, 0);
			u64 want = bits_of(raw, 9, 55) * 512;
			int err = want % (1ULL << bits) ? -EIO : 0;

			KUNIT_EXPECT_EQ(test, qcow_entry_l1(&lay, raw, &host_offset), err);
			if (!err)
				KUNIT_EXPECT_EQ(test, host_offset, want);
		}
	}
}

/* The least and the most that a descriptor can say, at each cluster size. */
static void entry_compressed(struct kunit *test)
{
	u32 bits;

	for (bits = 9; bits <= 21; bits++) {
		struct qcow_layout lay = make_layout(bits, 3, 0);
		u32 x = 70 - bits;
		u64 max_host = BIT_ULL(x) - 1;
		struct qcow_entry e;

		KUNIT_EXPECT_EQ(test, qcow_entry_l2(&lay, BIT_ULL(62), 0, 5, &e), 0);
		KUNIT_EXPECT_EQ(test, e.type, QCOW_EXTENT_COMPRESSED);
		KUNIT_EXPECT_EQ(test, e.host_offset, 0);
		KUNIT_EXPECT_EQ(test, e.csize, 512);
		KUNIT_EXPECT_EQ(test, qcow_entry_l2(&lay, U64_MAX, 0, 5, &e), 0);
		KUNIT_EXPECT_EQ(test, e.host_offset, max_host);
		KUNIT_EXPECT_EQ(test, e.csize, (2U << bits) - 511);
		KUNIT_EXPECT_FALSE(test, e.copied);
		KUNIT_EXPECT_EQ(test, qcow_entry_l2(&lay, BIT_ULL(62) | BIT_ULL(x) | 1000,
						    0, 5, &e), 0);
		KUNIT_EXPECT_EQ(test, e.host_offset, 1000);
		KUNIT_EXPECT_EQ(test, e.csize, 1024 - 1000 % 512);
	}
}

/**
 * struct damage_case - an entry and its fault
 * @name: of the case
 * @raw: the entry
 * @bitmap: its second half
 * @guest: byte of the disk
 * @incompatible: features of the image
 * @version: of the image
 * @fault: expected in the fault's description; NULL: it is not damaged
 */
struct damage_case {
	const char *name;
	u64 raw;
	u64 bitmap;
	u64 guest;
	u64 incompatible;
	u32 version;
	const char *fault;
};

#define EXTL2	QCOW_DISK_INCOMPAT_EXTL2
#define DATA	QCOW_DISK_INCOMPAT_DATA_FILE

static const struct damage_case damage_cases[] = {
	{ "unaligned cluster", COPIED | 0x50200, .version = 3, .fault = "aligned" },
	{ "unaligned zero cluster", COPIED | 0x50201, .version = 3, .fault = "aligned" },
	{ "zero cluster in version 2", 1, .version = 2, .fault = "version 2" },
	{ "preallocated zero cluster in version 2", 0x50001, .version = 2, .fault = "version 2" },
	{ "both allocated and zero", 0x50000, 0x100000001, 0, EXTL2, 3, "both" },
	{ "another is both allocated and zero", 0x50000, 0x8000000080000000, 0, EXTL2, 3, "both" },
	{ "both, without cluster", 0, 0x100000001, 0, EXTL2, 3, "both" },
	{ "subcluster without cluster", 0, 1, 0, EXTL2, 3, "without" },
	{ "another subcluster without cluster", 0, 2, 0, EXTL2, 3, "without" },
	{ "unaligned, extended", 0x50200, 1, 0, EXTL2, 3, "aligned" },
	{ "compressed in a data file", BIT_ULL(62), 0, 0, DATA, 3, "compressed" },
	{ "elsewhere in a data file", COPIED | 0x50000, 0, 0x60000, DATA, 3, "data file" },
	{ "unaligned in a data file", COPIED | 0x60200, 0, 0x60000, DATA, 3, "aligned" },
	{ "zero elsewhere in a data file", COPIED | 0x50001, 0, 0x60000, DATA, 3, "data file" },

	{ "COPIED missing", 0x50000, .version = 3 },
	{ "reserved bits", BIT_ULL(61) | BIT_ULL(56) | 0x1fe, .version = 3 },
	{ "offset 0 with COPIED", COPIED, .version = 3 },
	{ "data at 32 PiB", COPIED | BIT_ULL(55), .version = 3 },
	{ "bit 0 of an extended entry", 0x50001, 1, 0, EXTL2, 3 },
	{ "bitmap of a compressed cluster", BIT_ULL(62), U64_MAX, 0, EXTL2, 3 },
	{ "offset 0 of a data file", COPIED, 0, 100, DATA, 3 },
};

static void damage_case_desc(const struct damage_case *c, char *desc)
{
	strscpy(desc, c->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(damage, damage_cases, damage_case_desc);

static void entry_damage(struct kunit *test)
{
	const struct damage_case *c = test->param_value;
	struct qcow_layout lay = make_layout(16, c->version, c->incompatible);
	struct qcow_entry e = { };
	int err = qcow_entry_l2(&lay, c->raw, c->bitmap, c->guest, &e);

	compare(test, &lay, c->raw, c->bitmap, c->guest);
	KUNIT_EXPECT_EQ(test, err, c->fault ? -EIO : 0);
	if (!c->fault)
		return;
	KUNIT_ASSERT_NOT_NULL(test, e.fault);
	KUNIT_EXPECT_NOT_NULL_MSG(test, strstr(e.fault, c->fault), "says: %s",
				  e.fault);
}

static struct kunit_case entry_test_cases[] = {
	KUNIT_CASE(entry_layout),
	KUNIT_CASE(entry_l1),
	KUNIT_CASE(entry_compressed),
	KUNIT_CASE_PARAM(entry_damage, damage_gen_params),
	KUNIT_CASE(entry_random),
	{ }
};

static struct kunit_suite entry_suite = {
	.name = "qcow_entry",
	.test_cases = entry_test_cases,
};

kunit_test_suite(entry_suite);
