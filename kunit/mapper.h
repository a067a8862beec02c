/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The mapper makes a map at random, with its files, and knows the content of its disk.
 */
#ifndef _QCOW_MAPPER_H
#define _QCOW_MAPPER_H

#include <linux/sizes.h>

#include <uapi/linux/qcow_map.h>

#include "meta/image.h"
#include "reader.h"

#define MAP_FILES	3
#define MAP_FILE_BYTES	SZ_1M
#define MAP_DISK_MAX	SZ_512K
#define MAP_ENTRIES_MAX	(MAP_DISK_MAX / SZ_512)
#define MAP_TABLE_MAX	(QCOW_MAP_HEADER_BYTES + \
			 MAP_ENTRIES_MAX * sizeof(struct qcow_map_entry))
#define MAP_CHUNK	SZ_16K

/**
 * struct map_fixture - a map, its files, and the content of its disk
 * @base: reader of the disk
 * @table: the file of the table
 * @header: the table, in the memory of its file
 * @entries: its entries
 * @nr_entries: entries that were made, whatever the damaged header says
 * @m: the files that have the data
 * @data: the memory of each
 * @used: bytes of each that are in use
 * @backing: the file of a raw backing file
 * @below: its content
 * @expect: content of the disk
 * @chunk: memory for a chunk
 * @source: all of it, to be opened
 * @files: the files in @source
 */
struct map_fixture {
	struct reader_fixture base;
	struct memfile *table;
	struct qcow_map_header *header;
	struct qcow_map_entry *entries;
	u32 nr_entries;
	struct memfile *m[MAP_FILES];
	u8 *data[MAP_FILES];
	u32 used[MAP_FILES];
	struct memfile *backing;
	u8 *below;
	u8 *expect;
	u8 *chunk;
	struct qcow_source source[2];
	struct file *files[MAP_FILES - 1];
};

int map_test_init(struct kunit *test);
void map_test_exit(struct kunit *test);

/*
 * map_make() fills the disk with pieces of all kinds. map_make_header() makes a map without
 * pieces.
 */
void map_make(struct map_fixture *x, bool holes, struct rnd_state *rnd);
void map_make_header(struct map_fixture *x, bool holes);
/* These make @e, which has its start, a piece of @len bytes of data or of a chunk. */
void map_add_data(struct map_fixture *x, struct qcow_map_entry *e, u32 len,
		  struct rnd_state *rnd);
/* @codec: &enum qcow_map_codec */
void map_add_compressed(struct map_fixture *x, struct qcow_map_entry *e, u32 len, u8 codec,
			struct rnd_state *rnd);
/* map_set_data() puts the content that was made into the files. */
void map_set_data(struct map_fixture *x);
void map_set_modes(struct map_fixture *x, struct rnd_state *rnd);
struct qcow_image *map_open(struct map_fixture *x);
/* Return: whether nobody has the files any more. */
bool map_close(struct map_fixture *x, struct qcow_image *img);

#endif /* _QCOW_MAPPER_H */
