// SPDX-License-Identifier: GPL-2.0
/*
 * Which properties of a new image go together: qemu-img has the same rules.
 */
#include "create/params.h"
#include "lib/report.h"

/* Smallest cluster with subclusters: each has 512 bytes at least. */
#define MIN_EXTENDED_CLUSTER	(1U << QCOW_DISK_MIN_EXTL2_CLUSTER_BITS)

static int refuse(const char *name, const char *wrong)
{
	report(name, "%s", wrong);
	return -1;
}

static bool is_power_of_2(u64 n)
{
	return n && !(n & (n - 1));
}

static int check_clusters(const char *name, const struct create_params *p)
{
	if (!is_power_of_2(p->cluster_size) ||
	    p->cluster_size < 1U << QCOW_DISK_MIN_CLUSTER_BITS ||
	    p->cluster_size > 1U << QCOW_DISK_MAX_CLUSTER_BITS)
		return refuse(name, "cluster_size is a power of two from 512 to 2M");
	if (p->extended_l2 && p->cluster_size < MIN_EXTENDED_CLUSTER)
		return refuse(name, "extended_l2=on needs a cluster_size of 16K or more");
	if (!is_power_of_2(p->refcount_bits) ||
	    p->refcount_bits > 1U << QCOW_DISK_MAX_REFCOUNT_ORDER)
		return refuse(name, "refcount_bits is 1, 2, 4, 8, 16, 32 or 64");
	return 0;
}

/* Version 2 has no room for these in its header. */
static int check_version(const char *name, const struct create_params *p)
{
	const char *wrong = NULL;

	if (p->version > 2)
		return 0;
	if (p->extended_l2)
		wrong = "extended_l2=on needs compat=1.1";
	else if (p->lazy_refcounts)
		wrong = "lazy_refcounts=on needs compat=1.1";
	else if (p->refcount_bits != 16)
		wrong = "refcount_bits other than 16 needs compat=1.1";
	else if (p->data_file)
		wrong = "data_file needs compat=1.1";
	else if (p->compression)
		wrong = "compression_type other than zlib needs compat=1.1";
	return wrong ? refuse(name, wrong) : 0;
}

static int check_files(const char *name, const struct create_params *p)
{
	if (p->backing_format && !p->backing)
		return refuse(name, "-F is the format of a backing file; name that with -b");
	if (p->backing && strlen(p->backing) > QCOW_DISK_MAX_BACKING_NAME)
		return refuse(name, "the name of a backing file has 1023 bytes at most; use a shorter path");
	if (p->backing && p->preallocation && !p->extended_l2)
		return refuse(name, "preallocation with a backing file needs extended_l2=on");
	if (p->data_file_raw && !p->data_file)
		return refuse(name, "data_file_raw=on needs data_file");
	if (p->data_file_raw && p->backing)
		return refuse(name, "data_file_raw=on and a backing file exclude each other");
	return 0;
}

/* Return: L1 entries that the disk needs. */
static u64 l1_entries(const struct create_params *p)
{
	u32 shift = 2 * create_cluster_bits(p) - create_entry_bits(p);

	return p->size ? ((p->size - 1) >> shift) + 1 : 0;
}

static int check_size(const char *name, struct create_params *p)
{
	if (p->size > (u64)S64_MAX - SZ_512)
		return refuse(name, "the size is too large; the largest disk has less than 8E bytes");
	p->size = ROUND_UP(p->size, SZ_512);
	if (l1_entries(p) > QCOW_DISK_MAX_L1_BYTES / sizeof(__be64))
		return refuse(name, "the size is too large for clusters of this size; use a larger cluster_size");
	return 0;
}

/**
 * create_params_check() - refuse properties that do not go together
 * @name: the new image, for messages
 * @p: the properties; the size is rounded up to whole sectors, and an external data file
 *	that is raw gets tables that map all of it
 *
 * Return: 0, or -1 after printing the error.
 */
int create_params_check(const char *name, struct create_params *p)
{
	if (check_clusters(name, p) || check_version(name, p) || check_files(name, p) ||
	    check_size(name, p))
		return -1;
	/* Readers that do not ignore the tables have to find the same disk. */
	if (p->data_file_raw && !p->preallocation)
		p->preallocation = PREALLOCATION_METADATA;
	return 0;
}
