/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_VVFAT_FAT_H
#define _QCOWCTL_VVFAT_FAT_H

#include "vvfat/tree.h"

#define FAT_ENTRY_BYTES		32
#define FAT_LABEL_BYTES		11

/* Entries of the root directory of FAT16, and bytes of any other directory. */
#define FAT_ROOT_ENTRIES	512
#define FAT_DIR_BYTES_MAX	(2 * SZ_1M)

/* First sector of the partition. */
#define FAT_PARTITION		2048

/**
 * struct fat - a filesystem
 * @bits: 16 or 32
 * @cluster_sectors: sectors of a cluster
 * @reserved: sectors before the first table
 * @table_sectors: sectors of each of the two tables
 * @root_sectors: sectors of the root directory of FAT16
 * @clusters: of the filesystem
 * @sectors: of the partition
 * @next: number of the first cluster that is free
 * @serial: number of the filesystem
 * @label: of 11 characters, with spaces
 */
struct fat {
	u32 bits;
	u32 cluster_sectors;
	u32 reserved;
	u32 table_sectors;
	u32 root_sectors;
	u32 clusters;
	u32 sectors;
	u32 next;
	u32 serial;
	char label[FAT_LABEL_BYTES];
};

int fat_choose(struct fat *fat, u64 size, u32 bits, u32 root_entries);
void fat_boot(const struct fat *fat, u8 *sectors);
void fat_partitions(const struct fat *fat, u8 *sector);
void fat_entry(const struct fat *fat, u8 *table, u32 i, u32 value);
u64 fat_guest_offset(const struct fat *fat, u32 cluster);

/* Sectors that fat_boot() fills. */
#define FAT_BOOT_SECTORS	8

static inline u64 fat_sector(u64 sector)
{
	return (FAT_PARTITION + sector) * SZ_512;
}

static inline u32 fat_cluster_bytes(const struct fat *fat)
{
	return fat->cluster_sectors * SZ_512;
}

#endif /* _QCOWCTL_VVFAT_FAT_H */
