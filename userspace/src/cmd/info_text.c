// SPDX-License-Identifier: GPL-2.0
/*
 * Images and devices described as text, much as qemu-img info does.
 */
#include <stdlib.h>

#include "cmd/info.h"
#include "cmd/info_facts.h"
#include "export/exports.h"
#include "image/chain.h"
#include "image/unlock.h"
#include "lib/report.h"
#include "lib/sysfs.h"
#include "lib/text.h"

static const char *yes_no(bool b)
{
	return b ? "yes" : "no";
}

static const char *true_false(bool b)
{
	return b ? "true" : "false";
}

static void print_name(const char *label, const char *name)
{
	char *shown = text_escape(name);

	printf("%s: %s\n", label, shown);
	free(shown);
}

static void print_size(const char *label, u64 bytes)
{
	char size[32];

	text_size_long(size, sizeof(size), bytes);
	printf("%s: %s\n", label, size);
}

static void print_size_exact(const char *label, u64 bytes)
{
	char size[32];

	text_size_long(size, sizeof(size), bytes);
	printf("%s: %s (%llu bytes)\n", label, size, (unsigned long long)bytes);
}

static void print_backing(const struct image *img)
{
	char *shown, *path, *shown_path;

	if (!img->backing)
		return;
	shown = text_escape(img->backing);
	path = chain_backing_path(img);
	shown_path = text_escape(path ? path : "cannot be followed");
	if (!path || strcmp(path, img->backing))
		printf("backing file: %s (actual path: %s)\n", shown, shown_path);
	else
		printf("backing file: %s\n", shown);
	if (image_backing_format(img)[0])
		print_name("backing file format", image_backing_format(img));
	free(shown);
	free(path);
	free(shown_path);
}

static void print_version_3(const struct image *img)
{
	const struct qcow_header *h = &img->header;

	printf("    lazy refcounts: %s\n",
	       true_false(h->compatible & QCOW_DISK_COMPAT_LAZY_REFCOUNTS));
	printf("    refcount bits: %u\n", 1U << h->refcount_order);
	if (image_has_data_file(img)) {
		print_name("    data file", img->data_name ? img->data_name : "(not named)");
		printf("    data file raw: %s\n",
		       true_false(h->autoclear & QCOW_DISK_AUTOCLEAR_DATA_RAW));
	}
	printf("    corrupt: %s\n",
	       true_false(h->incompatible & QCOW_DISK_INCOMPAT_CORRUPT));
	printf("    extended l2: %s\n",
	       true_false(h->incompatible & QCOW_DISK_INCOMPAT_EXTL2));
	printf("    bitmaps: %u\n", img->nr_bitmaps);
}

static void print_encryption(const struct image *img)
{
	char *cipher = unlock_describe(img);

	printf("    encrypt format: %s\n", unlock_can_tell(img) ? "luks" : "aes");
	printf("    encrypt cipher: %s\n", cipher ? cipher : "(LUKS header is damaged)");
	free(cipher);
}

static void print_qcow2(const struct image *img)
{
	const struct qcow_header *h = &img->header;

	if (h->incompatible & QCOW_DISK_INCOMPAT_DIRTY)
		puts("cleanly shut down: no");
	printf("encrypted: %s\n", yes_no(h->crypt_method));
	printf("cluster_size: %llu\n", 1ULL << h->cluster_bits);
	print_backing(img);
	printf("snapshots: %u\n", h->nr_snapshots);
	puts("Format specific information:");
	printf("    compat: %s\n", h->version == 2 ? "0.10" : "1.1");
	printf("    compression type: %s\n", qcow_header_compression_name(h->compression));
	if (h->crypt_method)
		print_encryption(img);
	if (h->version == 2)
		printf("    refcount bits: %u\n", 1U << h->refcount_order);
	else
		print_version_3(img);
}

static void print_qcow(const struct image *img)
{
	const struct qcow_header *h = &img->header;

	printf("encrypted: %s\n", yes_no(h->crypt_method));
	printf("cluster_size: %llu\n", 1ULL << h->cluster_bits);
	print_backing(img);
}

static void print_foreign(const struct image *img)
{
	const struct parsed *p = &img->foreign->parsed;

	if (p->disk.dirty)
		puts("cleanly shut down: no");
	if (p->disk.sector_size != SZ_512)
		printf("sector size: %u\n", p->disk.sector_size);
	if (p->disk.cluster_size)
		printf("cluster_size: %u\n", p->disk.cluster_size);
	print_backing(img);
	if (p->nr_facts)
		info_facts_print(img);
}

/**
 * info_print_image() - describe an image
 * @img: a loaded image
 */
void info_print_image(const struct image *img)
{
	bool tables = image_has_tables(img);

	print_name("image", img->file.name);
	printf("file format: %s\n", image_own_format_name(img));
	print_size_exact("virtual size", image_disk_size(img));
	print_size_exact("file length", img->file.size);
	print_size("disk size", file_allocated(&img->file));
	if (img->format == QCOW_FORMAT_QCOW2)
		print_qcow2(img);
	else if (tables)
		print_qcow(img);
	else if (img->foreign)
		print_foreign(img);
}

static void print_count(const char *label, u64 n)
{
	printf("    %s: %llu\n", label, (unsigned long long)n);
}

static void print_exports(int index)
{
	struct exports e;
	size_t i;

	exports_find(&e, index);
	for (i = 0; i < e.nr; i++)
		print_name("    exported as", e.list[i].nqn);
	exports_free(&e);
}

/**
 * info_print_device() - describe a device
 * @status: its status
 */
void info_print_device(const struct qcow_ioc_status *status)
{
	char *snapshot = sysfs_attr(status->index, "snapshot");
	char *parent = sysfs_parent(status->index);
	u64 sector;

	printf("Device /dev/qcow%d:\n", status->index);
	if (snapshot && snapshot[0])
		printf("    snapshot: %s\n", snapshot);
	free(snapshot);
	if (parent)
		printf("    snapshot of: /dev/%s\n", parent);
	free(parent);
	print_count("size", status->bytes);
	if (sysfs_read_u64(&sector, "/sys/block/qcow%d/queue/logical_block_size",
			   status->index))
		print_count("sector size", sector);
	printf("    read only: %s\n", true_false(status->flags & QCOW_ATTACH_RO));
	printf("    temporary: %s\n", true_false(status->flags & QCOW_ATTACH_TEMPORARY));
	printf("    untrusted: %s\n", true_false(status->flags & QCOW_ATTACH_UNTRUSTED));
	printf("    direct io: %s\n", true_false(status->state & QCOW_STATE_DIRECT));
	printf("    encrypted: %s\n", true_false(status->state & QCOW_STATE_ENCRYPTED));
	printf("    corrupt: %s\n", true_false(status->state & QCOW_STATE_CORRUPT));
	printf("    detach at last close: %s\n",
	       true_false(status->state & QCOW_STATE_LAZY));
	print_exports(status->index);
	print_count("depth", status->depth);
	print_count("openers", status->openers);
	print_count("cache size", status->cache_size);
	print_count("cache used", status->cache_used);
	print_count("cache hits", status->cache_hits);
	print_count("cache misses", status->cache_misses);
	print_count("fast requests", status->fast);
	print_count("slow requests", status->slow);
	print_count("decompressed clusters", status->decompressed);
	print_count("failed requests", status->errors);
}
