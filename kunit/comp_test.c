// SPDX-License-Identifier: GPL-2.0
/*
 * Codecs, and the decompressed clusters kept in memory.
 */
#include <linux/completion.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include <linux/zutil.h>

#include "codec.h"
#include "file/comp.h"
#include "file/stats.h"
#include "ondisk/header.h"
#include "comp_vectors.h"
#include "memfile.h"
#include "qtest.h"

typedef size_t (*compress_fn)(void *dst, size_t dst_len, const void *src,
			      size_t len);

/* --- Codecs --- */

/* Decompresses from a copy that ends where KASAN sees it. */
static int decompress(struct kunit *test, const struct qcow_codec *codec,
		      void *dst, size_t dst_len, const void *src, size_t src_len)
{
	void *workspace = kvmalloc(codec->workspace_size(), GFP_KERNEL);
	void *copy = kmemdup(src, src_len, GFP_KERNEL);
	int err = -ENOMEM;

	if (workspace && copy)
		err = codec->decompress(workspace, dst, dst_len, copy, src_len);
	kvfree(workspace);
	kfree(copy);
	return err;
}

static void vector_case_desc(const struct vector_case *c, char *desc)
{
	strscpy(desc, c->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(vector, vector_cases, vector_case_desc);

static bool vector_right(const u8 *p, u32 len)
{
	u32 i;

	for (i = 0; i < len; i++)
		if (p[i] != vector_byte(i))
			return false;
	return true;
}

static void comp_vectors(struct kunit *test)
{
	const struct vector_case *c = test->param_value;
	u8 *dst = kunit_kzalloc(test, c->cluster, GFP_KERNEL);
	u8 *longer = kunit_kzalloc(test, c->len + 700, GFP_KERNEL);
	u32 cut;

	KUNIT_ASSERT_NOT_NULL(test, dst);
	KUNIT_ASSERT_NOT_NULL(test, longer);
	KUNIT_EXPECT_EQ(test, decompress(test, c->codec, dst, c->cluster,
					 c->stored, c->len), 0);
	KUNIT_EXPECT_TRUE(test, vector_right(dst, c->cluster));

	/* The end of the last sector is another cluster's. */
	memset(longer, 0xff, c->len + 700);
	memcpy(longer, c->stored, c->len);
	memset(dst, 0, c->cluster);
	KUNIT_EXPECT_EQ(test, decompress(test, c->codec, dst, c->cluster,
					 longer, c->len + 700), 0);
	KUNIT_EXPECT_TRUE(test, vector_right(dst, c->cluster));

	/* Truncated; a byte less may leave out no more than the end mark. */
	for (cut = 2; cut < c->len; cut += 1 + c->len / 50)
		KUNIT_EXPECT_EQ_MSG(test, decompress(test, c->codec, dst, c->cluster,
						     c->stored, c->len - cut),
				    -EIO, "%u bytes cut off", cut);
	/* More is wanted than is there. */
	dst = kunit_kzalloc(test, 2 * c->cluster, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, dst);
	KUNIT_EXPECT_EQ(test, decompress(test, c->codec, dst, 2 * c->cluster,
					 c->stored, c->len), -EIO);
}

/* Half a cluster is wanted: deflate goes on behind it, a zstd frame must not. */
static void comp_too_long(struct kunit *test)
{
	u8 *dst = kunit_kzalloc(test, 2048, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, dst);
	KUNIT_EXPECT_EQ(test, decompress(test, &qcow_codec_zlib, dst, 2048,
					 vector_zlib_4096, sizeof(vector_zlib_4096)), 0);
	KUNIT_EXPECT_TRUE(test, vector_right(dst, 2048));
	KUNIT_EXPECT_EQ(test, decompress(test, &qcow_codec_zstd, dst, 2048,
					 vector_zstd_4096, sizeof(vector_zstd_4096)), -EIO);
}

/* The stream of @vector_zlib_4096 with the header and the checksum of RFC 1950 */
static u32 make_stream(u8 *stored)
{
	u8 *plain = kmalloc(4096, GFP_KERNEL);
	u32 i, len = sizeof(vector_zlib_4096);
	__be32 sum;

	for (i = 0; plain && i < 4096; i++)
		plain[i] = vector_byte(i);
	stored[0] = 0x78;
	stored[1] = 0x01;
	memcpy(stored + 2, vector_zlib_4096, len);
	sum = cpu_to_be32(plain ? zlib_adler32(1, plain, 4096) : 0);
	memcpy(stored + 2 + len, &sum, sizeof(sum));
	kfree(plain);
	return len + 6;
}

/* A chunk of a map is a whole stream, with the right checksum. */
static void comp_whole_stream(struct kunit *test)
{
	u8 *stored = kunit_kzalloc(test, sizeof(vector_zlib_4096) + 6 + 700, GFP_KERNEL);
	u8 *dst = kunit_kzalloc(test, 4608, GFP_KERNEL);
	u32 len;

	KUNIT_ASSERT_NOT_NULL(test, stored);
	KUNIT_ASSERT_NOT_NULL(test, dst);
	len = make_stream(stored);
	KUNIT_EXPECT_EQ(test, decompress(test, &qcow_codec_zlib_stream, dst, 4096, stored, len), 0);
	KUNIT_EXPECT_TRUE(test, vector_right(dst, 4096));
	KUNIT_EXPECT_EQ(test, decompress(test, &qcow_codec_zlib_stream, dst, 4096, stored,
					 len + 700), 0);
	KUNIT_EXPECT_EQ(test, decompress(test, &qcow_codec_deflate, dst, 4096,
					 vector_zlib_4096, sizeof(vector_zlib_4096)), 0);
	/* A stream that is longer or shorter than the chunk */
	KUNIT_EXPECT_EQ(test, decompress(test, &qcow_codec_zlib_stream, dst, 2048, stored, len),
			-EIO);
	KUNIT_EXPECT_EQ(test, decompress(test, &qcow_codec_zlib_stream, dst, 4608, stored, len),
			-EIO);
	KUNIT_EXPECT_EQ(test, decompress(test, &qcow_codec_deflate, dst, 2048,
					 vector_zlib_4096, sizeof(vector_zlib_4096)), -EIO);
	/* A checksum that is cut off, or another one */
	KUNIT_EXPECT_EQ(test, decompress(test, &qcow_codec_zlib_stream, dst, 4096, stored, len - 1),
			-EIO);
	stored[len - 1] ^= 1;
	KUNIT_EXPECT_EQ(test, decompress(test, &qcow_codec_zlib_stream, dst, 4096, stored, len),
			-EIO);
}

/* zstd: a cluster may be several frames, also skippable ones. */
static void comp_frames(struct kunit *test)
{
	static const u8 skippable[] = { 0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3 };
	size_t n = sizeof(vector_zstd_4096);
	u8 *src = kunit_kzalloc(test, 3 * n + 100, GFP_KERNEL);
	u8 *dst = kunit_kzalloc(test, 3 * 4096, GFP_KERNEL);
	u32 i, in_src = 0;

	KUNIT_ASSERT_NOT_NULL(test, src);
	KUNIT_ASSERT_NOT_NULL(test, dst);
	for (i = 0; i < 3; i++, in_src += n)
		memcpy(src + in_src, vector_zstd_4096, n);
	KUNIT_EXPECT_EQ(test, decompress(test, &qcow_codec_zstd, dst, 3 * 4096, src, in_src),
			0);
	for (i = 0; i < 3; i++)
		KUNIT_EXPECT_TRUE(test, vector_right(dst + i * 4096, 4096));
	/* One frame too few; the last frame not whole. */
	KUNIT_EXPECT_EQ(test, decompress(test, &qcow_codec_zstd, dst, 3 * 4096, src, 2 * n), -EIO);
	KUNIT_EXPECT_EQ(test, decompress(test, &qcow_codec_zstd, dst, 3 * 4096, src, in_src - 5),
			-EIO);
	/* The second one does not fit. */
	KUNIT_EXPECT_EQ(test, decompress(test, &qcow_codec_zstd, dst, 6000, src, in_src),
			-EIO);

	memcpy(src, skippable, sizeof(skippable));
	memcpy(src + sizeof(skippable), vector_zstd_4096, n);
	memset(dst, 0, 4096);
	KUNIT_EXPECT_EQ(test, decompress(test, &qcow_codec_zstd, dst, 4096, src,
					 sizeof(skippable) + n), 0);
	KUNIT_EXPECT_TRUE(test, vector_right(dst, 4096));
}

/**
 * struct codec_case - a codec and a compressor for it
 * @name: of the case
 * @codec: reads
 * @compress: writes
 */
struct codec_case {
	const char *name;
	const struct qcow_codec *codec;
	compress_fn compress;
};

static const struct codec_case codec_cases[] = {
	{ "zlib", &qcow_codec_zlib, codec_deflate },
	{ "zstd", &qcow_codec_zstd, codec_zstd },
};

static void codec_case_desc(const struct codec_case *c, char *desc)
{
	strscpy(desc, c->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(codec, codec_cases, codec_case_desc);

static void fill(struct rnd_state *rnd, u8 *p, u32 len)
{
	u32 n;

	while (len) {
		n = min(len, 1 + qtest_below(rnd, 300));
		if (qtest_one_in(rnd, 2))
			memset(p, prandom_u32_state(rnd), n);
		else
			prandom_bytes_state(rnd, p, n / 2);
		p += n;
		len -= n;
	}
}

static void comp_round_trip(struct kunit *test)
{
	const struct codec_case *c = test->param_value;
	struct rnd_state rnd = qtest_rnd(400);
	u8 *src = vmalloc(2 << 20), *dst = vmalloc(2 << 20), *out = vmalloc(2 << 20);
	u32 bits, i;
	size_t n;

	KUNIT_ASSERT_TRUE(test, src && dst && out);
	for (bits = 9; bits <= 21; bits++) {
		for (i = 0; i < 1 + (1 << 21 >> bits) / 64; i++) {
			fill(&rnd, src, 1 << bits);
			n = c->compress(dst, 2 << 20, src, 1 << bits);
			KUNIT_EXPECT_NE(test, n, 0);
			KUNIT_EXPECT_EQ(test, decompress(test, c->codec, out, 1 << bits,
							 dst, n), 0);
			KUNIT_EXPECT_EQ(test, memcmp(src, out, 1 << bits), 0);
		}
	}
	vfree(src);
	vfree(dst);
	vfree(out);
}

/* Whatever is stored: 0 or -EIO, and nothing but the cluster is written to. */
static void comp_damaged(struct kunit *test)
{
	const struct codec_case *c = test->param_value;
	struct rnd_state rnd = qtest_rnd(401);
	u8 *src = kunit_kzalloc(test, 4096, GFP_KERNEL);
	u8 *dst = kunit_kzalloc(test, 8192, GFP_KERNEL);
	u8 *out = kunit_kzalloc(test, 4096, GFP_KERNEL);
	u32 i, good = 0;
	size_t n;
	int err;

	KUNIT_ASSERT_TRUE(test, src && dst && out);
	for (i = 0; i < 5000; i++) {
		if (i % 50 == 0)
			fill(&rnd, src, 4096);
		n = c->compress(dst, 8192, src, 4096);
		dst[qtest_below(&rnd, n)] ^= 1 << qtest_below(&rnd, 8);
		if (qtest_one_in(&rnd, 4))
			prandom_bytes_state(&rnd, dst + qtest_below(&rnd, n), 4);
		err = decompress(test, c->codec, out, 4096, dst, n);
		KUNIT_EXPECT_TRUE(test, !err || err == -EIO);
		good += !err;
	}
	kunit_info(test, "%u of 5000 were not noticed\n", good);
}

/* --- Decompressed clusters --- */

#define CLUSTER_BITS	12
#define CLUSTER		BIT(CLUSTER_BITS)
#define CLUSTERS	80
#define STRIDE		3072
#define READERS		10

/* A file of compressed clusters, each at a multiple of STRIDE. */
struct comp_fixture {
	struct memfile *m;
	struct qcow_file f;
	struct qcow_comp *comp;
	struct qcow_stats __percpu *stats;
	u8 *stored;
	u8 *plain;
	u8 *buf;
};

/* A read of a part. */
struct reader {
	struct qcow_subreq subreq;
	struct qcow_io io;
	struct bio_vec bvec;
	struct completion done;
	int err;
};

static void reader_end(struct qcow_file_req *req, int err)
{
	struct reader *r = container_of(req, struct reader, subreq.req);

	r->err = err;
	complete(&r->done);
}

static int comp_fill(struct comp_fixture *x)
{
	struct rnd_state rnd = qtest_rnd(402);
	u32 i;

	for (i = 0; i < CLUSTERS; i++) {
		fill(&rnd, x->plain + i * CLUSTER, CLUSTER);
		/* At worst the end is random bytes, which do not compress. */
		memset(x->plain + i * CLUSTER + 2000, i, CLUSTER - 2000);
		if (!codec_deflate(x->stored + i * STRIDE, STRIDE,
				   x->plain + i * CLUSTER, CLUSTER))
			return -EINVAL;
	}
	return 0;
}

static int comp_test_init(struct kunit *test)
{
	struct comp_fixture *x = kunit_kzalloc(test, sizeof(*x), GFP_KERNEL);
	int err;

	if (!x)
		return -ENOMEM;
	test->priv = x;
	x->stored = vzalloc(CLUSTERS * STRIDE);
	x->plain = vzalloc(CLUSTERS * CLUSTER);
	x->buf = vzalloc(READERS * PAGE_SIZE);
	x->stats = qcow_stats_alloc();
	x->m = memfile_create();
	if (!x->stored || !x->plain || !x->buf || !x->stats || !x->m)
		return -ENOMEM;
	err = comp_fill(x);
	if (err)
		return err;
	memfile_set_data(x->m, x->stored, CLUSTERS * STRIDE, CLUSTERS * STRIDE);
	memfile_set_mode(x->m, &(struct memfile_mode){ });
	err = qcow_file_open(&x->f, x->m->file, QCOW_DIRECT_OFF, NULL);
	if (err)
		return err;
	x->comp = qcow_comp_create(qtest_comp_wq, x->stats);
	return x->comp ? 0 : -ENOMEM;
}

static void comp_test_exit(struct kunit *test)
{
	struct comp_fixture *x = test->priv;

	if (!x)
		return;
	qcow_comp_destroy(x->comp);
	qcow_file_close(&x->f);
	memfile_destroy(x->m);
	free_percpu(x->stats);
	vfree(x->buf);
	vfree(x->plain);
	vfree(x->stored);
}

static u64 decompressed(struct comp_fixture *x)
{
	u64 n = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		n += per_cpu_ptr(x->stats, cpu)->decompressed;
	return n;
}

static void reader_prepare(struct comp_fixture *x, struct reader *r, u32 nr,
			   u32 cluster, u32 in_cluster, u32 len)
{
	memset(r, 0, sizeof(*r));
	r->bvec.bv_page = vmalloc_to_page(x->buf + nr * PAGE_SIZE);
	r->bvec.bv_len = PAGE_SIZE;
	r->subreq.io = &r->io;
	r->subreq.host_offset = cluster * STRIDE;
	r->subreq.codec = &qcow_codec_zlib;
	r->subreq.csize = STRIDE;
	r->subreq.cluster_bytes = CLUSTER;
	r->subreq.in_cluster = in_cluster;
	r->subreq.req.file = &x->f;
	r->subreq.req.bvec = &r->bvec;
	r->subreq.req.nr_bvec = 1;
	r->subreq.req.len = len;
	r->subreq.req.end_io = reader_end;
	init_completion(&r->done);
	r->err = 1;
}

static int reader_wait(struct reader *r)
{
	if (!wait_for_completion_timeout(&r->done, 10 * HZ))
		return -ETIMEDOUT;
	return r->err;
}

static int comp_read(struct comp_fixture *x, struct reader *r, bool nowait)
{
	r->subreq.req.nowait = nowait;
	return qcow_comp_read(x->comp, &r->subreq);
}

static void read_cluster(struct kunit *test, u32 cluster, bool nowait, int err)
{
	struct comp_fixture *x = test->priv;
	struct reader r;

	reader_prepare(x, &r, 0, cluster, 0, CLUSTER);
	KUNIT_ASSERT_EQ(test, comp_read(x, &r, nowait), 0);
	KUNIT_EXPECT_EQ(test, reader_wait(&r), err);
	if (!err)
		KUNIT_EXPECT_EQ(test, memcmp(x->buf, x->plain + cluster * CLUSTER, CLUSTER), 0);
}

/* The second read finds the cluster decompressed, and needs no worker. */
static void comp_keeps(struct kunit *test)
{
	struct comp_fixture *x = test->priv;
	struct reader r;

	read_cluster(test, 3, false, 0);
	KUNIT_EXPECT_EQ(test, decompressed(x), 1);
	reader_prepare(x, &r, 0, 3, 1000, 2000);
	KUNIT_EXPECT_EQ(test, comp_read(x, &r, true), 0);
	KUNIT_EXPECT_TRUE(test, completion_done(&r.done));
	KUNIT_EXPECT_EQ(test, r.err, 0);
	KUNIT_EXPECT_EQ(test, memcmp(x->buf, x->plain + 3 * CLUSTER + 1000, 2000), 0);
	KUNIT_EXPECT_EQ(test, decompressed(x), 1);
}

static void comp_read_together(struct kunit *test, struct reader *r, int err)
{
	struct comp_fixture *x = test->priv;
	u32 i;

	for (i = 0; i < READERS; i++) {
		reader_prepare(x, &r[i], i, 7, 100 * i, 2000 + 10 * i);
		KUNIT_EXPECT_EQ(test, comp_read(x, &r[i], i & 1), 0);
	}
	for (i = 0; i < READERS; i++) {
		KUNIT_EXPECT_EQ(test, reader_wait(&r[i]), err);
		if (!err)
			KUNIT_EXPECT_EQ(test, memcmp(x->buf + i * PAGE_SIZE,
						     x->plain + 7 * CLUSTER + 100 * i,
						     2000 + 10 * i), 0);
	}
}

/* All readers of a cluster wait for one decompression. */
static void comp_joined(struct kunit *test)
{
	struct reader *r = kunit_kzalloc(test, READERS * sizeof(*r), GFP_KERNEL);
	struct memfile_mode mode = { .sleep_ms = 30 };
	struct comp_fixture *x = test->priv;

	KUNIT_ASSERT_NOT_NULL(test, r);
	memfile_set_mode(x->m, &mode);
	comp_read_together(test, r, 0);
	KUNIT_EXPECT_EQ(test, decompressed(x), 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&x->m->reads), 1);
}

/* All readers of a cluster fail together; nothing of it stays in memory. */
static void comp_joined_error(struct kunit *test)
{
	struct reader *r = kunit_kzalloc(test, READERS * sizeof(*r), GFP_KERNEL);
	struct memfile_mode mode = { .sleep_ms = 30, .fail_at = 1 };
	struct comp_fixture *x = test->priv;

	KUNIT_ASSERT_NOT_NULL(test, r);
	memfile_set_mode(x->m, &mode);
	comp_read_together(test, r, -EIO);
	KUNIT_EXPECT_EQ(test, atomic_read(&x->m->reads), 1);
	comp_read_together(test, r, 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&x->m->reads), 2);
}

static void comp_damage_stays(struct kunit *test)
{
	struct comp_fixture *x = test->priv;

	x->stored[5 * STRIDE] = 0xff;
	read_cluster(test, 5, false, -EBADMSG);
	read_cluster(test, 5, true, -EBADMSG);
	read_cluster(test, 6, true, 0);
}

/* Stored bytes reach past the end of the file: fine if they are not needed. */
static void comp_past_end(struct kunit *test)
{
	struct comp_fixture *x = test->priv;
	struct reader r;

	reader_prepare(x, &r, 0, CLUSTERS - 1, 0, CLUSTER);
	r.subreq.csize = 2 * CLUSTER;
	KUNIT_EXPECT_EQ(test, comp_read(x, &r, false), 0);
	KUNIT_EXPECT_EQ(test, reader_wait(&r), 0);
	KUNIT_EXPECT_EQ(test, memcmp(x->buf, x->plain + (CLUSTERS - 1) * CLUSTER, CLUSTER), 0);

	/* All clusters are damaged: zeros are no deflate stream of a cluster. */
	reader_prepare(x, &r, 0, CLUSTERS, 0, CLUSTER);
	KUNIT_EXPECT_EQ(test, comp_read(x, &r, false), 0);
	KUNIT_EXPECT_EQ(test, reader_wait(&r), -EBADMSG);

	/* Too few bytes, whatever it holds. */
	reader_prepare(x, &r, 0, 2, 0, CLUSTER);
	r.subreq.csize = 8;
	KUNIT_EXPECT_EQ(test, comp_read(x, &r, false), 0);
	KUNIT_EXPECT_EQ(test, reader_wait(&r), -EBADMSG);
}

/* More clusters than are kept: the least recently used ones go. */
static void comp_evicts(struct kunit *test)
{
	struct comp_fixture *x = test->priv;
	u32 i;

	for (i = 0; i < CLUSTERS; i++) {
		read_cluster(test, i, i & 1, 0);
		/* Always used again, so it stays. */
		read_cluster(test, 0, true, 0);
	}
	KUNIT_EXPECT_EQ(test, decompressed(x), CLUSTERS);
	read_cluster(test, CLUSTERS - 1, true, 0);
	KUNIT_EXPECT_EQ(test, decompressed(x), CLUSTERS);
	read_cluster(test, 1, true, 0);
	KUNIT_EXPECT_EQ(test, decompressed(x), CLUSTERS + 1);
}

/* When memory is short the clusters go, of an image that is idle as well. */
static void comp_shrinks(struct kunit *test)
{
	struct comp_fixture *x = test->priv;
	u32 i;

	for (i = 0; i < 8; i++)
		read_cluster(test, i, true, 0);
	KUNIT_EXPECT_EQ(test, qcow_comp_used(x->comp), 8 * CLUSTER);
	KUNIT_ASSERT_EQ(test, qtest_ask_for_memory(), 0);
	KUNIT_EXPECT_EQ(test, qcow_comp_used(x->comp), 0);
	read_cluster(test, 0, true, 0);
	KUNIT_EXPECT_EQ(test, decompressed(x), 9);
}

/* Many under way at once, of which some are the same. */
static void comp_storm(struct kunit *test)
{
	struct reader *r = kunit_kzalloc(test, READERS * sizeof(*r), GFP_KERNEL);
	struct comp_fixture *x = test->priv;
	struct rnd_state rnd = qtest_rnd(403);
	u32 cluster[READERS], i, round;

	KUNIT_ASSERT_NOT_NULL(test, r);
	for (round = 0; round < 300; round++) {
		for (i = 0; i < READERS; i++) {
			cluster[i] = qtest_below(&rnd, CLUSTERS);
			reader_prepare(x, &r[i], i, cluster[i], 0, CLUSTER);
			KUNIT_EXPECT_EQ(test, comp_read(x, &r[i], i & 1), 0);
		}
		for (i = 0; i < READERS; i++) {
			KUNIT_EXPECT_EQ(test, reader_wait(&r[i]), 0);
			KUNIT_EXPECT_EQ(test,
					memcmp(x->buf + i * PAGE_SIZE,
					       x->plain + cluster[i] * CLUSTER, CLUSTER),
					0);
		}
	}
}

static void comp_codec_of_type(struct kunit *test)
{
	u32 type;

	KUNIT_EXPECT_PTR_EQ(test, qcow_comp_codec(0), &qcow_codec_zlib);
	KUNIT_EXPECT_PTR_EQ(test, qcow_comp_codec(1), &qcow_codec_zstd);
	KUNIT_EXPECT_NULL(test, qcow_comp_codec(U32_MAX));
	KUNIT_EXPECT_STREQ(test, qcow_header_compression_name(0), "zlib");
	KUNIT_EXPECT_STREQ(test, qcow_header_compression_name(1), "zstd");
	/* A header is valid exactly if there is a codec for its type. */
	for (type = 0; type <= U8_MAX; type++)
		KUNIT_EXPECT_EQ_MSG(test, !qcow_comp_codec(type),
				    !qcow_header_compression_name(type), "%u", type);
}

static struct kunit_case codec_test_cases[] = {
	KUNIT_CASE(comp_codec_of_type),
	KUNIT_CASE_PARAM(comp_vectors, vector_gen_params),
	KUNIT_CASE(comp_too_long),
	KUNIT_CASE(comp_whole_stream),
	KUNIT_CASE(comp_frames),
	KUNIT_CASE_PARAM(comp_round_trip, codec_gen_params),
	KUNIT_CASE_PARAM(comp_damaged, codec_gen_params),
	{ }
};

static struct kunit_case comp_test_cases[] = {
	KUNIT_CASE(comp_keeps),
	KUNIT_CASE(comp_joined),
	KUNIT_CASE(comp_joined_error),
	KUNIT_CASE(comp_damage_stays),
	KUNIT_CASE(comp_past_end),
	KUNIT_CASE(comp_evicts),
	KUNIT_CASE(comp_shrinks),
	KUNIT_CASE(comp_storm),
	{ }
};

static struct kunit_suite codec_suite = {
	.name = "qcow_codec",
	.test_cases = codec_test_cases,
};

static struct kunit_suite comp_suite = {
	.name = "qcow_comp",
	.init = comp_test_init,
	.exit = comp_test_exit,
	.test_cases = comp_test_cases,
};

kunit_test_suites(&codec_suite, &comp_suite);
