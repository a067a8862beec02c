/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_IMAGE_H
#define _QCOW_IMAGE_H

#include "file/crypt.h"
#include "meta/qcow.h"

/**
 * struct qcow_source - an image file to open
 * @file: the image, open for reading
 * @data_file: its data file, open for reading, or NULL
 * @format: &enum qcow_format
 * @table: map: the file of its table, or NULL
 * @files: map: files that have its data, after @file
 * @nr_files: entries of @files
 * @key: key to its data, or NULL
 * @same: the same image, if it is open already, in place of @key; or NULL
 */
struct qcow_source {
	struct file *file;
	struct file *data_file;
	u32 format;
	struct file *table;
	struct file **files;
	u32 nr_files;
	const struct qcow_crypt_key *key;
	const struct qcow_image *same;
};

struct qcow_image *qcow_image_open_chain(const struct qcow_source *sources,
					 u32 nr, const struct qcow_params *params,
					 struct qcow_msg *msg, u32 *failed);
int __must_check qcow_image_start(struct qcow_image *img, struct qcow_msg *msg);
int __must_check qcow_image_finish_chain(struct qcow_image *img);
int qcow_image_close_chain(struct qcow_image *img);
struct qcow_image *qcow_image_open_again(const struct qcow_image *old,
					 const struct qcow_source *src,
					 const struct qcow_params *params,
					 struct qcow_msg *msg);
int qcow_image_close_replaced(struct qcow_image *old, struct qcow_image *with);
struct qcow_image *qcow_image_swap_backing(struct qcow_image *img,
					   struct qcow_image *with);
u32 qcow_image_format(const struct qcow_image *img);
const char *qcow_image_format_name(const struct qcow_image *img);
bool qcow_image_chain_damaged(const struct qcow_image *img);
int __must_check qcow_image_map(struct qcow_image *img, u64 guest_offset, u64 len,
				unsigned int flags, struct qcow_extent *ext);
bool qcow_image_reads_zero(struct qcow_image *img, u64 guest_offset, u64 len);

#endif /* _QCOW_IMAGE_H */
