/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The builder makes images in memory, and chains of them, of given or random kinds. It
 * owns the image files and the content that their disks must have; suites and the reader
 * open the files. It uses structures of ondisk/, and none of the driver's parsers.
 */
#ifndef _QCOW_BUILDER_H
#define _QCOW_BUILDER_H

#include <linux/prandom.h>
#include <linux/types.h>

#include "meta/image.h"
#include "memfile.h"

#define BUILDER_MAX_CHAIN	8

/* Kinds of clusters of an image, in builder_spec.kinds. */
#define BUILDER_HOLE		0x01
#define BUILDER_ZERO		0x02 /* without a cluster in the file */
#define BUILDER_ZERO_ALLOC	0x04 /* with one */
#define BUILDER_DATA		0x08
#define BUILDER_COMPRESSED	0x10
#define BUILDER_SUBCLUSTERS	0x20 /* a mixture, with extended L2 entries */
#define BUILDER_ALL		0x3f

/**
 * struct builder_spec - an image to be built
 * @raw: raw, and nothing below counts but @size
 * @version: 2 or 3
 * @cluster_bits: log2 of the cluster size
 * @extended_l2: with subclusters
 * @zstd: its compression type
 * @data_file: with an external data file
 * @backing: it names a backing file
 * @tidy: nothing is left out, data lies in one piece
 * @kinds: of clusters, BUILDER_*
 * @size: bytes of its disk
 * @writable: with refcounts, in a file that can be written; clusters that are
 *	not COPIED have one reference more than there is
 * @order: log2 of the bits of a refcount, if @writable
 * @full: all of its refcount table is in use: clusters behind the image have
 *	refcounts of one, but for the last clusters
 * @room: bytes by which the file can grow, if @writable
 */
struct builder_spec {
	bool raw;
	u32 version;
	u32 cluster_bits;
	bool extended_l2;
	bool zstd;
	bool data_file;
	bool backing;
	bool tidy;
	u32 kinds;
	u64 size;
	bool writable;
	u32 order;
	bool full;
	u64 room;
};

/**
 * struct builder_cluster - where in the file a cluster of the disk comes from
 * @l1_at: its L1 entry
 * @l2_at: its L2 entry, 0: it has no L2 table
 * @host: its data, if it has some
 * @host_len: bytes of it
 */
struct builder_cluster {
	u64 l1_at;
	u64 l2_at;
	u64 host;
	u64 host_len;
};

/**
 * struct builder_image - an image in memory, and the expected content of its disk
 * @spec: as it was asked for
 * @file: the image file
 * @file_len: bytes of it
 * @data: the data file, if any
 * @data_len: bytes of it
 * @expect: the disk, with data of its backing files
 * @size: bytes of it
 * @clusters: where they come from, for qcow2
 * @nr_clusters: of the disk
 * @m: @file as the driver sees it
 * @data_m: @data
 * @capacity: bytes that there is room for at @file
 */
struct builder_image {
	struct builder_spec spec;
	u8 *file;
	u64 file_len;
	u8 *data;
	u64 data_len;
	u8 *expect;
	u64 size;
	struct builder_cluster *clusters;
	u32 nr_clusters;
	struct memfile *m;
	struct memfile *data_m;
	u64 capacity;
};

/**
 * struct builder_chain - an image and its backing files
 * @img: the top first
 * @nr: of them
 * @sources: for qcow_image_open_chain()
 */
struct builder_chain {
	struct builder_image img[BUILDER_MAX_CHAIN];
	u32 nr;
	struct qcow_source sources[BUILDER_MAX_CHAIN];
};

void builder_random_spec(struct rnd_state *rnd, struct builder_spec *spec);
int builder_build(struct builder_chain *c, const struct builder_spec *specs,
		  u32 nr, struct rnd_state *rnd);
int builder_build_random(struct builder_chain *c, u32 nr, struct rnd_state *rnd);
void builder_free(struct builder_chain *c);
void builder_set_mode(struct builder_chain *c, const struct memfile_mode *mode);
int builder_put_refcounts(struct builder_image *b, u64 *end);
/* Sets a refcount in the bytes of an image of version 3; a block covers @cluster. */
void builder_set_refcount(u8 *file, u64 cluster, u64 value);
bool builder_idle(const struct builder_chain *c);

#endif /* _QCOW_BUILDER_H */
