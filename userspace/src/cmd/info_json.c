// SPDX-License-Identifier: GPL-2.0
/*
 * Images and devices described as JSON, with the keys of qemu-img info.
 */
#include <stdlib.h>

#include "cmd/info.h"
#include "cmd/info_facts.h"
#include "cmd/snapshot.h"
#include "export/exports.h"
#include "image/chain.h"
#include "image/unlock.h"
#include "lib/json.h"
#include "lib/report.h"
#include "lib/sysfs.h"
#include "lib/text.h"

static void add_number(struct json_object *to, const char *key, u64 value)
{
	json_object_object_add(to, key, json_object_new_uint64(value));
}

static void add_bool(struct json_object *to, const char *key, bool value)
{
	json_object_object_add(to, key, json_object_new_boolean(value));
}

static void add_version_3(struct json_object *data, const struct image *img)
{
	const struct qcow_header *h = &img->header;

	add_bool(data, "lazy-refcounts",
		 h->compatible & QCOW_DISK_COMPAT_LAZY_REFCOUNTS);
	add_bool(data, "corrupt", h->incompatible & QCOW_DISK_INCOMPAT_CORRUPT);
	add_bool(data, "extended-l2", h->incompatible & QCOW_DISK_INCOMPAT_EXTL2);
	add_number(data, "bitmap-count", img->nr_bitmaps);
	if (!image_has_data_file(img))
		return;
	if (img->data_name)
		json_add_text(data, "data-file", img->data_name);
	add_bool(data, "data-file-raw",
		 h->autoclear & QCOW_DISK_AUTOCLEAR_DATA_RAW);
}

static struct json_object *encryption(const struct image *img)
{
	struct json_object *encrypt = json_object_new_object();
	char *cipher = unlock_describe(img);

	json_add_text(encrypt, "format", unlock_can_tell(img) ? "luks" : "aes");
	if (cipher)
		json_add_text(encrypt, "cipher", cipher);
	free(cipher);
	return encrypt;
}

static struct json_object *format_data(const struct image *img)
{
	struct json_object *data = json_object_new_object();
	const struct qcow_header *h = &img->header;

	json_add_text(data, "compat", h->version == 2 ? "0.10" : "1.1");
	json_add_text(data, "compression-type", qcow_header_compression_name(h->compression));
	add_number(data, "refcount-bits", 1U << h->refcount_order);
	add_number(data, "snapshot-count", h->nr_snapshots);
	if (h->version > 2)
		add_version_3(data, img);
	if (h->crypt_method)
		json_object_object_add(data, "encrypt", encryption(img));
	return data;
}

static void add_backing(struct json_object *to, const struct image *img)
{
	char *path;

	if (!img->backing)
		return;
	json_add_text(to, "backing-filename", img->backing);
	path = chain_backing_path(img);
	if (path)
		json_add_text(to, "full-backing-filename", path);
	free(path);
	if (image_backing_format(img)[0])
		json_add_text(to, "backing-filename-format", image_backing_format(img));
}

/* Formats with a header and tables. */
static void add_header(struct json_object *to, const struct image *img)
{
	const struct qcow_header *h = &img->header;

	add_number(to, "cluster-size", 1ULL << h->cluster_bits);
	if (h->crypt_method)
		add_bool(to, "encrypted", true);
	add_backing(to, img);
}

static void add_specific(struct json_object *to, const struct image *img)
{
	struct json_object *specific = json_object_new_object();

	json_add_text(specific, "type", "qcow2");
	json_object_object_add(specific, "data", format_data(img));
	json_object_object_add(to, "format-specific", specific);
}

/* As of qemu-img, only if there are any. */
static void add_snapshots(struct json_object *to, const struct image *img)
{
	struct json_object *array = NULL;

	if (img->header.nr_snapshots)
		array = snapshot_json(img);
	if (array)
		json_object_object_add(to, "snapshots", array);
}

/* A format that only a parser knows. */
static void add_foreign(struct json_object *to, const struct image *img)
{
	const struct parsed *p = &img->foreign->parsed;
	struct json_object *specific;

	if (p->disk.cluster_size)
		add_number(to, "cluster-size", p->disk.cluster_size);
	if (p->disk.sector_size != SZ_512)
		add_number(to, "sector-size", p->disk.sector_size);
	add_backing(to, img);
	if (!p->nr_facts)
		return;
	specific = json_object_new_object();
	json_add_text(specific, "type", p->format->name);
	json_object_object_add(specific, "data", info_facts_json(img));
	json_object_object_add(to, "format-specific", specific);
}

/**
 * info_json_image() - describe an image
 * @img: a loaded image
 *
 * Return: an object to put.
 */
struct json_object *info_json_image(const struct image *img)
{
	struct json_object *o = json_object_new_object();
	bool tables = image_has_tables(img);

	json_add_text(o, "filename", img->file.name);
	json_add_text(o, "format", image_own_format_name(img));
	add_number(o, "virtual-size", image_disk_size(img));
	add_number(o, "actual-size", file_allocated(&img->file));
	add_number(o, "file-length", img->file.size);
	add_bool(o, "dirty-flag", img->foreign ? img->foreign->parsed.disk.dirty :
		 img->header.incompatible & QCOW_DISK_INCOMPAT_DIRTY);
	if (tables)
		add_header(o, img);
	if (img->format == QCOW_FORMAT_QCOW2) {
		add_snapshots(o, img);
		add_specific(o, img);
	}
	if (img->foreign)
		add_foreign(o, img);
	return o;
}

static void add_exports(struct json_object *o, int index)
{
	struct json_object *array = json_object_new_array();
	struct exports e;
	size_t i;

	exports_find(&e, index);
	for (i = 0; i < e.nr; i++)
		json_object_array_add(array, json_text(e.list[i].nqn));
	exports_free(&e);
	json_object_object_add(o, "exports", array);
}

static void add_parent(struct json_object *to, int index)
{
	char *parent = sysfs_parent(index), *name;

	if (parent) {
		name = xasprintf("/dev/%s", parent);
		json_add_text(to, "snapshot-of", name);
		free(name);
	}
	free(parent);
}

/**
 * info_json_device() - describe a device
 * @status: its status
 *
 * Return: an object to put.
 */
struct json_object *info_json_device(const struct qcow_ioc_status *status)
{
	struct json_object *o = json_object_new_object();
	char *snapshot = sysfs_attr(status->index, "snapshot");
	char name[32];

	snprintf(name, sizeof(name), "/dev/qcow%d", status->index);
	json_add_text(o, "name", name);
	if (snapshot && snapshot[0])
		json_add_text(o, "snapshot", snapshot);
	free(snapshot);
	add_parent(o, status->index);
	add_number(o, "size", status->bytes);
	add_bool(o, "read-only", status->flags & QCOW_ATTACH_RO);
	add_bool(o, "temporary", status->flags & QCOW_ATTACH_TEMPORARY);
	add_bool(o, "untrusted", status->flags & QCOW_ATTACH_UNTRUSTED);
	add_bool(o, "direct-io", status->state & QCOW_STATE_DIRECT);
	add_bool(o, "encrypted", status->state & QCOW_STATE_ENCRYPTED);
	add_bool(o, "corrupt", status->state & QCOW_STATE_CORRUPT);
	add_bool(o, "lazy", status->state & QCOW_STATE_LAZY);
	add_exports(o, status->index);
	add_number(o, "depth", status->depth);
	add_number(o, "openers", status->openers);
	add_number(o, "cache-size", status->cache_size);
	add_number(o, "cache-used", status->cache_used);
	add_number(o, "cache-hits", status->cache_hits);
	add_number(o, "cache-misses", status->cache_misses);
	add_number(o, "fast-requests", status->fast);
	add_number(o, "slow-requests", status->slow);
	add_number(o, "decompressed-clusters", status->decompressed);
	add_number(o, "failed-requests", status->errors);
	return o;
}
