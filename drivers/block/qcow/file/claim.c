// SPDX-License-Identifier: GPL-2.0
/*
 * Claims on the files and block devices of images. meta/image.c takes them when it
 * opens an image, file.c drops them.
 *
 * The kernel gives a block device to one holder at a time: a filesystem, a mapped
 * device, swap, or an open with O_EXCL. This driver is one holder for all of its
 * devices, so that several of them can read one block device. This file lets those
 * share a block device that only read it.
 *
 * The same holds for regular files. QEMU's locks, which qcowctl takes, do that and keep
 * other programs off, but not every filesystem has locks.
 */
#include <linux/blkdev.h>
#include <linux/fs.h>
#include <linux/hashtable.h>
#include <linux/mutex.h>

#include "compat/compat.h"
#include "file/claim.h"

/*
 * The table of all claims. Its keys are addresses of inodes and disks: claims that conflict
 * share one. An image may have thousands of files, so the search for conflicts must not walk
 * all claims.
 */
#define CLAIM_TABLE_BITS	10
static DEFINE_HASHTABLE(claims, CLAIM_TABLE_BITS);
/* Protects the table. */
static DEFINE_MUTEX(claims_lock);

/* The holder of all claims, for the kernel. */
static const char claim_holder[] = "qcow";

/*
 * The mappings are compared for filesystems stacked upon others: both may name one
 * file.
 */
static bool claim_same_file(const struct qcow_claim *a, const struct qcow_claim *b)
{
	return file_inode(a->file) == file_inode(b->file) ||
	       a->file->f_mapping->host == b->file->f_mapping->host;
}

/* Return: true if two claims have bytes in common. */
static bool claim_overlaps(const struct qcow_claim *a, const struct qcow_claim *b)
{
	if (!a->bdev || !b->bdev)
		return !a->bdev && !b->bdev && claim_same_file(a, b);
	if (a->bdev == b->bdev)
		return true;
	return a->bdev->bd_disk == b->bdev->bd_disk &&
	       (!bdev_is_partition(a->bdev) || !bdev_is_partition(b->bdev));
}

/* Addresses are even. */
static unsigned long claim_key(const void *common, bool write)
{
	return (unsigned long)common | write;
}

/*
 * Set what a claim is found by: claims that overlap have one of these in common, as
 * claim_overlaps() compares nothing else.
 */
static void claim_set_keys(struct qcow_claim *c)
{
	const struct inode *host = c->file->f_mapping->host;
	const struct inode *inode = file_inode(c->file);

	c->keys[0].key = claim_key(c->bdev ? (void *)c->bdev->bd_disk : (void *)host, c->write);
	c->keys[1].key = c->bdev || inode == host ? 0 : claim_key(inode, c->write);
}

/* Return: a claim that overlaps this one, is not @beside, and is for writing or is not. */
static const struct qcow_claim *__claim_find(const struct qcow_claim *c, bool write,
					     const struct qcow_claim *beside)
{
	const struct qcow_claim_key *k;
	unsigned long key;
	u32 i;

	lockdep_assert_held(&claims_lock);
	for (i = 0; i < ARRAY_SIZE(c->keys) && c->keys[i].key; i++) {
		key = (c->keys[i].key & ~1UL) | write;
		hash_for_each_possible(claims, k, node, key)
			if (k->key == key && k->claim != beside && claim_overlaps(c, k->claim))
				return k->claim;
	}
	return NULL;
}

static void __claim_insert(struct qcow_claim *c)
{
	u32 i;

	lockdep_assert_held(&claims_lock);
	for (i = 0; i < ARRAY_SIZE(c->keys) && c->keys[i].key; i++) {
		c->keys[i].claim = c;
		hash_add(claims, &c->keys[i].node, c->keys[i].key);
	}
}

/*
 * Add a claim to the table. @shared: the result: another device of this driver reads
 * some of the same sectors.
 */
static int claim_add(struct qcow_claim *c, const struct qcow_claim *beside,
		     bool *shared, struct qcow_msg *msg)
{
	const struct qcow_claim *writer, *reader;
	int err = 0;

	claim_set_keys(c);
	mutex_lock(&claims_lock);
	writer = __claim_find(c, true, beside);
	reader = __claim_find(c, false, beside);
	if (writer || (reader && c->write))
		err = qcow_advise(msg, -EBUSY, "is in use by /dev/%s; detach that, or use a copy of the image",
				  (writer ?: reader)->device);
	else
		__claim_insert(c);
	*shared = *shared || reader;
	mutex_unlock(&claims_lock);
	return err;
}

static void claim_remove(struct qcow_claim *c)
{
	u32 i;

	mutex_lock(&claims_lock);
	for (i = 0; i < ARRAY_SIZE(c->keys) && c->keys[i].key; i++)
		hash_del(&c->keys[i].node);
	mutex_unlock(&claims_lock);
	c->file = NULL;
	c->bdev = NULL;
}

/*
 * Claim a block device against other holders than this driver. Return: as
 * qcow_claim_take().
 */
static int claim_from_kernel(struct qcow_claim *c, bool shared, struct qcow_msg *msg)
{
	void *held = qcow_compat_claim(c->bdev->bd_dev, (void *)claim_holder);
	int err;

	if (!IS_ERR(held)) {
		c->held = held;
		return 0;
	}
	err = PTR_ERR(held);
	if (err == -EBUSY && !c->write) {
		c->others = !shared;
		return 0;
	}
	if (err == -EBUSY)
		return qcow_advise(msg, err, "is in use; stop that first, or attach it read-only with -r");
	return qcow_fail(msg, err, "cannot be claimed (error %d)", -err);
}

/**
 * qcow_claim_take() - claim an image file or block device
 * @c: zeroed; the claim, to be given to qcow_claim_drop()
 * @file: the image, open as long as the claim lasts
 * @device: name of the qcow device; it stays as long as the claim
 * @write: the file will be written. Then no other device of this driver may have it,
 *	and no other holder the block device
 * @beside: a claim of the same file that this one replaces, or that keeps all that this
 *	one reads from changing; or NULL
 * @msg: says why it failed
 *
 * A block device that is only read may have another holder: then it is read without a
 * claim, and @c->others is set.
 *
 * Context: may sleep.
 *
 * Return: 0; -EBUSY: the file is in use; or another error of opening it.
 */
int qcow_claim_take(struct qcow_claim *c, const struct file *file,
		    const char *device, bool write,
		    const struct qcow_claim *beside, struct qcow_msg *msg)
{
	struct inode *inode = file->f_mapping->host;
	bool shared = beside;
	int err;

	c->file = file;
	c->bdev = S_ISBLK(inode->i_mode) ? I_BDEV(inode) : NULL;
	c->device = device;
	c->write = write;
	err = claim_add(c, beside, &shared, msg);
	if (err) {
		c->file = NULL;
		return err;
	}
	err = c->bdev ? claim_from_kernel(c, shared, msg) : 0;
	if (err)
		claim_remove(c);
	return err;
}

/**
 * qcow_claim_drop() - drop a claim
 * @c: from qcow_claim_take(), or zeroed
 *
 * A worker has dropped it on return, a task when it leaves the kernel.
 *
 * Context: may sleep.
 */
void qcow_claim_drop(struct qcow_claim *c)
{
	if (!c->file)
		return;
	if (c->held)
		qcow_compat_unclaim(c->held, (void *)claim_holder);
	c->held = NULL;
	claim_remove(c);
}

/**
 * qcow_claim_known() - tell whether there is a claim on a regular file
 * @file: the file, opened in any way
 *
 * Takes as long for one claim as for thousands.
 *
 * Context: may sleep.
 *
 * Return: false if no image has the file; true if one has it, or may have it, because the
 * file is no regular file.
 */
bool qcow_claim_known(const struct file *file)
{
	struct qcow_claim c = { .file = file };
	bool known;

	if (!S_ISREG(file_inode(file)->i_mode))
		return true;
	claim_set_keys(&c);
	mutex_lock(&claims_lock);
	known = __claim_find(&c, false, NULL) || __claim_find(&c, true, NULL);
	mutex_unlock(&claims_lock);
	return known;
}
