/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The ranges of the disk of each image of a chain, which map_layer.c reads from its tables.
 * map.c goes through the chain and prints them; the files are only read.
 */
#ifndef _QCOWCTL_MAP_H
#define _QCOWCTL_MAP_H

#include "image/chain.h"

/**
 * struct map_extent - a range of a disk that is alike
 * @start: bytes into the disk
 * @length: bytes
 * @data: stored as bytes in a file
 * @zero: reads as zeros
 * @compressed: stored compressed
 * @mapped: has a place in a file
 * @host_offset: of that, bytes into the file; 0 if there is none
 * @file: the file, if @data or @mapped
 *
 * Neither @data nor @zero: the image does not hold it.
 */
struct map_extent {
	u64 start;
	u64 length;
	bool data;
	bool zero;
	bool compressed;
	bool mapped;
	u64 host_offset;
	const struct file *file;
};

/**
 * struct map_entry - a range of the disk of a chain that is alike
 * @e: the range; its @mapped and @host_offset are of the layer that has it
 * @depth: number of that layer, 0: the first image
 * @present: a layer has it, rather than that it is zeros because none has
 */
struct map_entry {
	struct map_extent e;
	u32 depth;
	bool present;
};

struct map_layer;

struct map_layer *map_layers_new(const struct chain *c);
void map_layers_free(struct map_layer *layers, u32 nr);
struct map_layer *map_layer_at(struct map_layer *layers, u32 depth);
u64 map_layer_size(const struct map_layer *l);
u64 map_layer_longest(const struct map_layer *l);
bool map_layer_has_files(const struct map_layer *l);
int map_layer_find(struct map_layer *l, u64 start, struct map_extent *e);
int map_find(struct map_layer *layers, u32 nr, u64 start, struct map_entry *n);

#endif /* _QCOWCTL_MAP_H */
