// SPDX-License-Identifier: GPL-2.0
/*
 * Encryption of guest data: sectors of 512 bytes, each with its number as
 * initialization vector, by ciphers of the kernel.
 *
 * Keys come from a keyring by their description; what they unlock was decided in
 * userspace. What is read is decrypted where it lies. What is written is
 * encrypted in memory of our own, a chunk at a time, as the caller's must not
 * change: each writer holds one chunk at most, so all go on, one after the
 * other, when there is no more memory than that of the pool.
 */
#include <crypto/skcipher.h>
#include <linux/ctype.h>
#include <linux/err.h>
#include <linux/key.h>
#include <linux/mempool.h>
#include <linux/mm.h>
#include <linux/scatterlist.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/sizes.h>
#include <keys/user-type.h>

#include "crypt.h"

/* Bytes that a write encrypts at once. */
#define CRYPT_CHUNK		SZ_64K

/* Chunks and jobs that are always there. */
#define CRYPT_RESERVED		4

#define CRYPT_MAX_IV		16

/**
 * struct qcow_crypt - the cipher and key of an image
 * @tfm: the cipher, with its key
 * @by_guest: sectors are numbered by their place on the disk, not in the file
 * @plain32: initialization vectors have but 32 bits of the number
 * @jobs: memory for &struct crypt_job and the cipher's request behind it
 * @chunks: memory for what is encrypted
 */
struct qcow_crypt {
	struct crypto_skcipher *tfm;
	bool by_guest;
	bool plain32;
	mempool_t *jobs;
	mempool_t *chunks;
};

/**
 * struct crypt_job - what encrypting sectors one after the other takes
 * @sg: the sector's memory
 * @wait: for a cipher that is not done at once
 * @iv: initialization vector
 * @sector: a sector that lies in several segments
 * @req: the cipher's request, of its own length
 */
struct crypt_job {
	struct scatterlist sg;
	struct crypto_wait wait;
	u8 iv[CRYPT_MAX_IV] __aligned(sizeof(u64));
	u8 sector[QCOW_CRYPT_SECTOR];
	struct skcipher_request req CRYPTO_MINALIGN_ATTR;
};

/* --- Sectors --- */

static int crypt_sector(struct qcow_crypt *c, struct crypt_job *job, u64 number,
			bool encrypt)
{
	if (c->plain32)
		number = lower_32_bits(number);
	memset(job->iv, 0, sizeof(job->iv));
	*(__le64 *)job->iv = cpu_to_le64(number);
	skcipher_request_set_crypt(&job->req, &job->sg, &job->sg,
				   QCOW_CRYPT_SECTOR, job->iv);
	return crypto_wait_req(encrypt ? crypto_skcipher_encrypt(&job->req) :
					 crypto_skcipher_decrypt(&job->req),
			       &job->wait);
}

/* A sector in several segments: in a copy. */
static int crypt_split(struct qcow_crypt *c, struct crypt_job *job,
		       const struct bio_vec *bvec, u32 nr_bvec, size_t skip,
		       u64 number, bool encrypt)
{
	struct iov_iter iter;
	int err;

	qcow_iter_init(&iter, ITER_SOURCE, bvec, nr_bvec, skip,
		       QCOW_CRYPT_SECTOR);
	if (copy_from_iter(job->sector, QCOW_CRYPT_SECTOR, &iter) !=
	    QCOW_CRYPT_SECTOR)
		return -EIO;
	sg_init_one(&job->sg, job->sector, QCOW_CRYPT_SECTOR);
	err = crypt_sector(c, job, number, encrypt);
	if (err)
		return err;
	qcow_iter_init(&iter, ITER_DEST, bvec, nr_bvec, skip,
		       QCOW_CRYPT_SECTOR);
	return copy_to_iter(job->sector, QCOW_CRYPT_SECTOR, &iter) ==
	       QCOW_CRYPT_SECTOR ? 0 : -EIO;
}

static void crypt_job_init(struct qcow_crypt *c, struct crypt_job *job)
{
	crypto_init_wait(&job->wait);
	skcipher_request_set_tfm(&job->req, c->tfm);
	skcipher_request_set_callback(&job->req, CRYPTO_TFM_REQ_MAY_BACKLOG |
				      CRYPTO_TFM_REQ_MAY_SLEEP,
				      crypto_req_done, &job->wait);
	sg_init_table(&job->sg, 1);
}

/**
 * qcow_crypt_bvecs() - encrypt or decrypt memory in place
 * @c: the cipher
 * @bvec: memory
 * @nr_bvec: segments at @bvec
 * @skip: bytes at the start of @bvec that are left alone
 * @len: bytes, whole sectors
 * @pos: bytes into the disk
 * @host: bytes into the file
 * @encrypt: rather than decrypt
 *
 * May sleep. Return: 0 or a negative errno.
 */
int qcow_crypt_bvecs(struct qcow_crypt *c, const struct bio_vec *bvec,
		     u32 nr_bvec, size_t skip, size_t len, u64 pos, u64 host,
		     bool encrypt)
{
	u64 number = (c->by_guest ? pos : host) / QCOW_CRYPT_SECTOR;
	struct crypt_job *job;
	int err = 0;

	if (WARN_ON_ONCE(len % QCOW_CRYPT_SECTOR))
		return -EIO;
	job = mempool_alloc(c->jobs, GFP_NOIO);
	crypt_job_init(c, job);
	for (; !err && len; len -= QCOW_CRYPT_SECTOR, number++) {
		for (; skip >= bvec->bv_len; bvec++, nr_bvec--)
			skip -= bvec->bv_len;
		if (bvec->bv_len - skip >= QCOW_CRYPT_SECTOR) {
			sg_set_page(&job->sg, bvec->bv_page, QCOW_CRYPT_SECTOR,
				    bvec->bv_offset + skip);
			err = crypt_sector(c, job, number, encrypt);
		} else {
			err = crypt_split(c, job, bvec, nr_bvec, skip, number,
					  encrypt);
			sg_init_table(&job->sg, 1);
		}
		skip += QCOW_CRYPT_SECTOR;
		cond_resched();
	}
	mempool_free(job, c->jobs);
	return err;
}

/* Encrypt @n bytes of @from into @chunk and write them. */
static int crypt_write_chunk(struct qcow_crypt *c, const struct qcow_fio *from,
			     struct page *chunk, u32 done, u32 n, u64 pos)
{
	struct bio_vec bv = {
		.bv_page = chunk,
		.bv_len = n,
	};
	struct qcow_fio fio = {
		.file = from->file,
		.pos = from->pos + done,
		.bvec = &bv,
		.nr_bvec = 1,
		.len = n,
		.write = true,
	};
	struct iov_iter iter;
	int err;

	qcow_iter_init(&iter, ITER_SOURCE, from->bvec, from->nr_bvec,
		       from->skip + done, n);
	if (copy_from_iter(page_address(chunk), n, &iter) != n)
		return -EIO;
	err = qcow_crypt_bvecs(c, &bv, 1, 0, n, pos + done, fio.pos, true);
	return err ?: qcow_file_io_sync(&fio);
}

/**
 * qcow_crypt_write() - write what is encrypted on the way
 * @c: the cipher
 * @fio: what to write and where: file, pos, bvec, nr_bvec, skip and len
 * @pos: bytes into the disk
 *
 * The memory of @fio is not changed. May sleep, also for another such write;
 * not in a worker that file I/O waits for.
 *
 * Return: 0 or a negative errno.
 */
int qcow_crypt_write(struct qcow_crypt *c, struct qcow_fio *fio, u64 pos)
{
	struct page *chunk = mempool_alloc(c->chunks, GFP_NOIO);
	u32 done, n;
	int err = 0;

	for (done = 0; !err && done < fio->len; done += n) {
		/* Ends where the file's blocks do, as direct I/O likes it. */
		n = CRYPT_CHUNK - ((fio->pos + done) & (CRYPT_CHUNK - 1));
		n = min(n, fio->len - done);
		err = crypt_write_chunk(c, fio, chunk, done, n, pos);
	}
	mempool_free(chunk, c->chunks);
	return err;
}

/* --- Life --- */

/* Names in a specification end up in that of a cipher: nothing that nests. */
static bool crypt_is_name(const char *s)
{
	if (!s || !*s)
		return false;
	for (; *s; s++)
		if (!isalnum(*s) && *s != '_')
			return false;
	return true;
}

/*
 * "CIPHER-MODE-GENERATOR[:HASH]" or "CIPHER-ecb", as LUKS writes it, into the
 * kernel's name of it.
 */
static int crypt_parse(struct qcow_crypt *c, const char *spec, char *name,
		       size_t size)
{
	char buf[QCOW_CRYPT_SPEC_MAX + 1], *p = buf;
	const char *cipher, *mode, *generator, *hash = NULL;
	int len;

	if (strscpy(buf, spec, sizeof(buf)) < 0)
		return -EINVAL;
	cipher = strsep(&p, "-");
	mode = strsep(&p, "-");
	generator = strsep(&p, ":");
	hash = p;
	if (!crypt_is_name(cipher) || !crypt_is_name(mode) ||
	    (generator && !crypt_is_name(generator)) ||
	    (hash && !crypt_is_name(hash)))
		return -EINVAL;
	if (!generator && strcmp(mode, "ecb"))
		return -EINVAL;
	c->plain32 = generator && !strcmp(generator, "plain");
	if (generator && !strcmp(generator, "essiv")) {
		if (!hash)
			return -EINVAL;
		len = snprintf(name, size, "essiv(%s(%s),%s)", mode, cipher, hash);
	} else {
		if (generator && (!c->plain32 && strcmp(generator, "plain64")))
			return -EINVAL;
		len = snprintf(name, size, "%s(%s)", mode, cipher);
	}
	return len < size ? 0 : -EINVAL;
}

static int crypt_set_up(struct qcow_crypt *c, const char *spec, const u8 *key,
			u32 key_len, struct qcow_msg *msg)
{
	char name[CRYPTO_MAX_ALG_NAME];
	int err;

	err = crypt_parse(c, spec, name, sizeof(name));
	if (err)
		return qcow_fail(msg, -EOPNOTSUPP, "is encrypted in a way that is not supported; decrypt it with qemu-img convert");
	c->tfm = crypto_alloc_skcipher(name, 0, 0);
	if (IS_ERR(c->tfm)) {
		err = PTR_ERR(c->tfm);
		c->tfm = NULL;
		return qcow_fail(msg, err, "is encrypted with %s, which this kernel does not have (error %d)",
				 name, -err);
	}
	if (crypto_skcipher_ivsize(c->tfm) > CRYPT_MAX_IV ||
	    QCOW_CRYPT_SECTOR % crypto_skcipher_blocksize(c->tfm))
		return qcow_fail(msg, -EOPNOTSUPP, "is encrypted with %s, which is not supported", name);
	err = crypto_skcipher_setkey(c->tfm, key, key_len);
	if (err)
		return qcow_fail(msg, err, "its key of %u bytes does not suit %s (error %d)",
				 key_len, name, -err);
	c->jobs = mempool_create_kmalloc_pool(CRYPT_RESERVED,
					      sizeof(struct crypt_job) +
					      crypto_skcipher_reqsize(c->tfm));
	c->chunks = mempool_create_page_pool(CRYPT_RESERVED,
					     get_order(CRYPT_CHUNK));
	return c->jobs && c->chunks ? 0 : -ENOMEM;
}

/**
 * qcow_crypt_create() - a cipher with its key
 * @spec: as LUKS writes it, such as "aes-xts-plain64" or "aes-cbc-essiv:sha256"
 * @by_guest: sectors are numbered by their place on the disk, not in the file
 * @key: the key
 * @key_len: bytes of it
 * @msg: says why it failed
 *
 * May sleep. Return: to be given to qcow_crypt_destroy(), or an ERR_PTR.
 */
struct qcow_crypt *qcow_crypt_create(const char *spec, bool by_guest,
				     const u8 *key, u32 key_len,
				     struct qcow_msg *msg)
{
	struct qcow_crypt *c = kzalloc(sizeof(*c), GFP_KERNEL);
	int err;

	if (!c)
		return ERR_PTR(-ENOMEM);
	c->by_guest = by_guest;
	err = crypt_set_up(c, spec, key, key_len, msg);
	if (!err)
		return c;
	qcow_crypt_destroy(c);
	return ERR_PTR(err);
}

#if IS_ENABLED(CONFIG_KEYS)
static struct qcow_crypt *crypt_with_key(const char *spec, bool by_guest,
					 struct key *key, struct qcow_msg *msg)
{
	const struct user_key_payload *payload;
	struct qcow_crypt *c = ERR_PTR(-EKEYREVOKED);

	down_read(&key->sem);
	payload = user_key_payload_locked(key);
	if (payload)
		c = qcow_crypt_create(spec, by_guest, payload->data,
				      payload->datalen, msg);
	up_read(&key->sem);
	return c;
}

/**
 * qcow_crypt_open() - a cipher with a key from the caller's keyrings
 * @spec: as of qcow_crypt_create()
 * @by_guest: as of qcow_crypt_create()
 * @description: of a key of the type "logon", not needed any more afterwards
 * @msg: says why it failed
 *
 * May sleep. Return: to be given to qcow_crypt_destroy(), or an ERR_PTR.
 */
struct qcow_crypt *qcow_crypt_open(const char *spec, bool by_guest,
				   const char *description,
				   struct qcow_msg *msg)
{
	struct key *key = request_key(&key_type_logon, description, NULL);
	struct qcow_crypt *c;

	if (IS_ERR(key))
		return ERR_PTR(qcow_fail(msg, PTR_ERR(key), "its key is not in a keyring (error %ld)", -PTR_ERR(key)));
	c = crypt_with_key(spec, by_guest, key, msg);
	key_put(key);
	return c;
}
#else
struct qcow_crypt *qcow_crypt_open(const char *spec, bool by_guest,
				   const char *description,
				   struct qcow_msg *msg)
{
	return ERR_PTR(qcow_fail(msg, -EOPNOTSUPP, "is encrypted, and this kernel has no keyrings (CONFIG_KEYS)"));
}
#endif

/**
 * qcow_crypt_destroy() - forget a cipher and its key
 * @c: the cipher, or NULL; nobody uses it
 */
void qcow_crypt_destroy(struct qcow_crypt *c)
{
	if (!c)
		return;
	mempool_destroy(c->chunks);
	mempool_destroy(c->jobs);
	/* Wipes the key. */
	if (c->tfm)
		crypto_free_skcipher(c->tfm);
	kfree(c);
}
