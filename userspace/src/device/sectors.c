// SPDX-License-Identifier: GPL-2.0
/*
 * The size of a device's logical sectors. A partition table counts in sectors of the
 * disk that it was made on, and the kernel sees nothing of it with others.
 * The command attach calls this.
 */
#define _GNU_SOURCE
#include <endian.h>
#include <fcntl.h>
#include <linux/qcow.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "device/sectors.h"
#include "device/still.h"
#include "lib/report.h"
#include "lib/sysfs.h"
#include "lib/text.h"

/**
 * struct gpt_header - the beginning of a GPT's header, at sector 1
 * @signature: "EFI PART"
 * @revision: little-endian, as all numbers
 * @header_size: bytes
 * @crc: of the header
 * @reserved: 0
 * @my_lba: the sector of this header: 1
 */
struct gpt_header {
	char signature[8];
	__le32 revision;
	__le32 header_size;
	__le32 crc;
	__le32 reserved;
	__le64 my_lba;
};

/**
 * sectors_parse() - a sector size that the user gave
 * @size: the result, in bytes
 * @arg: the text
 *
 * Return: 0, or -1: it is none.
 */
int sectors_parse(u32 *size, const char *arg)
{
	u64 bytes;

	if (text_parse_size(arg, &bytes) || bytes < QCOW_SECTOR_SIZE_MIN ||
	    bytes > QCOW_SECTOR_SIZE_MAX || bytes & (bytes - 1))
		return -1;
	*size = bytes;
	return 0;
}

/* Whether there is the header of a GPT for sectors of @size bytes. */
static bool has_gpt(int fd, u32 size)
{
	struct gpt_header h;

	return pread(fd, &h, sizeof(h), size) == sizeof(h) &&
	       !memcmp(h.signature, "EFI PART", sizeof(h.signature)) &&
	       le64toh(h.my_lba) == 1;
}

/* Return: the sector size that a device's GPT is for, if it is not @now; or 0. */
static u32 find_other_gpt(int fd, u32 now)
{
	u32 size;

	if (has_gpt(fd, now))
		return 0;
	for (size = QCOW_SECTOR_SIZE_MIN; size <= QCOW_SECTOR_SIZE_MAX; size *= 2)
		if (size != now && has_gpt(fd, size))
			return size;
	return 0;
}

/**
 * sectors_note_table() - tell of a partition table that is for other sectors
 * @d: the device, which has its node
 * @image: how the user named its image
 *
 * If the kernel has found partitions nothing is missing. Nothing is said of another
 * device that has the number by now.
 */
void sectors_note_table(const struct device *d, const char *image)
{
	struct sysfs_node nodes[SYSFS_MAX_NODES];
	u32 other = 0;
	char path[32];
	u64 now;
	int fd;

	if (sysfs_nodes(d->index, nodes) != 1 ||
	    !sysfs_read_u64(&now, "/sys/block/qcow%d/queue/logical_block_size", d->index))
		return;
	snprintf(path, sizeof(path), "/dev/qcow%d", d->index);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (still_opened(fd, d))
		other = find_other_gpt(fd, now);
	close(fd);
	if (other)
		report(image, "has a partition table for sectors of %u bytes, so /dev/qcow%d shows no partitions; detach it, then attach it with --sector-size %u",
		       other, d->index, other);
}
