/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_COMP_H
#define _QCOW_COMP_H

#include "file/file.h"

/**
 * struct qcow_codec - a compression method
 * @workspace_size: bytes of scratch memory that decompress() needs; NULL: none
 * @decompress: fill @dst with exactly @dst_len bytes from @src, of which the
 *	end may be unrelated data, but not of LZ4. Context: may sleep. Return: 0,
 *	-EIO: the data is damaged; -ENOMEM
 */
struct qcow_codec {
	size_t (*workspace_size)(void);
	int (*decompress)(void *workspace, void *dst, size_t dst_len,
			  const void *src, size_t src_len);
};

#define QCOW_COMPRESSION(nr, name) \
	extern const struct qcow_codec qcow_codec_##name;
#include "ondisk/compression.h"

#define QCOW_MAP_CODEC(number, name, codec, built) \
	extern const struct qcow_codec codec;
#include "ondisk/map_codecs.h"

const struct qcow_codec *qcow_comp_codec(u32 type);

struct qcow_comp;
struct qcow_stats;

int __must_check qcow_comp_init(void);
void qcow_comp_exit(void);
struct qcow_comp *qcow_comp_create(struct workqueue_struct *wq,
				   struct qcow_stats __percpu *stats);
void qcow_comp_destroy(struct qcow_comp *comp);
u64 qcow_comp_used(const struct qcow_comp *comp);
int __must_check qcow_comp_read(struct qcow_comp *comp, struct qcow_subreq *subreq);

#endif /* _QCOW_COMP_H */
