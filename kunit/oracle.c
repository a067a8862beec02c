// SPDX-License-Identifier: GPL-2.0
/*
 * The oracle: the journal of the operations on a written disk, and the content that each
 * sector may have because of them. See oracle.h.
 */
#include <linux/slab.h>

#include "compat/compat_test.h"
#include "meta/image.h"
#include "ondisk/format.h"
#include "oracle.h"

#define SECTOR		512
#define BACKING_SIZE_AT	offsetof(struct qcow_disk_header, backing_file_size)

static struct builder_image *oracle_top(const struct oracle *o)
{
	return &o->c->img[0];
}

int oracle_init(struct oracle *o, u32 cluster_bits)
{
	struct builder_image *b = oracle_top(o);
	int err;

	o->nr_ops = 0;
	o->before = kvmalloc(b->size + 1, GFP_KERNEL);
	o->floor = kvmalloc((b->size / SECTOR + 1) * sizeof(*o->floor), GFP_KERNEL);
	if (!o->before || !o->floor)
		return -ENOMEM;
	memcpy(o->before, b->expect, b->size);
	err = checker_init(&o->k, (b->m->capacity >> cluster_bits) + 1);
	if (err)
		return err;
	if (WARN_ON(!checker_check(&o->k, b->file, b->file_len)))
		pr_err("kunit: an image was built with a fault: %s\n", o->k.text);
	o->leaks = o->k.leaks;
	return 0;
}

int oracle_log(struct oracle *o, u32 entries, u64 bytes)
{
	struct memfile *m = oracle_top(o)->m;

	o->log = memlog_create(entries, bytes);
	if (!o->log)
		return -ENOMEM;
	m->log = o->log;
	return memlog_disk_init(&o->disk, o->log, m->capacity);
}

void oracle_free(struct oracle *o)
{
	memlog_disk_free(&o->disk);
	kvfree(o->before);
	kvfree(o->floor);
	checker_free(&o->k);
	qcow_crypt_close(o->crypt);
	o->crypt = NULL;
	memlog_destroy(o->log);
	o->before = NULL;
	o->floor = NULL;
	o->log = NULL;
}

void oracle_restart(struct oracle *o)
{
	memcpy(oracle_top(o)->expect, o->before, oracle_top(o)->size);
	o->nr_ops = 0;
	o->clock = 0;
	if (o->log)
		memlog_reset(o->log);
}

/* --- The journal --- */

void oracle_fill(u8 *sector, u32 op, u64 guest_offset)
{
	u64 tag = (u64)(op + 1) << 40 | guest_offset / SECTOR;
	u32 i;

	for (i = 0; i < SECTOR; i += 8)
		put_unaligned_be64(tag ^ ((u64)i << 32), sector + i);
}

/* Return: the number of the write whose content a sector has, or -1. */
static int sector_op(const struct oracle *o, const u8 *p, u64 guest_offset)
{
	u64 op = (get_unaligned_be64(p) >> 40) - 1;
	u8 sector[SECTOR];

	if (op >= o->nr_ops || o->op[op].op != QCOW_OP_WRITE)
		return -1;
	oracle_fill(sector, op, guest_offset);
	return memcmp(p, sector, SECTOR) ? -1 : op;
}

static u32 stamp(struct oracle *o)
{
	return o->log ? memlog_now(o->log) : ++o->clock;
}

u32 oracle_begin(struct oracle *o, enum qcow_op op, u64 guest_offset, u32 len)
{
	u32 i = o->nr_ops++;

	if (WARN_ON(i >= ORACLE_OPS))
		return o->nr_ops = 0;
	o->op[i] = (struct oracle_op) {
		.op = op, .guest_offset = guest_offset, .len = len,
		.begun = stamp(o), .end = ORACLE_NEVER, .durable = ORACLE_NEVER,
	};
	return i;
}

void oracle_end(struct oracle *o, u32 i, bool ok)
{
	o->op[i].end = stamp(o);
	o->op[i].ok = ok;
}

void oracle_durable(struct oracle *o, u32 i)
{
	o->op[i].durable = stamp(o);
}

/*
 * A discard makes zeros of whole clusters, if an entry can say that the cluster is
 * zeros whatever is below.
 */
static void discarded(const struct oracle *o, u64 *guest_offset, u64 *end)
{
	const struct builder_image *b = &o->c->img[0];
	u64 cluster = 1ULL << b->spec.cluster_bits;

	*guest_offset = round_up(*guest_offset, cluster);
	if (*end != b->size)
		*end = round_down(*end, cluster);
	if (b->spec.version < 3 && b->spec.backing)
		*end = *guest_offset;
}

static void expect_zeros(struct oracle *o, u64 guest_offset, u64 end)
{
	if (guest_offset < end)
		memset(oracle_top(o)->expect + guest_offset, 0, end - guest_offset);
}

/*
 * A piece of a cluster that was discarded is zeros if the rest of the cluster was known
 * to be zeros; else it stays. Both are right.
 */
static void expect_discarded_piece(struct oracle *o, struct qcow_image *img,
				   u64 guest_offset, u64 end)
{
	if (guest_offset < end &&
	    qcow_image_reads_zero(img, guest_offset, end - guest_offset))
		expect_zeros(o, guest_offset, end);
}

static void expect_discard(struct oracle *o, struct qcow_image *img, u64 guest_offset,
			   u64 end)
{
	u64 first = guest_offset, last = end;

	discarded(o, &first, &last);
	expect_discarded_piece(o, img, guest_offset, min(first, end));
	expect_zeros(o, first, last);
	expect_discarded_piece(o, img, max(last, guest_offset), end);
}

void oracle_expect(struct oracle *o, u32 i, struct qcow_image *img, const u8 *content)
{
	const struct oracle_op *op = &o->op[i];
	u64 end = op->guest_offset + op->len;

	if (op->op == QCOW_OP_WRITE)
		memcpy(oracle_top(o)->expect + op->guest_offset, content, op->len);
	else if (op->op == QCOW_OP_DISCARD)
		expect_discard(o, img, op->guest_offset, end);
	else
		expect_zeros(o, op->guest_offset, end);
}

/* --- The content that a sector may have --- */

/* Return: the begin of the last flush that had ended at @when, 0: none. */
static u32 flushed_until(const struct oracle *o, u32 when)
{
	u32 until = 0, i;

	for (i = 0; i < o->nr_ops; i++)
		if (!o->op[i].len && o->op[i].ok && o->op[i].end <= when)
			until = max(until, o->op[i].begun);
	return until;
}

/* Return: true if an operation that was made durable until @when cannot be lost. */
static bool op_kept(const struct oracle_op *op, u32 until, u32 when)
{
	return op->ok && (op->end <= until ||
			  (op->durable != ORACLE_NEVER && op->durable <= when));
}

void oracle_cut(struct oracle *o, u32 when)
{
	u32 until = flushed_until(o, when);
	struct oracle_op *op = o->op;

	for (; op < o->op + o->nr_ops && op->begun < when; op++) {
		op->end = min(op->end, when);
		op->ok = op_kept(op, until, when);
	}
	o->nr_ops = op - o->op;
}

/* For each sector, the begin of the last operation that was durable at @when. */
static void set_floor(struct oracle *o, u32 until, u32 when)
{
	const struct oracle_op *op;
	u64 s;

	memset(o->floor, 0, oracle_top(o)->size / SECTOR * sizeof(*o->floor));
	for (op = o->op; op < o->op + o->nr_ops; op++)
		for (s = op->guest_offset; op->op != QCOW_OP_DISCARD &&
		     op_kept(op, until, when) && s < op->guest_offset + op->len; s += SECTOR)
			o->floor[s / SECTOR] = max(o->floor[s / SECTOR], op->begun);
}

/* Whether an operation covers a sector and had begun at @when. */
static bool op_covers(const struct oracle_op *op, u64 guest_offset, u32 when)
{
	return guest_offset >= op->guest_offset &&
	       guest_offset - op->guest_offset < op->len && op->begun < when;
}

/* Whether a sector may be zeros because of an operation that is not superseded. */
static bool zeroed(const struct oracle *o, u64 guest_offset, u32 when)
{
	u32 floor = o->floor[guest_offset / SECTOR], i;

	for (i = 0; i < o->nr_ops; i++)
		if (o->op[i].op != QCOW_OP_WRITE && op_covers(&o->op[i], guest_offset, when) &&
		    floor <= o->op[i].end)
			return true;
	return false;
}

/* Return: the fault if neither the disk's first content nor a write explains a sector. */
static const char *check_content(struct oracle *o, const u8 *p, u64 guest_offset, u32 when)
{
	u32 floor = o->floor[guest_offset / SECTOR];
	int i = sector_op(o, p, guest_offset);

	if (i < 0 && !memchr_inv(p, 0, SECTOR) && zeroed(o, guest_offset, when))
		return NULL;
	if (i < 0 && memcmp(p, o->before + guest_offset, SECTOR))
		return "data that was never written there";
	if (i < 0)
		return floor ? "the data from before a flushed write" : NULL;
	if (!op_covers(&o->op[i], guest_offset, when))
		return "data that is written there later";
	return floor > o->op[i].end ? "data that a flushed write has replaced" : NULL;
}

/* The sector of the backing file; zeros beyond its end, and if the image names none. */
static const u8 *under_sector(struct oracle *o, u64 guest_offset)
{
	const struct builder_image *b = &o->c->img[1];

	if (o->under)
		return o->under(o, guest_offset);
	if (o->c->nr < 2 || guest_offset + SECTOR > b->size ||
	    !get_unaligned_be32(o->k.data + BACKING_SIZE_AT))
		return page_address(ZERO_PAGE(0));
	return b->expect + guest_offset;
}

static const struct builder_cluster *built(const struct oracle *o, u64 guest_offset)
{
	return &oracle_top(o)->clusters[guest_offset >> oracle_top(o)->spec.cluster_bits];
}

/* Whether a compressed cluster has the entry with which the image was built. */
static bool same_entry(const struct oracle *o, u64 guest_offset, u64 entry)
{
	u64 l2_at = built(o, guest_offset)->l2_at;

	return l2_at && get_unaligned_be64(oracle_top(o)->file + l2_at) == entry;
}

/* Whether the file still has the data of a compressed cluster. */
static bool same_data(const struct oracle *o, u64 guest_offset)
{
	const struct builder_cluster *c = built(o, guest_offset);

	return c->host + c->host_len <= o->k.size &&
	       !memcmp(o->k.data + c->host, oracle_top(o)->file + c->host, c->host_len);
}

/* Compressed clusters are never written: entry and data are as at the start. */
static const char *check_compressed(const struct oracle *o, u64 guest_offset, u64 entry)
{
	if (!same_entry(o, guest_offset, entry))
		return "a compressed cluster of which nothing is known";
	if (!same_data(o, guest_offset))
		return "compressed data that was changed";
	return o->floor[guest_offset / SECTOR] ?
		       "the compressed cluster before a flushed write" : NULL;
}

/* The sector at @host_offset of the file, decrypted if the image is encrypted. */
static const u8 *host_sector(struct oracle *o, u64 guest_offset, u64 host_offset)
{
	struct bio_vec bv = {
		.bv_page = virt_to_page(o->plain),
		.bv_offset = offset_in_page(o->plain),
		.bv_len = SECTOR,
	};
	struct qcow_file_req req = { .bvec = &bv, .nr_bvec = 1, .len = SECTOR };

	if (!o->crypt && host_offset + SECTOR <= o->k.size)
		return o->k.data + host_offset;
	/* The file's last sector may be in part. */
	memset(o->plain, 0, SECTOR);
	if (host_offset < o->k.size)
		memcpy(o->plain, o->k.data + host_offset,
		       min_t(u64, SECTOR, o->k.size - host_offset));
	if (o->crypt &&
	    qcow_crypt_decrypt(o->crypt, &req,
			       qcow_crypt_sector(o->crypt, guest_offset, host_offset)))
		pr_err("kunit: cannot decrypt a sector\n");
	return o->plain;
}

/* Return: the content of a sector that is not compressed. */
static const u8 *plain_sector(struct oracle *o, enum checker_kind kind, u64 guest_offset,
			      u64 host_offset)
{
	if (kind == CHECKER_HOLE)
		return under_sector(o, guest_offset);
	if (kind == CHECKER_HOST)
		return host_sector(o, guest_offset, host_offset);
	return page_address(ZERO_PAGE(0));
}

static const char *check_sector(struct oracle *o, u64 guest_offset, u32 when)
{
	enum checker_kind kind;
	u64 host_offset = 0;

	kind = checker_find(&o->k, guest_offset, &host_offset);
	if (kind == CHECKER_COMPRESSED)
		return check_compressed(o, guest_offset, host_offset);
	return check_content(o, plain_sector(o, kind, guest_offset, host_offset),
			     guest_offset, when);
}

/* --- Whole disks --- */

static bool same_sector(struct oracle *o, u64 l1_at, u64 guest_offset, const u8 *expect)
{
	enum checker_kind kind;
	u64 host_offset = 0;

	kind = checker_find_in(&o->k, l1_at, guest_offset, &host_offset);
	if (kind == CHECKER_COMPRESSED)
		return same_entry(o, guest_offset, host_offset) &&
		       same_data(o, guest_offset) &&
		       !memcmp(o->before + guest_offset, expect, SECTOR);
	return !memcmp(plain_sector(o, kind, guest_offset, host_offset), expect, SECTOR);
}

bool oracle_same_disk(struct oracle *o, u64 l1_at, const u8 *expect,
		      const unsigned long *unsure)
{
	u64 guest_offset;

	for (guest_offset = 0; guest_offset < oracle_top(o)->size; guest_offset += SECTOR)
		if (!(unsure && test_bit(guest_offset / SECTOR, unsure)) &&
		    !same_sector(o, l1_at, guest_offset, expect + guest_offset))
			return false;
	return true;
}

const char *oracle_check(struct oracle *o, const void *data, u64 size, u32 when)
{
	const char *fault;
	u64 guest_offset;

	if (!checker_check(&o->k, data, size))
		return o->k.text;
	set_floor(o, flushed_until(o, when), when);
	for (guest_offset = 0; guest_offset < oracle_top(o)->size; guest_offset += SECTOR) {
		fault = check_sector(o, guest_offset, when);
		if (!fault)
			continue;
		snprintf(o->k.text, sizeof(o->k.text), "at %#llx is %s", guest_offset, fault);
		return o->k.text;
	}
	return NULL;
}

const char *oracle_check_cuts(struct oracle *o, struct rnd_state *rnd)
{
	const struct builder_image *b = oracle_top(o);
	struct memlog_disk *d = &o->disk;
	u32 cut, when = stamp(o);
	const char *fault = NULL;

	memlog_disk_start(d, b->file, b->file_len);
	for (cut = 0; cut < MEMLOG_CUTS && !fault; cut++) {
		memlog_disk_cut(d, when, cut, rnd);
		fault = oracle_check(o, d->data, min(d->size, d->capacity), when);
	}
	return fault;
}

const char *oracle_check_closed(struct oracle *o)
{
	const struct memfile *m = oracle_top(o)->m;

	return oracle_check(o, m->store, memfile_size(m), ORACLE_NEVER);
}

const char *oracle_check_foreign(struct oracle *o)
{
	const struct builder_image *b = oracle_top(o);
	u64 cluster = 1ULL << b->spec.cluster_bits, c;
	struct checker before;
	const char *fault = NULL;

	if (checker_init(&before, o->k.max))
		return "no memory";
	checker_walk(&before, b->file, b->file_len);
	for (c = 0; c < before.nr && !fault; c++) {
		if (checker_refcount(&before, c) == before.refs[c])
			continue;
		if (checker_refcount(&o->k, c) <= o->k.refs[c])
			fault = "a reference of somebody else is gone";
		else if (memcmp(b->file + c * cluster, o->k.data + c * cluster,
				min(cluster, b->file_len - c * cluster)))
			fault = "data of somebody else was changed";
	}
	checker_free(&before);
	return fault;
}
