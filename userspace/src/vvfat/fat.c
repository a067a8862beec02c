// SPDX-License-Identifier: GPL-2.0
/*
 * The filesystem FAT: its parts on the disk, and the sectors that tell of them. Numbers are
 * little-endian.
 */
#include "vvfat/fat.h"

#define FAT16_CLUSTERS_MIN	4085
#define FAT16_CLUSTERS_MAX	65524
#define FAT32_CLUSTERS_MIN	65525
#define CLUSTER_SECTORS_MAX	64

/* Such a disk has no geometry. Programs go by the number of sectors. */
#define HEADS			255
#define TRACK_SECTORS		63

#define END_OF_FILE		0x0fffffff

static void put16(u8 *p, u32 v)
{
	p[0] = v;
	p[1] = v >> 8;
}

static void put32(u8 *p, u32 v)
{
	put16(p, v);
	put16(p + 2, v >> 16);
}

/* --- The parts --- */

static u32 cluster_sectors(u64 size, u32 bits)
{
	u32 sectors = bits == 16 ? 16 : 8;

	while (sectors < CLUSTER_SECTORS_MAX &&
	       size > (bits == 16 ? (u64)sectors * SZ_512 * 32768 : (u64)sectors * SZ_1G))
		sectors *= 2;
	return sectors;
}

/*
 * The tables are large enough for clusters in all of the partition. The sectors before them
 * are so many that clusters are aligned on the disk.
 */
static void place(struct fat *fat)
{
	u32 data;

	fat->table_sectors = DIV_ROUND_UP_ULL((fat->sectors / fat->cluster_sectors + 2ULL) *
					      (fat->bits / 8), SZ_512);
	data = fat->reserved + 2 * fat->table_sectors + fat->root_sectors;
	fat->reserved += ROUND_UP(data, fat->cluster_sectors) - data;
	data = fat->reserved + 2 * fat->table_sectors + fat->root_sectors;
	fat->clusters = (fat->sectors - data) / fat->cluster_sectors;
}

/**
 * fat_choose() - choose the parts of a filesystem
 * @fat: the result
 * @size: bytes of the disk, a multiple of 1 MiB
 * @bits: 16 or 32
 * @root_entries: entries that the root directory needs
 *
 * Return: 0, or -1 if there is no such filesystem.
 */
int fat_choose(struct fat *fat, u64 size, u32 bits, u32 root_entries)
{
	u64 sectors = size / SZ_512;

	if (sectors > UINT32_MAX || sectors <= 2 * FAT_PARTITION)
		return -1;
	if (bits == 16 && root_entries > FAT_ROOT_ENTRIES)
		return -1;
	fat->bits = bits;
	fat->cluster_sectors = cluster_sectors(size, bits);
	fat->reserved = bits == 16 ? 1 : 32;
	fat->root_sectors = bits == 16 ? FAT_ROOT_ENTRIES * FAT_ENTRY_BYTES / SZ_512 : 0;
	fat->sectors = sectors - FAT_PARTITION;
	fat->next = 2;
	place(fat);
	if (bits == 16)
		return fat->clusters >= FAT16_CLUSTERS_MIN &&
		       fat->clusters <= FAT16_CLUSTERS_MAX ? 0 : -1;
	return fat->clusters >= FAT32_CLUSTERS_MIN ? 0 : -1;
}

/**
 * fat_guest_offset() - find a cluster on the disk
 * @fat: the filesystem
 * @cluster: its number
 *
 * Return: its guest offset.
 */
u64 fat_guest_offset(const struct fat *fat, u32 cluster)
{
	u64 data = fat->reserved + 2ULL * fat->table_sectors + fat->root_sectors;

	return fat_sector(data + (cluster - 2ULL) * fat->cluster_sectors);
}

/**
 * fat_entry() - set an entry of the table
 * @fat: the filesystem
 * @table: its first bytes
 * @i: number of the entry in them
 * @value: number of the next cluster; 0: the file ends here
 */
void fat_entry(const struct fat *fat, u8 *table, u32 i, u32 value)
{
	if (!value)
		value = END_OF_FILE;
	if (fat->bits == 16)
		put16(table + 2 * (size_t)i, value);
	else
		put32(table + 4 * (size_t)i, value);
}

/* --- Sectors --- */

static void end_sector(u8 *sector)
{
	put16(sector + 510, 0xaa55);
}

/* The fields that follow those of the version, by their place. */
static void put_names(const struct fat *fat, u8 *p)
{
	p[0] = 0x80;
	p[2] = 0x29;
	put32(p + 3, fat->serial);
	memcpy(p + 7, fat->label, FAT_LABEL_BYTES);
	memcpy(p + 18, fat->bits == 16 ? "FAT16   " : "FAT32   ", 8);
}

static void boot_sector(const struct fat *fat, u8 *b)
{
	memcpy(b, fat->bits == 16 ? "\xeb\x3c\x90" : "\xeb\x58\x90", 3);
	memcpy(b + 3, "MSWIN4.1", 8);
	put16(b + 11, SZ_512);
	b[13] = fat->cluster_sectors;
	put16(b + 14, fat->reserved);
	b[16] = 2;
	b[21] = 0xf8;
	put16(b + 24, TRACK_SECTORS);
	put16(b + 26, HEADS);
	put32(b + 28, FAT_PARTITION);
	put32(b + 32, fat->sectors);
	end_sector(b);
	if (fat->bits == 16) {
		put16(b + 17, FAT_ROOT_ENTRIES);
		put16(b + 22, fat->table_sectors);
		put_names(fat, b + 36);
		return;
	}
	put32(b + 36, fat->table_sectors);
	put32(b + 44, 2);
	put16(b + 48, 1);
	put16(b + 50, 6);
	put_names(fat, b + 64);
}

/* The number of free clusters, and where to look for one */
static void info_sector(const struct fat *fat, u8 *b)
{
	put32(b, 0x41615252);
	put32(b + 484, 0x61417272);
	put32(b + 488, fat->clusters - (fat->next - 2));
	put32(b + 492, fat->next);
	end_sector(b);
}

/**
 * fat_boot() - make the first sectors of the partition
 * @fat: the filesystem, when all clusters are in use that will be
 * @sectors: for them, zeros
 */
void fat_boot(const struct fat *fat, u8 *sectors)
{
	u32 copy;

	boot_sector(fat, sectors);
	for (copy = 0; fat->bits == 32 && copy < 2; copy++) {
		boot_sector(fat, sectors + 6 * copy * SZ_512);
		info_sector(fat, sectors + (6 * copy + 1) * SZ_512);
	}
}

static void put_chs(u8 *p, u32 sector)
{
	u32 cylinder = sector / (HEADS * TRACK_SECTORS);

	if (cylinder > 1023) {
		memcpy(p, "\xfe\xff\xff", 3);
		return;
	}
	p[0] = sector / TRACK_SECTORS % HEADS;
	p[1] = (sector % TRACK_SECTORS + 1) | (cylinder >> 2 & 0xc0);
	p[2] = cylinder;
}

/**
 * fat_partitions() - make the table of partitions
 * @fat: the filesystem of the only one
 * @sector: for it, zeros
 */
void fat_partitions(const struct fat *fat, u8 *sector)
{
	u8 *p = sector + 446;

	put32(sector + 440, fat->serial);
	put_chs(p + 1, FAT_PARTITION);
	p[4] = fat->bits == 16 ? 0x0e : 0x0c;
	put_chs(p + 5, FAT_PARTITION + fat->sectors - 1);
	put32(p + 8, FAT_PARTITION);
	put32(p + 12, fat->sectors);
	end_sector(sector);
}
