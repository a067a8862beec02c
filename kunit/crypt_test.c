// SPDX-License-Identifier: GPL-2.0
/*
 * Encryption: known answers, memory in pieces of any kind, little memory, whole
 * images.
 */
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "file/crypt.h"
#include "fault.h"
#include "writer.h"

#define SECTOR		512
#define FILE_SIZE	BIT(20)
#define MAX_BVECS	600
#define SHAPES		400
#define GUARD		0xa5

/**
 * struct crypt_fixture - a file, and memory to read and write
 * @m: the file
 * @f: as the driver sees it
 * @c: its key and cipher
 * @plain: random bytes
 * @work: memory to work with, one piece
 * @bv: segments of that
 * @nr: of them
 */
struct crypt_fixture {
	struct memfile *m;
	struct qcow_file f;
	struct qcow_crypt *c;
	u8 *plain;
	u8 *work;
	struct bio_vec bv[MAX_BVECS];
	u32 nr;
};

static int crypt_test_init(struct kunit *test)
{
	struct crypt_fixture *x = kunit_kzalloc(test, sizeof(*x), GFP_KERNEL);
	struct rnd_state rnd = qtest_rnd(700);
	struct qcow_msg msg = { };
	int err;

	if (!x)
		return -ENOMEM;
	test->priv = x;
	x->plain = kvmalloc(FILE_SIZE, GFP_KERNEL);
	x->work = alloc_pages_exact(FILE_SIZE, GFP_KERNEL);
	x->m = memfile_create();
	if (!x->plain || !x->work || !x->m)
		return -ENOMEM;
	prandom_bytes_state(&rnd, x->plain, FILE_SIZE);
	err = memfile_own(x->m, x->plain, FILE_SIZE, FILE_SIZE);
	return err ?: qcow_file_open(&x->f, x->m->file, QCOW_DIRECT_AUTO, &msg);
}

static void crypt_test_exit(struct kunit *test)
{
	struct crypt_fixture *x = test->priv;

	if (!x)
		return;
	qcow_crypt_close(x->c);
	qcow_file_close(&x->f);
	memfile_destroy(x->m);
	if (x->work)
		free_pages_exact(x->work, FILE_SIZE);
	kvfree(x->plain);
}

static void make_key(struct qcow_crypt_key *key, const char *cipher,
		     const char *hex)
{
	memset(key, 0, sizeof(*key));
	strscpy(key->cipher, cipher, sizeof(key->cipher));
	key->len = strlen(hex) / 2;
	WARN_ON(hex2bin(key->bytes, hex, key->len));
}

static void use_cipher(struct kunit *test, const char *cipher, const char *hex)
{
	struct crypt_fixture *x = test->priv;
	struct qcow_crypt_key key;
	struct qcow_msg msg = { };

	qcow_crypt_close(x->c);
	make_key(&key, cipher, hex);
	KUNIT_ASSERT_EQ_MSG(test, qcow_crypt_open(&x->c, QCOW_DISK_CRYPT_LUKS,
						  &key, NULL, &msg), 0, "%s", msg.text);
}

/* --- Known answers --- */

#define KEY16	"101112131415161718191a1b1c1d1e1f"
#define KEY32	"202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f"
#define P1619_4	"2718281828459045235360287471352631415926535897932384626433832795"
#define P1619_10 "2718281828459045235360287471352662497757247093699959574966967627" \
		 "3141592653589793238462643383279502884197169399375105820974944592"

/*
 * A sector of the bytes 0 to 255, twice, and how it begins encrypted. The first
 * two are vectors 4 and 10 of IEEE 1619; the others were made with OpenSSL and
 * libgcrypt.
 */
static const struct crypt_vector {
	const char *cipher;
	const char *key;
	u64 sector;
	const char *begins;
	const char *ends;
} crypt_vectors[] = {
	{ "aes-xts-plain64", P1619_4, 0, "27a7479befa1d476489f308cd4cfa6e2" },
	{ "aes-xts-plain64", P1619_10, 0xff, "1c3b3a102f770386e4836c99e370cf9b" },
	{ "aes-cbc-plain64", KEY16, 0x123456789a,
	  "2e361060c39a10646a341e5471aea56e", "908006bb150bba2a60d3878934f0cf45" },
	{ "aes-cbc-plain", KEY16, 0x123456789a,
	  "a130616470e6290ad91db9ba702a6426", "a98cf915b8494c276c514e6d47128c5a" },
	{ "aes-cbc-essiv:sha256", KEY32, 0x123456789a,
	  "467864646faa2addc213aaf1a42c1dc4", "cbdec1ebd8479e48c7964ddfb702474e" },
	{ "aes-cbc-essiv:md5", KEY32, 0x123456789a,
	  "6c5290dce83ec8e96b0fb87e2d339fd1", "ce076b51ebf0632b810f8803ac733279" },
	{ "aes-ctr-plain64", KEY32, 0x123456789a,
	  "fc4077abfd99273648693e0fbfc70d7e", "de7e699eb0693bcc9513eb7f6f3528e9" },
	{ "aes-ecb-plain64", KEY32, 0x123456789a,
	  "a00f1ede67c6f803526f2e3c4ea929bc", "48dfb298c88680d0f96f2cff3bba3b9a" },
	{ "aes-xts-essiv:sha256", P1619_10, 0x123456789a,
	  "d253c9380b83a54ba48364ff9ccc6b53", "bd7cd4f7fffda286f8035efd2627663a" },
	{ "serpent-xts-plain64", P1619_10, 0x123456789a,
	  "e06d0ed2162e573e8e597e7c07b903c2", "6ad5c28d9be84c2298f241b70b48319c" },
	{ "serpent-cbc-essiv:sha256", KEY16, 0x123456789a,
	  "f295ced13a9e2425d408eb9ab5aa3ebe", "4428d36bb72ce6061a799a80a3546ede" },
	{ "twofish-xts-plain64", P1619_10, 0x123456789a,
	  "5ec083e66bc94e148423d026a686ba98", "e29cc86da2fd4f2bba824e8260501bea" },
	{ "twofish-cbc-plain", KEY16, 0x123456789a,
	  "56ed3d26d29ae7b84468993ff7ff3b19", "d698d4593ea2cb601ee5abbfa6fcc212" },
	{ "cast5-cbc-plain64", KEY16, 0x123456789a,
	  "9dd930ef8a1b7ebb0d7f38f764908865", "893ac31499b8fb6d813f7a25a33eb059" },
	{ "cast5-ctr-plain64", KEY16, 0x123456789a,
	  "c6a35cc4c853ddb41d7e942a3fcf432a", "5b83b9ac8af0fcc57ec77be8539f8cf5" },
	{ "cast5-ecb-plain64", KEY16, 0x123456789a,
	  "92ea6bed9ad888fe62bd50bbbb1e02fc", "d650e06240e02c803ca0856f8b187177" },
};

static void use_memory(struct crypt_fixture *x, u32 len)
{
	x->nr = 1;
	x->bv[0].bv_page = virt_to_page(x->work);
	x->bv[0].bv_offset = 0;
	x->bv[0].bv_len = len;
}

static int crypt_transfer(struct crypt_fixture *x, u64 host_offset, u32 skip, u32 len,
			  u64 sector, bool write)
{
	struct qcow_file_req req = {
		.file = &x->f,
		.host_offset = host_offset,
		.bvec = x->bv,
		.nr_bvec = x->nr,
		.skip = skip,
		.len = len,
		.write = write,
	};
	unsigned int noio = memalloc_noio_save();
	int err;

	if (write)
		err = qcow_crypt_write(x->c, &req, sector);
	else
		err = qcow_file_io_sync(&req) ?: qcow_crypt_decrypt(x->c, &req, sector);
	memalloc_noio_restore(noio);
	return err;
}

static void expect_hex(struct kunit *test, const struct crypt_vector *v,
		       const u8 *got, const char *hex)
{
	u8 want[16];

	if (!hex)
		return;
	WARN_ON(hex2bin(want, hex, sizeof(want)));
	KUNIT_EXPECT_EQ_MSG(test, memcmp(got, want, sizeof(want)), 0,
			    "%s: %16phN", v->cipher, got);
}

static void crypt_known_answers(struct kunit *test)
{
	struct crypt_fixture *x = test->priv;
	const struct crypt_vector *v;
	u32 i;

	for (v = crypt_vectors; v < crypt_vectors + ARRAY_SIZE(crypt_vectors); v++) {
		use_cipher(test, v->cipher, v->key);
		for (i = 0; i < SECTOR; i++)
			x->work[i] = i;
		use_memory(x, SECTOR);
		KUNIT_ASSERT_EQ(test, crypt_transfer(x, SECTOR, 0, SECTOR,
						     v->sector, true), 0);
		expect_hex(test, v, x->m->store + SECTOR, v->begins);
		expect_hex(test, v, x->m->store + 2 * SECTOR - 16, v->ends);
		memset(x->work, 0, SECTOR);
		KUNIT_ASSERT_EQ(test, crypt_transfer(x, SECTOR, 0, SECTOR,
						     v->sector, false), 0);
		for (i = 0; i < SECTOR && x->work[i] == (u8)i; i++)
			;
		KUNIT_EXPECT_EQ_MSG(test, i, SECTOR, "%s", v->cipher);
	}
}

/* --- Memory in pieces --- */

/* One sector after the other, each in a piece of its own. */
static int crypt_simply(struct crypt_fixture *x, u64 host_offset, u32 len, u64 sector)
{
	u32 i;
	int err = 0;

	for (i = 0; !err && i < len; i += SECTOR) {
		memcpy(x->work, x->plain + host_offset + i, SECTOR);
		use_memory(x, SECTOR);
		err = crypt_transfer(x, host_offset + i, 0, SECTOR, sector + i / SECTOR,
				     true);
	}
	return err;
}

static u32 random_step(struct rnd_state *rnd, u32 kind)
{
	switch (kind) {
	case 0:
		return SECTOR * (1 + qtest_below(rnd, 16));
	case 1:
		return 4 * (1 + qtest_below(rnd, 300));
	case 2:
		return 1 + qtest_below(rnd, 3000);
	default:
		return PAGE_SIZE * (1 + qtest_below(rnd, 4));
	}
}

/* Segments for @len bytes, with gaps between them. */
static void random_memory(struct crypt_fixture *x, u32 len, struct rnd_state *rnd)
{
	u32 kind = qtest_below(rnd, 4), in_work = 0, n;

	memset(x->work, GUARD, FILE_SIZE);
	for (x->nr = 0; len && x->nr < MAX_BVECS; len -= n, in_work += n) {
		in_work += kind == 3 ? 0 : random_step(rnd, kind) % PAGE_SIZE;
		n = min(len, x->nr == MAX_BVECS - 1 ? len : random_step(rnd, kind));
		x->bv[x->nr].bv_page = virt_to_page(x->work + in_work);
		x->bv[x->nr].bv_offset = offset_in_page(x->work + in_work);
		x->bv[x->nr].bv_len = n;
		x->nr++;
	}
}

static u8 *segment(const struct bio_vec *bv)
{
	return (u8 *)page_address(bv->bv_page) + bv->bv_offset;
}

static void fill_memory(struct crypt_fixture *x, const u8 *from)
{
	u32 i;

	for (i = 0; i < x->nr; from += x->bv[i++].bv_len)
		memcpy(segment(&x->bv[i]), from, x->bv[i].bv_len);
}

/* Segments hold the expected data, gaps their old content. */
static bool memory_is(const struct crypt_fixture *x, const u8 *want)
{
	const u8 *end = x->work;
	u32 i;

	for (i = 0; i < x->nr; want += x->bv[i++].bv_len) {
		u8 *p = segment(&x->bv[i]);

		if (memcmp(p, want, x->bv[i].bv_len) ||
		    memchr_inv(end, GUARD, p - end))
			return false;
		end = p + x->bv[i].bv_len;
	}
	return !memchr_inv(end, GUARD, x->work + FILE_SIZE - end);
}

static void try_shape(struct kunit *test, struct rnd_state *rnd)
{
	struct crypt_fixture *x = test->priv;
	u32 sectors = 1 + qtest_below(rnd, qtest_one_in(rnd, 4) ? 600 : 20);
	u32 len = sectors * SECTOR, skip = qtest_below(rnd, 3000);
	u64 host_offset = (u64)qtest_below(rnd, FILE_SIZE / SECTOR - sectors) * SECTOR;
	u64 sector = qtest_u64(rnd) >> qtest_below(rnd, 60);
	u8 *want = kvmalloc(len, GFP_KERNEL);
	u8 *mixed = kvzalloc(skip + len, GFP_KERNEL);

	KUNIT_ASSERT_TRUE(test, want && mixed);
	memcpy(mixed + skip, x->plain + host_offset, len);
	KUNIT_EXPECT_EQ(test, crypt_simply(x, host_offset, len, sector), 0);
	memcpy(want, x->m->store + host_offset, len);
	memset(x->m->store + host_offset, 0, len);

	random_memory(x, skip + len, rnd);
	fill_memory(x, mixed);
	KUNIT_EXPECT_EQ(test, crypt_transfer(x, host_offset, skip, len, sector, true), 0);
	KUNIT_EXPECT_EQ(test, memcmp(want, x->m->store + host_offset, len), 0);
	KUNIT_EXPECT_TRUE_MSG(test, memory_is(x, mixed), "the caller's memory changed");

	random_memory(x, skip + len, rnd);
	memset(mixed, GUARD, skip);
	KUNIT_EXPECT_EQ(test, crypt_transfer(x, host_offset, skip, len, sector, false), 0);
	KUNIT_EXPECT_TRUE(test, memory_is(x, mixed));
	kvfree(mixed);
	kvfree(want);
}

static void crypt_shapes(struct kunit *test)
{
	static const char *const ciphers[][2] = {
		{ "aes-xts-plain64", P1619_10 }, { "aes-cbc-essiv:sha256", KEY32 },
		{ "serpent-xts-plain64", P1619_4 }, { "twofish-cbc-plain", KEY16 },
		{ "cast5-cbc-plain64", KEY16 }, { "aes-ctr-plain64", KEY16 },
	};
	struct rnd_state rnd = qtest_rnd(710);
	u32 i;

	for (i = 0; i < SHAPES; i++) {
		if (!(i % 40))
			use_cipher(test, ciphers[i / 40 % ARRAY_SIZE(ciphers)][0],
				   ciphers[i / 40 % ARRAY_SIZE(ciphers)][1]);
		try_shape(test, &rnd);
	}
}

/* The same page again and again: whatever comes out, nothing breaks. */
static void crypt_page_twice(struct kunit *test)
{
	struct crypt_fixture *x = test->priv;
	u32 i;

	use_cipher(test, "aes-xts-plain64", P1619_4);
	for (i = 0; i < 16; i++) {
		x->bv[i].bv_page = virt_to_page(x->work);
		x->bv[i].bv_offset = i % 2 * 100;
		x->bv[i].bv_len = 1000;
	}
	x->nr = i;
	memset(x->work + 1100, GUARD, PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, crypt_transfer(x, 0, 0, 30 * SECTOR, 0, false), 0);
	KUNIT_EXPECT_TRUE(test, !memchr_inv(x->work + 1100, GUARD, PAGE_SIZE));
}

/* Writes go on whatever allocation fails. */
static void crypt_little_memory(struct kunit *test)
{
	struct crypt_fixture *x = test->priv;
	u32 len = 100 * SECTOR, n;
	bool failed = true;
	int err = 0;

	use_cipher(test, "aes-xts-plain64", P1619_4);
	KUNIT_ASSERT_EQ(test, crypt_simply(x, 0, len, 5), 0);
	memcpy(x->plain + FILE_SIZE / 2, x->m->store, len);
	if (!fault_begin()) {
		kunit_skip(test, "no fault injection");
		return;
	}
	for (n = 1; !err && failed; n++) {
		memset(x->m->store, 0, len);
		use_memory(x, len);
		memcpy(x->work, x->plain, len);
		fault_arm(n);
		err = crypt_transfer(x, 0, 0, len, 5, true);
		failed = fault_disarm();
		if (!err && memcmp(x->m->store, x->plain + FILE_SIZE / 2, len))
			err = 1;
	}
	fault_end();
	KUNIT_EXPECT_EQ_MSG(test, err, 0, "allocation %u", n - 1);
	/* At least each page was allocated. */
	KUNIT_EXPECT_GT(test, n, len / PAGE_SIZE);
}

/* --- Ciphers, key lengths and formats that go together --- */

static const struct crypt_refusal {
	const char *cipher;
	const char *key;
	u32 method;
	int err;
	const char *says;
} crypt_refusals[] = {
	{ NULL, NULL, QCOW_DISK_CRYPT_LUKS, -ENOKEY, "LUKS" },
	{ NULL, NULL, QCOW_DISK_CRYPT_AES, -ENOKEY, "AES" },
	{ "aes-cbc-plain64", KEY16, QCOW_DISK_CRYPT_NONE, -EINVAL, "not encrypted" },
	{ "aes-cbc-plain64", KEY32, QCOW_DISK_CRYPT_AES, -EINVAL, "something else" },
	{ "aes-xts-plain64", KEY32, QCOW_DISK_CRYPT_AES, -EINVAL, "something else" },
	{ "aes-xts-plain64", KEY16, QCOW_DISK_CRYPT_LUKS, -EINVAL, "does not fit" },
	{ "aes-cbc-plain64", "00", QCOW_DISK_CRYPT_LUKS, -EINVAL, "does not fit" },
	{ "rot-cbc-plain64", KEY16, QCOW_DISK_CRYPT_LUKS, -EOPNOTSUPP, "rot" },
	{ "aes", KEY16, QCOW_DISK_CRYPT_LUKS, -EOPNOTSUPP, "not supported" },
	{ "aes-cbc", KEY16, QCOW_DISK_CRYPT_LUKS, -EOPNOTSUPP, "not supported" },
	{ "aes-cbc-", KEY16, QCOW_DISK_CRYPT_LUKS, -EOPNOTSUPP, "not supported" },
	{ "aes-cbc-plain64-", KEY16, QCOW_DISK_CRYPT_LUKS, -EOPNOTSUPP, "not" },
	{ "aes-cbc-plain64-x", KEY16, QCOW_DISK_CRYPT_LUKS, -EOPNOTSUPP, "not" },
	{ "aes-cbc-essiv", KEY16, QCOW_DISK_CRYPT_LUKS, -EOPNOTSUPP, "not" },
	{ "aes-cbc-essiv:sha1", KEY16, QCOW_DISK_CRYPT_LUKS, -EOPNOTSUPP, "not" },
	{ "aes-gcm-plain64", KEY16, QCOW_DISK_CRYPT_LUKS, -EOPNOTSUPP, "not" },
	{ "aes-cbc(aes)-plain", KEY16, QCOW_DISK_CRYPT_LUKS, -EOPNOTSUPP, "not" },
	{ "", KEY16, QCOW_DISK_CRYPT_LUKS, -EOPNOTSUPP, "not supported" },
	{ "cast5-xts-plain64", KEY32, QCOW_DISK_CRYPT_LUKS, -EOPNOTSUPP, "offer" },
};

static void crypt_refused(struct kunit *test)
{
	const struct crypt_refusal *r = crypt_refusals;

	for (; r < crypt_refusals + ARRAY_SIZE(crypt_refusals); r++) {
		struct qcow_crypt_key key;
		struct qcow_crypt *c;
		struct qcow_msg msg = { };
		int err;

		if (r->cipher)
			make_key(&key, r->cipher, r->key);
		err = qcow_crypt_open(&c, r->method, r->cipher ? &key : NULL,
				      NULL, &msg);
		KUNIT_EXPECT_EQ_MSG(test, err, r->err, "%s: %s",
				    r->cipher ?: "none", msg.text);
		KUNIT_EXPECT_TRUE_MSG(test, !r->says || strstr(msg.text, r->says),
				      "%s: %s", r->cipher ?: "none", msg.text);
		qcow_crypt_close(c);
	}
}

static struct kunit_case crypt_test_cases[] = {
	KUNIT_CASE(crypt_known_answers),
	KUNIT_CASE(crypt_shapes),
	KUNIT_CASE(crypt_page_twice),
	KUNIT_CASE(crypt_little_memory),
	KUNIT_CASE(crypt_refused),
	{ }
};

static struct kunit_suite crypt_suite = {
	.name = "qcow_crypt",
	.init = crypt_test_init,
	.exit = crypt_test_exit,
	.test_cases = crypt_test_cases,
};

/* --- Whole images --- */

#define IMAGES	24
#define ROUNDS	60

static void build_encrypted(struct kunit *test, u32 seed, struct rnd_state *rnd)
{
	struct writer *w = test->priv;
	struct builder_spec spec;

	writer_encrypted_spec(rnd, &spec);
	KUNIT_ASSERT_EQ_MSG(test, writer_build(w, &spec, 1, rnd), 0, "image %u", seed);
	KUNIT_ASSERT_EQ(test, writer_encrypt(w), 0);
}

static void write_some(struct kunit *test, struct writer *w, struct rnd_state *rnd)
{
	u32 sectors = w->img->size / SECTOR, i, len;
	u64 guest_offset;

	for (i = 0; i < ROUNDS; i++) {
		guest_offset = qtest_below(rnd, sectors);
		len = min_t(u32, sectors - guest_offset, qtest_one_in(rnd, 4) ? 512 : 20);
		len = (1 + qtest_below(rnd, len)) * SECTOR;
		guest_offset *= SECTOR;
		if (qtest_one_in(rnd, 8))
			KUNIT_EXPECT_EQ(test, writer_flush(w), 0);
		if (qtest_one_in(rnd, 3))
			writer_submit_zero(w, 0, guest_offset, len,
					   QCOW_OP_ZERO + qtest_below(rnd, 3));
		else
			writer_submit(w, 0, guest_offset, len, qtest_one_in(rnd, 3), rnd);
		KUNIT_ASSERT_EQ(test, writer_wait(w, 0), 0);
	}
}

static void crypt_image_written(struct kunit *test)
{
	struct writer *w = test->priv;
	struct memfile_mode mode;
	const char *fault;
	u32 seed, round;

	for (seed = 0; seed < IMAGES; seed++) {
		struct rnd_state rnd = qtest_rnd(71000 + seed);

		build_encrypted(test, seed, &rnd);
		for (round = 0; round < 2; round++) {
			writer_random_mode(&rnd, &mode);
			builder_set_mode(w->base.c, &mode);
			KUNIT_ASSERT_EQ_MSG(test, writer_open(w), 0, "image %u: %s",
					    seed, w->base.msg.text);
			KUNIT_EXPECT_EQ_MSG(test, writer_read_back(w), 0, "image %u",
					    seed);
			write_some(test, w, &rnd);
			KUNIT_EXPECT_EQ_MSG(test, writer_read_back(w), 0, "image %u",
					    seed);
			writer_close(w);
			fault = oracle_check_closed(&w->o);
			if (fault)
				KUNIT_FAIL(test, "image %u: %s", seed, fault);
		}
		writer_free(w);
	}
}

static struct kunit_case crypt_image_cases[] = {
	KUNIT_CASE(crypt_image_written),
	{ }
};

static struct kunit_suite crypt_image_suite = {
	.name = "qcow_crypt_image",
	.init = writer_test_init,
	.exit = writer_test_exit,
	.test_cases = crypt_image_cases,
};

kunit_test_suites(&crypt_suite, &crypt_image_suite);
