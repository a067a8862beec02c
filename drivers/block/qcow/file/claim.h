/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_CLAIM_H
#define _QCOW_CLAIM_H

#include <linux/list.h>
#include <linux/types.h>

#include "ondisk/pure.h"

struct block_device;
struct file;

struct qcow_claim;

/**
 * struct qcow_claim_key - something that a claim is found by
 * @node: in the table of all claims
 * @key: address of an inode or a disk; its lowest bit says whether the claim writes; 0:
 *	unused
 * @claim: the claim
 */
struct qcow_claim_key {
	struct hlist_node node;
	unsigned long key;
	const struct qcow_claim *claim;
};

/**
 * struct qcow_claim - a claim on the file or block device of an image
 * @keys: in the table of all claims, if @file is set
 * @file: the image's open file; NULL: nothing is claimed
 * @bdev: the block device; NULL: a regular file
 * @device: name of the qcow device
 * @write: the image is written
 * @others: another holder than this driver had claimed the device, so its data may
 *	change
 * @held: the kernel's claim, or NULL
 */
struct qcow_claim {
	struct qcow_claim_key keys[2];
	const struct file *file;
	struct block_device *bdev;
	const char *device;
	bool write;
	bool others;
	void *held;
};

int __must_check qcow_claim_take(struct qcow_claim *c, const struct file *file,
				 const char *device, bool write,
				 const struct qcow_claim *beside,
				 struct qcow_msg *msg);
void qcow_claim_drop(struct qcow_claim *c);
bool qcow_claim_known(const struct file *file);

#endif /* _QCOW_CLAIM_H */
