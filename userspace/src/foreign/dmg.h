/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_DMG_H
#define _QCOWCTL_DMG_H

#include "foreign/expand.h"

/* Bytes of the trailer, of the header of a block table, and of a run in it */
#define DMG_TRAILER_BYTES	512
#define DMG_TABLE_BYTES		204
#define DMG_RUN_BYTES		40

/* Type of a checksum that is a CRC-32 */
#define DMG_CRC32		2

/**
 * enum dmg_kind - content of a run
 * @DMG_ZERO: zeros
 * @DMG_IGNORED: bytes that nothing uses, and checksums leave out; they read as zeros
 * @DMG_RAW: bytes of the file
 * @DMG_ADC: bytes that are compressed with ADC
 * @DMG_ZLIB: with zlib
 * @DMG_BZIP2: with bzip2
 * @DMG_LZFSE: with LZFSE
 * @DMG_XZ: with xz
 * @DMG_EXPANDED: bytes that were decompressed when the image was opened
 */
enum dmg_kind {
	DMG_ZERO,
	DMG_IGNORED,
	DMG_RAW,
	DMG_ADC,
	DMG_ZLIB,
	DMG_BZIP2,
	DMG_LZFSE,
	DMG_XZ,
	DMG_EXPANDED,
};

/**
 * struct dmg_codec - the compression of runs of a kind
 * @name: for people
 * @unpack: for unpack_chunk()
 * @map: for the driver, or QCOW_MAP_NONE
 */
struct dmg_codec {
	const char *name;
	enum unpack_codec unpack;
	u8 map;
};

/**
 * struct dmg_run - a part of the disk
 * @sector: the first one
 * @sectors: how many, not 0
 * @host_offset: of the first byte, unless there is none
 * @stored: compressed: bytes
 * @kind: &enum dmg_kind
 */
struct dmg_run {
	u64 sector;
	u64 sectors;
	u64 host_offset;
	u32 stored;
	u32 kind;
};

/**
 * struct dmg_trailer - the numbers of a trailer
 * @data_host_offset: of the data fork, from which tables count
 * @data_bytes: of the data fork
 * @fork_host_offset: of the resource fork, which old images have
 * @fork_bytes: of the resource fork; 0: there is none
 * @xml_host_offset: of the property list
 * @xml_bytes: of the property list; 0: there is none
 * @sectors: of the disk
 * @data_crc: CRC-32 of the data fork
 * @has_data_crc: there is one
 * @master_crc: CRC-32 of those of all tables
 * @has_master_crc: there is one
 */
struct dmg_trailer {
	u64 data_host_offset;
	u64 data_bytes;
	u64 fork_host_offset;
	u64 fork_bytes;
	u64 xml_host_offset;
	u64 xml_bytes;
	u64 sectors;
	u32 data_crc;
	bool has_data_crc;
	u32 master_crc;
	bool has_master_crc;
};

/**
 * struct dmg_tables - reading all block tables of an image
 * @f: the image
 * @trailer: its trailer
 * @window: the part of the file that is in memory
 * @run: called for each run; returns 0 or a negative errno with a message
 * @end: called at the end of each table, with its CRC-32 if it has one; or NULL
 * @arg: the first argument of both
 * @bytes: of the table's header or of a run
 * @have: bytes there
 * @started: the header was read
 * @skipped: these bytes are no block table
 * @runs_left: of the table
 * @first_sector: of the table
 * @data_offset: of the table's data in the data fork
 * @crc: the table's CRC-32
 * @has_crc: there is one
 */
struct dmg_tables {
	struct foreign *f;
	const struct dmg_trailer *trailer;
	struct foreign_window *window;
	int (*run)(void *arg, const struct dmg_run *r);
	int (*end)(void *arg, bool has_crc, u32 crc);
	void *arg;
	u8 bytes[DMG_TABLE_BYTES];
	u32 have;
	bool started;
	bool skipped;
	u32 runs_left;
	u64 first_sector;
	u64 data_offset;
	u32 crc;
	bool has_crc;
};

/**
 * struct dmg - an image
 * @trailer: its numbers
 * @window: the part of the file that is in memory
 * @runs: of all tables, sorted
 * @nr_runs: of them
 * @runs_max: for which there is memory
 * @last: number of the run that was found last
 * @expand: for chunks that the driver does not decompress
 */
struct dmg {
	struct dmg_trailer trailer;
	struct foreign_window window;
	struct dmg_run *runs;
	u32 nr_runs;
	u32 runs_max;
	u32 last;
	struct expand expand;
};

/* By kind; those that are not compressed have no name. */
extern const struct dmg_codec dmg_codecs[DMG_EXPANDED];

int __must_check dmg_read_tables(struct dmg_tables *t);
int __must_check dmg_read_plist(struct dmg_tables *t);
int __must_check dmg_table_bytes(struct dmg_tables *t, const u8 *bytes, size_t len);
int __must_check dmg_table_end(struct dmg_tables *t);
void dmg_chunk(const struct dmg_run *r, struct expand_chunk *c);
int dmg_check(struct foreign *f);

#endif /* _QCOWCTL_DMG_H */
