// SPDX-License-Identifier: GPL-2.0
/*
 * The header: every limit, every malformed field, and random damage.
 */
#include <linux/mm.h>
#include <linux/slab.h>

#include "ondisk/header.h"
#include "qtest.h"

#define CLUSTER_BITS	16
#define CLUSTER		BIT_ULL(CLUSTER_BITS)
#define FILE_SIZE	(64 * CLUSTER)
#define NAME_AT		0x200

/* A field to be overwritten. */
struct field {
	bool used;
	u32 in_header;
	u64 value;
};

#define F(member, value) { true, offsetof(struct qcow_disk_header, member), value }

static u32 field_bytes(u32 in_header)
{
	switch (in_header) {
	case offsetof(struct qcow_disk_header, backing_file_offset):
	case offsetof(struct qcow_disk_header, size):
	case offsetof(struct qcow_disk_header, l1_table_offset):
	case offsetof(struct qcow_disk_header, refcount_table_offset):
	case offsetof(struct qcow_disk_header, snapshots_offset):
	case offsetof(struct qcow_disk_header, incompatible_features):
	case offsetof(struct qcow_disk_header, compatible_features):
	case offsetof(struct qcow_disk_header, autoclear_features):
		return 8;
	case offsetof(struct qcow_disk_header, compression_type):
		return 1;
	}
	return 4;
}

static void put_be(u8 *buf, const struct field *f)
{
	u32 i, n = field_bytes(f->in_header);

	for (i = 0; i < n; i++)
		buf[f->in_header + i] = f->value >> 8 * (n - 1 - i);
}

static const struct field base_header[] = {
	F(magic, QCOW_DISK_MAGIC),
	F(version, 3),
	F(cluster_bits, CLUSTER_BITS),
	F(size, 1ULL << 30),
	F(l1_size, 2),
	F(l1_table_offset, 3 * CLUSTER),
	F(refcount_table_offset, CLUSTER),
	F(refcount_table_clusters, 1),
	F(refcount_order, 4),
	F(header_length, 112),
};

/* @size bytes of a valid header, freed with the test. */
static u8 *make_header(struct kunit *test, size_t size)
{
	u8 *buf = kunit_kzalloc(test, max_t(size_t, size, 112), GFP_KERNEL);
	u32 i;

	KUNIT_ASSERT_NOT_NULL(test, buf);
	for (i = 0; i < ARRAY_SIZE(base_header); i++)
		put_be(buf, &base_header[i]);
	return buf;
}

/*
 * Parses a copy that ends where the buffer ends, so that KASAN sees a read behind it.
 */
static int parse(struct kunit *test, struct qcow_header *h, const u8 *buf,
		 size_t len, u64 file_size, struct qcow_msg *msg)
{
	u8 *copy = kmemdup(buf, len, GFP_KERNEL);
	int err;

	KUNIT_ASSERT_NOT_NULL(test, copy);
	msg->text[0] = 0;
	err = qcow_header_parse(h, copy, len, file_size, msg);
	kfree(copy);
	return err;
}

/**
 * struct header_case - a valid header with some fields overwritten
 * @name: of the case
 * @set: those fields
 * @err: expected
 * @says: expected in the message
 */
struct header_case {
	const char *name;
	struct field set[5];
	int err;
	const char *says;
};

#define DEEP	BIT_ULL(63)

static const struct header_case header_cases[] = {
	{ "version 3", { } },
	{ "version 2", { F(version, 2) } },
	{ "version 2 has no features",
	  { F(version, 2), F(refcount_order, 99), F(header_length, 1) } },
	{ "no magic", { F(magic, 0x514649fc) }, -EINVAL, "magic" },
	{ "version 0", { F(version, 0) }, -EOPNOTSUPP, "version 0" },
	{ "version 1, with other fields", { F(version, 1) }, -EINVAL, "cluster size 2^0" },
	{ "version 4", { F(version, 4) }, -EOPNOTSUPP, "version 4" },
	{ "version 2^31", { F(version, 1U << 31) }, -EOPNOTSUPP, "version 2147483648" },

	{ "cluster_bits 0", { F(cluster_bits, 0) }, -EINVAL, "cluster size" },
	{ "cluster_bits 8", { F(cluster_bits, 8) }, -EINVAL, "cluster size" },
	{ "cluster_bits 22", { F(cluster_bits, 22) }, -EINVAL, "cluster size" },
	{ "cluster_bits 63", { F(cluster_bits, 63) }, -EINVAL, "cluster size" },
	{ "cluster_bits 2^31", { F(cluster_bits, 1U << 31) }, -EINVAL, "cluster size" },

	{ "backing name at 1",
	  { F(backing_file_offset, 1), F(backing_file_size, 4) }, -EINVAL, "backing" },
	{ "backing name inside the header",
	  { F(backing_file_offset, 111), F(backing_file_size, 4) }, -EINVAL, "backing" },
	{ "backing name past the cluster",
	  { F(backing_file_offset, CLUSTER + 1), F(backing_file_size, 4) }, -EINVAL, "outside" },
	{ "backing name at 2^63",
	  { F(backing_file_offset, DEEP), F(backing_file_size, 4) }, -EINVAL, "outside" },
	{ "backing name at 2^64 - 1",
	  { F(backing_file_offset, U64_MAX), F(backing_file_size, 4) }, -EINVAL, "outside" },
	{ "backing name across the cluster's end",
	  { F(backing_file_offset, CLUSTER - 3), F(backing_file_size, 4) }, -EINVAL, "long" },
	{ "backing name of 1024 bytes",
	  { F(backing_file_offset, NAME_AT), F(backing_file_size, 1024) }, -EINVAL, "long" },
	{ "backing name of 2^32 - 1 bytes",
	  { F(backing_file_offset, NAME_AT), F(backing_file_size, U32_MAX) }, -EINVAL, "long" },
	{ "backing name with NUL",
	  { F(backing_file_offset, NAME_AT), F(backing_file_size, 4) }, -EINVAL, "NUL" },
	{ "backing name length without offset", { F(backing_file_size, 4) } },

	{ "size 0", { F(size, 0), F(l1_size, 0) } },
	{ "size 2^63 - 1", { F(size, S64_MAX) }, -EINVAL, "too small" },
	{ "size 2^63", { F(size, DEEP) }, -EFBIG, "too large" },
	{ "size 2^64 - 1", { F(size, U64_MAX) }, -EFBIG, "too large" },

	{ "AES", { F(crypt_method, 1) } },
	{ "LUKS", { F(crypt_method, 2) } },
	{ "encryption method 3", { F(crypt_method, 3) }, -EOPNOTSUPP, "encryption" },
	{ "encryption method 2^32 - 1", { F(crypt_method, U32_MAX) }, -EOPNOTSUPP, "encryption" },

	{ "L1 table larger than needed", { F(l1_size, 3) } },
	{ "L1 table too small", { F(l1_size, 1) }, -EINVAL, "too small" },
	{ "L1 table too small by a byte", { F(size, (1ULL << 30) + 1) }, -EINVAL, "too small" },
	{ "no L1 table", { F(l1_size, 0) }, -EINVAL, "too small" },
	{ "L1 table of 32 MiB", { F(l1_size, 4194304) } },
	{ "L1 table above 32 MiB", { F(l1_size, 4194305) }, -EFBIG, "too large" },
	{ "L1 table of 2^32 - 1 entries", { F(l1_size, U32_MAX) }, -EFBIG, "too large" },
	{ "L1 table unaligned", { F(l1_table_offset, CLUSTER + 512) }, -EINVAL, "aligned" },
	{ "L1 table at 2^64", { F(l1_table_offset, -CLUSTER) }, -EINVAL, "out of range" },
	{ "L1 table at 2^63", { F(l1_table_offset, DEEP) }, -EINVAL, "out of range" },
	{ "L1 table ends past 2^63",
	  { F(l1_table_offset, DEEP - CLUSTER), F(l1_size, 8193) }, -EINVAL, "out of range" },
	{ "L1 table past the file", { F(l1_table_offset, FILE_SIZE) }, -EINVAL, "truncated" },
	{ "L1 table in the last cluster", { F(l1_table_offset, FILE_SIZE - CLUSTER) } },

	{ "no refcount table", { F(refcount_table_clusters, 0) }, -EINVAL, "refcount" },
	{ "refcount table of 8 MiB", { F(refcount_table_clusters, 128) } },
	{ "refcount table above 8 MiB", { F(refcount_table_clusters, 129) }, -EFBIG, "refcount" },
	{ "refcount table of 2^32 - 1",
	  { F(refcount_table_clusters, U32_MAX) }, -EFBIG, "refcount" },
	{ "refcount table unaligned",
	  { F(refcount_table_offset, CLUSTER + 8) }, -EINVAL, "aligned" },
	{ "refcount table at 2^64",
	  { F(refcount_table_offset, -CLUSTER) }, -EINVAL, "out of range" },
	{ "refcount table at 2^63", { F(refcount_table_offset, DEEP) }, -EINVAL, "out of range" },
	{ "refcount table past the file",
	  { F(refcount_table_offset, FILE_SIZE) }, -EINVAL, "truncated" },

	{ "65536 snapshots", { F(nb_snapshots, 65536), F(snapshots_offset, CLUSTER) } },
	{ "65537 snapshots",
	  { F(nb_snapshots, 65537), F(snapshots_offset, CLUSTER) }, -EFBIG, "snapshots" },
	{ "snapshot table unaligned",
	  { F(nb_snapshots, 1), F(snapshots_offset, 512) }, -EINVAL, "aligned" },
	{ "empty snapshot table unaligned", { F(snapshots_offset, 512) }, -EINVAL, "aligned" },
	{ "snapshot table at 2^64",
	  { F(nb_snapshots, 2000), F(snapshots_offset, -CLUSTER) }, -EINVAL, "out of range" },
	{ "snapshot table past the file",
	  { F(nb_snapshots, 1), F(snapshots_offset, FILE_SIZE) }, -EINVAL, "truncated" },

	{ "dirty, corrupt", { F(incompatible_features, 3) } },
	{ "lazy refcounts", { F(compatible_features, 1) } },
	{ "unknown compatible features", { F(compatible_features, U64_MAX) } },
	{ "unknown autoclear features",
	  { F(autoclear_features, U64_MAX & ~QCOW_DISK_AUTOCLEAR_DATA_RAW) } },
	{ "a raw data file", { F(incompatible_features, 4), F(autoclear_features, 2) } },
	{ "a raw data file that is none", { F(autoclear_features, 2) }, -EINVAL, "data file" },
	{ "incompatible feature 5", { F(incompatible_features, 1 << 5) }, -EOPNOTSUPP, "(bit 5)" },
	{ "incompatible feature 63", { F(incompatible_features, DEEP) }, -EOPNOTSUPP, "(bit 63)" },
	{ "all incompatible features",
	  { F(incompatible_features, U64_MAX) }, -EOPNOTSUPP, "(bit 5)" },
	{ "data file", { F(incompatible_features, 4) } },
	{ "data file and snapshots",
	  { F(incompatible_features, 4), F(nb_snapshots, 1), F(snapshots_offset, CLUSTER) },
	  -EINVAL, "data file" },
	{ "extended L2", { F(incompatible_features, 16), F(l1_size, 4) } },
	{ "extended L2 covers half",
	  { F(incompatible_features, 16), F(l1_size, 3) }, -EINVAL, "too small" },
	{ "extended L2, small clusters",
	  { F(incompatible_features, 16), F(cluster_bits, 13), F(l1_size, 4096) }, -EINVAL,
	  "16 KiB" },

	{ "refcount order 0", { F(refcount_order, 0) } },
	{ "refcount order 6", { F(refcount_order, 6) } },
	{ "refcount order 7", { F(refcount_order, 7) }, -EINVAL, "refcount order" },
	{ "refcount order 2^32 - 1", { F(refcount_order, U32_MAX) }, -EINVAL, "refcount order" },

	{ "header length 104", { F(header_length, 104) } },
	{ "header length of a cluster", { F(header_length, CLUSTER) } },
	{ "header length 0", { F(header_length, 0) }, -EINVAL, "length" },
	{ "header length 103", { F(header_length, 103) }, -EINVAL, "length" },
	{ "header length above a cluster", { F(header_length, CLUSTER + 8) }, -EINVAL, "length" },
	{ "header length 2^32 - 1", { F(header_length, U32_MAX) }, -EINVAL, "length" },

	{ "zstd", { F(incompatible_features, 8), F(compression_type, 1) } },
	{ "zstd without the bit", { F(compression_type, 1) }, -EINVAL, "disagree" },
	{ "zlib with the bit", { F(incompatible_features, 8) }, -EINVAL, "disagree" },
	{ "the bit, but a short header",
	  { F(incompatible_features, 8), F(header_length, 104), F(compression_type, 1) }, -EINVAL,
	  "disagree" },
	{ "no type in a short header", { F(header_length, 104), F(compression_type, 1) } },
	{ "compression type 128",
	  { F(incompatible_features, 8), F(compression_type, 128) }, -EOPNOTSUPP,
	  "compression type 128" },
	{ "compression type 255",
	  { F(compression_type, 255) }, -EOPNOTSUPP, "compression type 255" },
};

static void header_case_desc(const struct header_case *c, char *desc)
{
	strscpy(desc, c->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(header, header_cases, header_case_desc);

static void header_fields(struct kunit *test)
{
	const struct header_case *c = test->param_value;
	u8 *buf = make_header(test, CLUSTER);
	struct qcow_header h;
	struct qcow_msg msg;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(c->set) && c->set[i].used; i++)
		put_be(buf, &c->set[i]);
	KUNIT_EXPECT_EQ_MSG(test, parse(test, &h, buf, CLUSTER, FILE_SIZE, &msg),
			    c->err, "%s", msg.text);
	if (!c->err)
		KUNIT_EXPECT_STREQ(test, msg.text, "");
	else
		KUNIT_EXPECT_NOT_NULL_MSG(test, strstr(msg.text, c->says),
					  "says: %s", msg.text);
}

static void header_values(struct kunit *test)
{
	static const struct field set[] = {
		F(size, (1ULL << 29) + 1000), F(crypt_method, 2),
		F(incompatible_features, 3), F(compatible_features, 1),
		F(autoclear_features, 1), F(refcount_order, 5),
		F(nb_snapshots, 7), F(snapshots_offset, 5 * CLUSTER),
		F(backing_file_offset, NAME_AT), F(backing_file_size, 3),
	};
	u8 *buf = make_header(test, CLUSTER);
	struct qcow_header h;
	struct qcow_msg msg;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(set); i++)
		put_be(buf, &set[i]);
	memcpy(buf + NAME_AT, "abc", 3);
	KUNIT_ASSERT_EQ(test, parse(test, &h, buf, CLUSTER, FILE_SIZE, &msg), 0);
	KUNIT_EXPECT_EQ(test, h.version, 3);
	KUNIT_EXPECT_EQ(test, h.cluster_bits, CLUSTER_BITS);
	/* Rounded down to sectors. */
	KUNIT_EXPECT_EQ(test, h.size, (1ULL << 29) + 512);
	KUNIT_EXPECT_EQ(test, h.crypt_method, 2);
	KUNIT_EXPECT_EQ(test, h.incompatible, 3);
	KUNIT_EXPECT_EQ(test, h.compatible, 1);
	KUNIT_EXPECT_EQ(test, h.autoclear, 1);
	KUNIT_EXPECT_EQ(test, h.refcount_order, 5);
	KUNIT_EXPECT_EQ(test, h.nr_snapshots, 7);
	KUNIT_EXPECT_EQ(test, h.snapshots_offset, 5 * CLUSTER);
	KUNIT_EXPECT_EQ(test, h.backing_in_header, NAME_AT);
	KUNIT_EXPECT_EQ(test, h.backing_len, 3);
	KUNIT_EXPECT_EQ(test, h.l1_size, 2);
	KUNIT_EXPECT_EQ(test, h.l1_table_offset, 3 * CLUSTER);
	KUNIT_EXPECT_EQ(test, h.refcount_table_offset, CLUSTER);
	KUNIT_EXPECT_EQ(test, h.refcount_table_clusters, 1);
	KUNIT_EXPECT_EQ(test, h.compression, 0);
}

static void header_supported(struct kunit *test)
{
	struct qcow_header h = { };
	struct qcow_msg msg = { };

	KUNIT_EXPECT_EQ(test, qcow_header_supported(&h, &msg), 0);
	h.crypt_method = QCOW_DISK_CRYPT_AES;
	KUNIT_EXPECT_EQ(test, qcow_header_supported(&h, &msg), 0);
	/* The extension that leads to a LUKS header counts in LUKS images only. */
	h.luks_in_header = 112;
	h.luks_len = 16;
	h.crypto_host_offset = CLUSTER;
	h.crypto_length = 1;
	KUNIT_EXPECT_EQ(test, qcow_header_supported(&h, &msg), -EINVAL);
	h.crypt_method = QCOW_DISK_CRYPT_NONE;
	KUNIT_EXPECT_EQ(test, qcow_header_supported(&h, &msg), -EINVAL);
}

static const struct {
	u32 len;
	u64 host_offset;
	u64 length;
	int err;
} luks_cases[] = {
	{ 16, CLUSTER, 1 },
	{ 16, 7 * CLUSTER, 2068480 },
	{ 16, S64_MAX & ~(CLUSTER - 1), CLUSTER - 1 },
	{ 0, CLUSTER, 1, -EINVAL },
	{ 15, CLUSTER, 1, -EINVAL },
	{ 24, CLUSTER, 1, -EINVAL },
	{ 16, 0, 1, -EINVAL },
	{ 16, CLUSTER, 0, -EINVAL },
	{ 16, CLUSTER + 512, 1, -EINVAL },
	{ 16, S64_MAX & ~(CLUSTER - 1), CLUSTER + 1, -EINVAL },
	{ 16, ~0ULL & ~(CLUSTER - 1), CLUSTER, -EINVAL },
	{ 16, CLUSTER, (16 << 20) + 1, -EFBIG },
	{ 16, CLUSTER, U64_MAX, -EFBIG },
};

static void header_luks(struct kunit *test)
{
	struct qcow_header h = {
		.crypt_method = QCOW_DISK_CRYPT_LUKS,
		.cluster_bits = CLUSTER_BITS,
		.luks_in_header = 112,
	};
	struct qcow_msg msg = { };
	u32 i;

	for (i = 0; i < ARRAY_SIZE(luks_cases); i++) {
		h.luks_len = luks_cases[i].len;
		h.crypto_host_offset = luks_cases[i].host_offset;
		h.crypto_length = luks_cases[i].length;
		KUNIT_EXPECT_EQ_MSG(test, qcow_header_supported(&h, &msg),
				    luks_cases[i].err, "case %u", i);
	}
}

/* Every cluster size there is, with tables where they just fit. */
static void header_cluster_sizes(struct kunit *test)
{
	u8 *buf = make_header(test, 512);
	struct qcow_header h;
	struct qcow_msg msg;
	u32 bits;

	for (bits = 9; bits <= 21; bits++) {
		u64 covered = 1ULL << (2 * bits - 3);
		struct field set[] = {
			F(cluster_bits, bits),
			F(size, 2 * covered),
			F(l1_table_offset, 3ULL << bits),
			F(refcount_table_offset, 1ULL << bits),
		};
		u32 i;

		for (i = 0; i < ARRAY_SIZE(set); i++)
			put_be(buf, &set[i]);
		KUNIT_EXPECT_EQ(test, qcow_header_cluster_size(buf, 512, NULL),
				1 << bits);
		KUNIT_EXPECT_EQ_MSG(test, parse(test, &h, buf, 512, 64ULL << bits, &msg),
				    0, "%s", msg.text);
		set[1].value++;
		put_be(buf, &set[1]);
		KUNIT_EXPECT_EQ(test, parse(test, &h, buf, 512, 64ULL << bits, &msg),
				-EINVAL);
	}
}

static void header_truncated(struct kunit *test)
{
	u8 *buf = make_header(test, CLUSTER);
	struct field v2 = F(version, 2);
	struct qcow_header h;
	struct qcow_msg msg;
	size_t len;

	for (len = 0; len < 112; len++) {
		KUNIT_EXPECT_EQ(test, parse(test, &h, buf, len, FILE_SIZE, &msg),
				-EINVAL);
		KUNIT_EXPECT_TRUE(test, msg.text[0]);
	}
	KUNIT_EXPECT_EQ(test, parse(test, &h, buf, 112, FILE_SIZE, &msg), 0);
	put_be(buf, &v2);
	KUNIT_EXPECT_EQ(test, parse(test, &h, buf, 71, FILE_SIZE, &msg), -EINVAL);
	KUNIT_EXPECT_EQ(test, parse(test, &h, buf, 72, FILE_SIZE, &msg), 0);
}

/* A buffer of all sizes around the end of the backing file's name. */
static void header_truncated_name(struct kunit *test)
{
	struct field set[] = { F(backing_file_offset, NAME_AT), F(backing_file_size, 1023) };
	u8 *buf = make_header(test, CLUSTER);
	struct qcow_header h;
	struct qcow_msg msg;

	put_be(buf, &set[0]);
	put_be(buf, &set[1]);
	memset(buf + NAME_AT, 'x', 1023);
	KUNIT_EXPECT_EQ(test, parse(test, &h, buf, NAME_AT, FILE_SIZE, &msg), -EINVAL);
	KUNIT_EXPECT_EQ(test, parse(test, &h, buf, NAME_AT + 1022, FILE_SIZE, &msg),
			-EINVAL);
	KUNIT_EXPECT_EQ(test, parse(test, &h, buf, NAME_AT + 1023, FILE_SIZE, &msg), 0);
	KUNIT_EXPECT_EQ(test, h.backing_len, 1023);
}

static void header_probe(struct kunit *test)
{
	u8 *buf = make_header(test, 112);

	KUNIT_EXPECT_EQ(test, qcow_header_probe(buf, 112), 3);
	KUNIT_EXPECT_EQ(test, qcow_header_probe(buf, QCOW_HEADER_PROBE_BYTES), 3);
	KUNIT_EXPECT_EQ(test, qcow_header_probe(buf, QCOW_HEADER_PROBE_BYTES - 1), 0);
	buf[0] = 'q';
	KUNIT_EXPECT_EQ(test, qcow_header_probe(buf, 112), 0);
}

/* The first thing said stays. */
static void header_message(struct kunit *test)
{
	struct qcow_msg msg = { };

	KUNIT_EXPECT_EQ(test, qcow_fail(NULL, -EIO, "nobody listens"), -EIO);
	KUNIT_EXPECT_EQ(test, qcow_fail(&msg, -EIO, "first %d", 1), -EIO);
	KUNIT_EXPECT_EQ(test, qcow_fail(&msg, -EINVAL, "second"), -EINVAL);
	KUNIT_EXPECT_STREQ(test, msg.text, "first 1");
}

static struct kunit_case header_test_cases[] = {
	KUNIT_CASE_PARAM(header_fields, header_gen_params),
	KUNIT_CASE(header_values),
	KUNIT_CASE(header_supported),
	KUNIT_CASE(header_luks),
	KUNIT_CASE(header_cluster_sizes),
	KUNIT_CASE(header_truncated),
	KUNIT_CASE(header_truncated_name),
	KUNIT_CASE(header_probe),
	KUNIT_CASE(header_message),
	{ }
};

static struct kunit_suite header_suite = {
	.name = "qcow_header",
	.test_cases = header_test_cases,
};

kunit_test_suite(header_suite);
