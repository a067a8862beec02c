// SPDX-License-Identifier: GPL-2.0
/*
 * Encryption of guest data, in sectors of 512 bytes, whose number goes into their
 * initialisation vector. data/ calls it: in workers, for the crypto API may sleep.
 *
 * A read is decrypted in the caller's memory. A write is encrypted into pages of this
 * file, since the caller's must not change. Writes have to go on when memory is short,
 * so no write may hold pages while it waits for more: it waits for one page while it
 * holds none, takes more only if they are available at once, and writes a piece of that
 * size.
 */
#include <crypto/skcipher.h>
#include <linux/highmem.h>
#include <linux/log2.h>
#include <linux/mempool.h>
#include <linux/mm.h>
#include <linux/refcount.h>
#include <linux/scatterlist.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "file/crypt.h"
#include "ondisk/format.h"

/* Bytes of a unit of encryption in all formats. */
#define CRYPT_SECTOR		SZ_512

/* Most pages of one piece of a write, and pages in reserve for writes. */
#define CRYPT_PIECE_PAGES	32
#define CRYPT_RESERVED_PAGES	16

/* Calls of the crypto API for which memory is in reserve. */
#define CRYPT_RESERVED_JOBS	4

#define CRYPT_IV_MAX		32

/* The cipher of QEMU's AES, although the specification speaks of 256 bits. */
#define CRYPT_AES_CIPHER	"aes-cbc-plain64"
#define CRYPT_AES_KEY		16

/**
 * struct qcow_crypt - encryption of the data of one image
 * @ref: images that use it
 * @tfm: the cipher with its key, shared by all I/O
 * @by_disk: sectors are numbered by guest offset, not by host offset
 * @iv_mask: the bits of the sector's number that go into the vector
 * @align_mask: memory at addresses without these bits needs no copy
 * @jobs: for calls of the crypto API
 * @pages: for encrypted data of writes
 */
struct qcow_crypt {
	refcount_t ref;
	struct crypto_skcipher *tfm;
	bool by_disk;
	u64 iv_mask;
	unsigned long align_mask;
	mempool_t *jobs;
	mempool_t *pages;
};

/**
 * struct crypt_job - memory for calls of the crypto API
 * @sector: for a sector that is not contiguous in the caller's memory
 * @iv: initialisation vector
 * @wait: for ciphers that complete later
 * @req: the call, followed by the cipher's own memory
 */
struct crypt_job {
	u8 sector[CRYPT_SECTOR];
	u8 iv[CRYPT_IV_MAX];
	struct crypto_wait wait;
	struct skcipher_request req;
};

/**
 * struct crypt_pos - a position in the caller's memory
 * @bv: the segment
 * @off: bytes into it
 */
struct crypt_pos {
	const struct bio_vec *bv;
	u32 off;
};

/* --- Ciphers --- */

struct crypt_name {
	const char *name;
	const char *crypto;
};

static const struct crypt_name crypt_ciphers[] = {
	{ "aes", "aes" },
	{ "cast5", "cast5" },
	{ "serpent", "serpent" },
	{ "twofish", "twofish" },
};

static const struct crypt_name crypt_modes[] = {
	{ "cbc", "cbc" },
	{ "ctr", "ctr" },
	{ "ecb", "ecb" },
	{ "xts", "xts" },
};

/* Empty: the sector's number is the vector. */
static const struct crypt_name crypt_ivs[] = {
	{ "plain", "" },
	{ "plain64", "" },
	{ "essiv:md5", "md5" },
	{ "essiv:sha256", "sha256" },
};

/* Look up the first word of @spec, up to a '-' or its end, and go behind it. */
static const struct crypt_name *crypt_find(const struct crypt_name *names,
					   u32 nr, const char **spec)
{
	size_t len = strcspn(*spec, "-");

	for (; nr; nr--, names++) {
		if (strlen(names->name) != len ||
		    memcmp(names->name, *spec, len))
			continue;
		*spec += len;
		if (**spec == '-')
			++*spec;
		return names;
	}
	return NULL;
}

/*
 * The crypto API's name of a cipher. Only known words get into it: the image's author
 * wrote @spec, and the crypto API's names are a language of their own.
 */
static int crypt_parse(struct qcow_crypt *c, const char *spec, char *name,
		       size_t size)
{
	const struct crypt_name *cipher, *mode, *iv;

	cipher = crypt_find(crypt_ciphers, ARRAY_SIZE(crypt_ciphers), &spec);
	if (!cipher)
		return -EOPNOTSUPP;
	mode = crypt_find(crypt_modes, ARRAY_SIZE(crypt_modes), &spec);
	if (!mode)
		return -EOPNOTSUPP;
	/* Nothing comes behind the vector. */
	if (strchr(spec, '-'))
		return -EOPNOTSUPP;
	iv = crypt_find(crypt_ivs, ARRAY_SIZE(crypt_ivs), &spec);
	if (!iv)
		return -EOPNOTSUPP;
	c->iv_mask = strcmp(iv->name, "plain") ? U64_MAX : U32_MAX;
	/* ecb has no vector. */
	if (*iv->crypto && strcmp(mode->name, "ecb"))
		snprintf(name, size, "essiv(%s(%s),%s)", mode->crypto,
			 cipher->crypto, iv->crypto);
	else
		snprintf(name, size, "%s(%s)", mode->crypto, cipher->crypto);
	return 0;
}

static int crypt_set_cipher(struct qcow_crypt *c,
			    const struct qcow_crypt_key *key,
			    struct qcow_msg *msg)
{
	char name[CRYPTO_MAX_ALG_NAME];
	struct crypto_skcipher *tfm;
	int err;

	if (crypt_parse(c, key->cipher, name, sizeof(name)))
		return qcow_fail_as(msg, QCOW_MSG_UNSUPPORTED, -EOPNOTSUPP, "cipher %s is not supported",
				    key->cipher);
	/*
	 * A driver that allocates memory for each call could wait for this device's
	 * writes.
	 */
	tfm = crypto_alloc_skcipher(name, 0, CRYPTO_ALG_ALLOCATES_MEMORY);
	if (IS_ERR(tfm)) {
		err = PTR_ERR(tfm);
		/* -EINVAL: the mode does not take the cipher. Some kernels say -ENOENT then. */
		return qcow_fail(msg, err == -ENOENT || err == -EINVAL ? -EOPNOTSUPP : err,
				 "the kernel does not offer the cipher %s (error %d)",
				 name, -err);
	}
	c->tfm = tfm;
	if (crypto_skcipher_ivsize(tfm) > CRYPT_IV_MAX ||
	    CRYPT_SECTOR % crypto_skcipher_blocksize(tfm))
		return qcow_fail_as(msg, QCOW_MSG_UNSUPPORTED, -EOPNOTSUPP, "cipher %s is not supported",
				    key->cipher);
	c->align_mask = crypto_skcipher_alignmask(tfm);
	err = crypto_skcipher_setkey(tfm, key->bytes, key->len);
	if (err)
		return qcow_fail(msg, err, "its key of %u bytes does not fit the cipher %s",
				 key->len, key->cipher);
	return 0;
}

/* --- Life --- */

/* Jobs are aligned to their size, and with them the cipher's memory. */
static int crypt_create_pools(struct qcow_crypt *c)
{
	size_t size = sizeof(struct crypt_job) + crypto_skcipher_reqsize(c->tfm);

	c->jobs = mempool_create_kmalloc_pool(CRYPT_RESERVED_JOBS,
					      roundup_pow_of_two(size));
	c->pages = mempool_create_page_pool(CRYPT_RESERVED_PAGES, 0);
	return c->jobs && c->pages ? 0 : -ENOMEM;
}

static int crypt_check_key(u32 method, const struct qcow_crypt_key *key,
			   struct qcow_msg *msg)
{
	if (method == QCOW_DISK_CRYPT_NONE)
		return qcow_fail(msg, -EINVAL, "is not encrypted, but was given a key");
	if (!key)
		return qcow_fail(msg, -ENOKEY, "is encrypted (%s), and needs a key",
				 method == QCOW_DISK_CRYPT_AES ? "AES" : "LUKS");
	if (method == QCOW_DISK_CRYPT_AES &&
	    (strcmp(key->cipher, CRYPT_AES_CIPHER) || key->len != CRYPT_AES_KEY))
		return qcow_fail(msg, -EINVAL, "is encrypted (AES), but was given a key for something else");
	return 0;
}

/* The key is not kept, so both share the cipher with the key that was set. */
static int crypt_share(struct qcow_crypt **crypt, u32 method,
		       struct qcow_crypt *same, struct qcow_msg *msg)
{
	bool by_disk = method == QCOW_DISK_CRYPT_AES;

	if (method == QCOW_DISK_CRYPT_NONE || same->by_disk != by_disk)
		return qcow_fail(msg, -EINVAL, "is encrypted in another way than before");
	refcount_inc(&same->ref);
	*crypt = same;
	return 0;
}

/**
 * qcow_crypt_open() - set up an image's encryption
 * @crypt: the result, for qcow_crypt_close(); NULL if it is not encrypted
 * @method: QCOW_DISK_CRYPT_*
 * @key: or NULL
 * @same: the encryption of the same image, if it is open already; or NULL
 * @msg: says why it failed
 *
 * Context: may sleep.
 *
 * Return: 0; -EINVAL: method and key do not go together; -ENOKEY; -EOPNOTSUPP: this
 * file or the kernel does not know the cipher; or another error.
 */
int qcow_crypt_open(struct qcow_crypt **crypt, u32 method,
		    const struct qcow_crypt_key *key, struct qcow_crypt *same,
		    struct qcow_msg *msg)
{
	struct qcow_crypt *c;
	int err;

	*crypt = NULL;
	if (same)
		return crypt_share(crypt, method, same, msg);
	if (method == QCOW_DISK_CRYPT_NONE && !key)
		return 0;
	err = crypt_check_key(method, key, msg);
	if (err)
		return err;
	c = kzalloc(sizeof(*c), GFP_KERNEL);
	if (!c)
		return -ENOMEM;
	refcount_set(&c->ref, 1);
	c->by_disk = method == QCOW_DISK_CRYPT_AES;
	err = crypt_set_cipher(c, key, msg);
	if (!err)
		err = crypt_create_pools(c);
	if (err)
		qcow_crypt_close(c);
	else
		*crypt = c;
	return err;
}

/**
 * qcow_crypt_close() - forget an image's key
 * @c: from qcow_crypt_open(), or NULL; this image does not use it any more
 */
void qcow_crypt_close(struct qcow_crypt *c)
{
	if (!c || !refcount_dec_and_test(&c->ref))
		return;
	mempool_destroy(c->pages);
	mempool_destroy(c->jobs);
	/* Wipes the key. */
	crypto_free_skcipher(c->tfm);
	kfree(c);
}

/**
 * qcow_crypt_sector() - the number that goes into a sector's vector
 * @c: of the image
 * @guest_offset: bytes into the disk
 * @host_offset: bytes into the file
 *
 * Context: any.
 *
 * Return: the number.
 */
u64 qcow_crypt_sector(const struct qcow_crypt *c, u64 guest_offset, u64 host_offset)
{
	return (c->by_disk ? guest_offset : host_offset) / CRYPT_SECTOR;
}

/* --- Memory --- */

static void pos_init(struct crypt_pos *p, const struct qcow_file_req *req, u32 skip)
{
	p->bv = req->bvec;
	for (p->off = req->skip + skip; p->off >= p->bv->bv_len; p->bv++)
		p->off -= p->bv->bv_len;
}

static void pos_advance(struct crypt_pos *p, u32 n)
{
	p->off += n;
	if (p->off == p->bv->bv_len) {
		p->bv++;
		p->off = 0;
	}
}

/* Copy a sector out of the caller's memory or, if not @out, into it. */
static void pos_copy(struct crypt_pos *p, u8 *buf, bool out)
{
	u32 left = CRYPT_SECTOR, n, in_page;
	struct page *page;

	for (; left; left -= n, buf += n) {
		in_page = p->bv->bv_offset + p->off;
		page = p->bv->bv_page + in_page / PAGE_SIZE;
		in_page %= PAGE_SIZE;
		n = min3(left, p->bv->bv_len - p->off, (u32)PAGE_SIZE - in_page);
		if (out)
			memcpy_from_page(buf, page, in_page, n);
		else
			memcpy_to_page(page, in_page, buf, n);
		pos_advance(p, n);
	}
}

/* The next sector, if it is contiguous, in one page, and aligned. */
static bool pos_sector(const struct qcow_crypt *c, const struct crypt_pos *p,
		       struct scatterlist *sg)
{
	u32 in_pages = p->bv->bv_offset + p->off;
	u32 in_page = in_pages % PAGE_SIZE;

	if (p->bv->bv_len - p->off < CRYPT_SECTOR ||
	    in_page + CRYPT_SECTOR > PAGE_SIZE || in_page & c->align_mask)
		return false;
	sg_set_page(sg, p->bv->bv_page + in_pages / PAGE_SIZE, CRYPT_SECTOR, in_page);
	return true;
}

/* --- Sectors --- */

static struct crypt_job *job_get(struct qcow_crypt *c)
{
	struct crypt_job *job = mempool_alloc(c->jobs, GFP_NOIO);

	crypto_init_wait(&job->wait);
	skcipher_request_set_tfm(&job->req, c->tfm);
	skcipher_request_set_callback(&job->req, CRYPTO_TFM_REQ_MAY_BACKLOG |
				      CRYPTO_TFM_REQ_MAY_SLEEP,
				      crypto_req_done, &job->wait);
	return job;
}

static void job_put(struct qcow_crypt *c, struct crypt_job *job)
{
	/* Wipe guest data: the memory goes to other users. */
	memzero_explicit(job->sector, sizeof(job->sector));
	mempool_free(job, c->jobs);
}

static int job_run(struct qcow_crypt *c, struct crypt_job *job,
		   struct scatterlist *src, struct scatterlist *dst, u64 sector,
		   bool encrypt)
{
	__le64 number = cpu_to_le64(sector & c->iv_mask);
	int err;

	memset(job->iv, 0, sizeof(job->iv));
	memcpy(job->iv, &number, sizeof(number));
	skcipher_request_set_crypt(&job->req, src, dst, CRYPT_SECTOR, job->iv);
	err = encrypt ? crypto_skcipher_encrypt(&job->req) :
			crypto_skcipher_decrypt(&job->req);
	return crypto_wait_req(err, &job->wait);
}

static int decrypt_sector(struct qcow_crypt *c, struct crypt_job *job,
			  struct crypt_pos *p, u64 sector)
{
	struct crypt_pos from = *p;
	struct scatterlist sg;
	int err;

	sg_init_table(&sg, 1);
	if (likely(pos_sector(c, p, &sg))) {
		pos_advance(p, CRYPT_SECTOR);
		return job_run(c, job, &sg, &sg, sector, false);
	}
	sg_set_buf(&sg, job->sector, CRYPT_SECTOR);
	pos_copy(&from, job->sector, true);
	err = job_run(c, job, &sg, &sg, sector, false);
	if (!err)
		pos_copy(p, job->sector, false);
	return err;
}

/*
 * Encrypt into @page from @in_page on. A sector that is not contiguous is put together
 * there.
 */
static int encrypt_sector(struct qcow_crypt *c, struct crypt_job *job,
			  struct crypt_pos *p, struct page *page, u32 in_page, u64 sector)
{
	struct scatterlist src, dst;

	sg_init_table(&src, 1);
	sg_init_table(&dst, 1);
	sg_set_page(&dst, page, CRYPT_SECTOR, in_page);
	if (likely(pos_sector(c, p, &src))) {
		pos_advance(p, CRYPT_SECTOR);
		return job_run(c, job, &src, &dst, sector, true);
	}
	pos_copy(p, page_address(page) + in_page, true);
	return job_run(c, job, &dst, &dst, sector, true);
}

/**
 * qcow_crypt_decrypt() - decrypt a read in its own memory
 * @c: of the image
 * @req: the memory: bvec, nr_bvec, skip and len, which is whole sectors
 * @sector: qcow_crypt_sector() of the first one
 *
 * Segments may have any size. A page that is there twice holds garbage afterwards.
 *
 * Context: may sleep, under memalloc_noio_save().
 *
 * Return: 0, or the error of the crypto API.
 */
int qcow_crypt_decrypt(struct qcow_crypt *c, const struct qcow_file_req *req, u64 sector)
{
	struct crypt_job *job;
	struct crypt_pos p;
	int err = 0;
	u32 bytes_done;

	if (WARN_ON_ONCE(req->len % CRYPT_SECTOR) || !req->len)
		return req->len ? -EIO : 0;
	job = job_get(c);
	pos_init(&p, req, 0);
	for (bytes_done = 0; !err && bytes_done < req->len; bytes_done += CRYPT_SECTOR) {
		err = decrypt_sector(c, job, &p, sector++);
		if (!(bytes_done % PAGE_SIZE))
			cond_resched();
	}
	job_put(c, job);
	return err;
}

/* --- Writing --- */

/**
 * struct crypt_piece - a piece of a write, encrypted
 * @nr: pages
 * @bvec: the pages
 */
struct crypt_piece {
	u32 nr;
	struct bio_vec bvec[CRYPT_PIECE_PAGES];
};

/*
 * Allocate pages for up to @len bytes, at least one page. Return: bytes that they hold.
 */
static u32 piece_alloc(struct qcow_crypt *c, struct crypt_piece *piece, u32 len)
{
	u32 bytes_done = 0, n;
	struct page *page;

	for (piece->nr = 0; bytes_done < len && piece->nr < CRYPT_PIECE_PAGES;
	     bytes_done += n) {
		/*
		 * Only the first page is waited for; the reserve always gives one in
		 * the end.
		 */
		page = piece->nr ? alloc_page(GFP_NOWAIT | __GFP_NOWARN) :
				   mempool_alloc(c->pages, GFP_NOIO);
		if (!page)
			break;
		n = min_t(u32, len - bytes_done, PAGE_SIZE);
		piece->bvec[piece->nr++] = (struct bio_vec) {
			.bv_page = page,
			.bv_len = n,
		};
	}
	return bytes_done;
}

static void piece_free(struct qcow_crypt *c, struct crypt_piece *piece)
{
	u32 i;

	for (i = 0; i < piece->nr; i++)
		mempool_free(piece->bvec[i].bv_page, c->pages);
}

static int piece_encrypt(struct qcow_crypt *c, struct crypt_piece *piece,
			 struct crypt_pos *p, u32 len, u64 sector)
{
	struct crypt_job *job = job_get(c);
	int err = 0;
	u32 bytes_done;

	for (bytes_done = 0; !err && bytes_done < len; bytes_done += CRYPT_SECTOR) {
		err = encrypt_sector(c, job, p,
				     piece->bvec[bytes_done / PAGE_SIZE].bv_page,
				     bytes_done % PAGE_SIZE, sector++);
		if (!(bytes_done % PAGE_SIZE))
			cond_resched();
	}
	job_put(c, job);
	return err;
}

/* Write bytes from @bytes_done on, as many as there are pages for. Return: bytes written. */
static ssize_t piece_write(struct qcow_crypt *c, struct crypt_piece *piece,
			   const struct qcow_file_req *req, u32 bytes_done, u64 sector)
{
	struct qcow_file_req out = {
		.file = req->file,
		.host_offset = req->host_offset + bytes_done,
		.bvec = piece->bvec,
		.write = true,
	};
	struct crypt_pos p;
	int err;

	out.len = piece_alloc(c, piece, req->len - bytes_done);
	out.nr_bvec = piece->nr;
	pos_init(&p, req, bytes_done);
	err = piece_encrypt(c, piece, &p, out.len, sector + bytes_done / CRYPT_SECTOR);
	if (!err)
		err = qcow_file_io_sync(&out);
	piece_free(c, piece);
	return err ?: (ssize_t)out.len;
}

/**
 * qcow_crypt_write() - encrypt and write
 * @c: of the image
 * @req: the transfer, as for qcow_file_io_sync(); whole sectors
 * @sector: qcow_crypt_sector() of the first one
 *
 * The memory of @req does not change.
 *
 * Context: may sleep, under memalloc_noio_save(); its memory comes from reserves.
 *
 * Return: 0 or a negative errno.
 */
int qcow_crypt_write(struct qcow_crypt *c, struct qcow_file_req *req, u64 sector)
{
	struct crypt_piece piece;
	u32 bytes_done = 0;
	ssize_t n;

	if (WARN_ON_ONCE(req->len % CRYPT_SECTOR))
		return -EIO;
	while (bytes_done < req->len) {
		n = piece_write(c, &piece, req, bytes_done, sector);
		if (n < 0)
			return n;
		bytes_done += n;
	}
	return 0;
}
