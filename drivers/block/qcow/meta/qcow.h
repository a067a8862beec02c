/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Core structures: an image, a chain of images, and what a device counts.
 *
 * Lock order, outermost first; a step may be left out:
 *
 *	qcow_devices_lock (device.c)
 *	qcow_device.change_mutex
 *	  disk->open_mutex (block layer)
 *	  the frozen queue (block layer)
 *	claims_lock (claim.c)
 *	qcow_bitmaps.lock (bitmap.h)
 *	qcow_reclaim.lock, under which I/O is waited for
 *	qcow_commits.lock
 *	  qcow_alloc.store_lock
 *	clusters of the disk (qcow_inflight_lock())
 *	  qcow_l1_state.lock
 *	    qcow_alloc.store_lock
 *	      qcow_alloc.lock
 *	        qcow_cache.lock
 *	qcow_image.sync_lock (raw images)
 *	qcow_inflight.drain_lock, under which I/O is waited for
 *	qcow_inflight.lock
 *	all_caches_lock (cache.c), in the shrinker only by trylock
 *	  lock of qcow_cache.lru
 *	    xa_lock of qcow_cache.slices
 *	qcow_comp.lock (comp.c)
 *
 * Reads and writes in place hold no lock while guest data is transferred, or an
 * L2 table is read, for them. Documentation/locking.rst gives the reasons.
 */
#ifndef _QCOW_QCOW_H
#define _QCOW_QCOW_H

#include <linux/mutex.h>
#include <linux/printk.h>

#include "file/file.h"
#include "ondisk/entry.h"

struct qcow_alloc;
struct qcow_bitmap;
struct qcow_bitmaps;
struct qcow_cache;
struct qcow_comp;
struct qcow_crypt;
struct qcow_crypt_key;

/**
 * struct qcow_extent - where a piece of a disk lies; a value
 * @type: what it is
 * @copied: nobody else refers to its cluster, it may be written in place
 * @mapped: it has a cluster, at @host; also holes and zeros may have one
 * @csize: compressed: bytes stored
 * @len: bytes of the disk; compressed: to the end of the cluster at most
 * @host: data, or mapped: bytes into @file; compressed: of the stored data
 * @file: data: where
 * @image: the image of the chain that decided
 */
struct qcow_extent {
	enum qcow_extent_type type;
	bool copied;
	bool mapped;
	u32 csize;
	u64 len;
	u64 host;
	struct qcow_file *file;
	struct qcow_image *image;
};

/**
 * struct qcow_stats - what is counted, per CPU
 * @hits: look-ups of metadata served from memory
 * @misses: look-ups that read it
 * @fast: requests done without a worker
 * @slow: requests done by a worker
 * @decompressed: clusters decompressed
 * @errors: requests that failed
 */
struct qcow_stats {
	u64 hits;
	u64 misses;
	u64 fast;
	u64 slow;
	u64 decompressed;
	u64 errors;
};

/**
 * struct qcow_params - what all images of a chain have in common
 * @device: the name for messages, such as qcow0
 * @comp_wq: where clusters are decompressed, and data decrypted
 * @commit_wq: where metadata is written; if writable
 * @stats: counted here
 * @cache_bytes: of metadata to keep for each image
 * @direct: whether to bypass the page cache
 * @untrusted: no backing and no data file
 * @salvage: images are damaged: what is missing fails, the rest reads
 * @snapshot: the top image: id or name of the snapshot to show; or NULL
 * @key: to the image's data; or NULL
 * @crypt: of the same image, which is open already, in place of @key; or NULL
 * @replaces: the same image, which is open already and is closed when this one is
 *	used; or NULL
 * @ending: QCOW_ENDING_* of the device; NULL: nothing is ended early
 * @writable: the top image is written
 */
struct qcow_params {
	const char *device;
	struct workqueue_struct *comp_wq;
	struct workqueue_struct *commit_wq;
	struct qcow_stats __percpu *stats;
	u64 cache_bytes;
	enum qcow_direct direct;
	bool untrusted;
	bool salvage;
	const char *snapshot;
	const struct qcow_crypt_key *key;
	struct qcow_crypt *crypt;
	const struct qcow_image *replaces;
	const unsigned long *ending;
	bool writable;
};

/**
 * struct qcow_format_ops - one image format
 * @name: as qemu-img spells it
 * @open: read and validate what is needed before any mapping. May sleep
 * @start: the image is about to be used; first changes to it, if it is written.
 *	May be NULL
 * @finish: make all that was written durable, as nothing is written any more. Called
 *	once, also after @open failed. May be NULL. Return: 0, or why not all of it is
 * @close: undo @open, also after it failed. May be NULL
 * @map: qcow_image_map() without the chain: holes stay holes
 */
struct qcow_format_ops {
	const char *name;
	int (*open)(struct qcow_image *img, const struct qcow_params *params,
		    struct qcow_msg *msg);
	int (*start)(struct qcow_image *img, struct qcow_msg *msg);
	int (*finish)(struct qcow_image *img);
	void (*close)(struct qcow_image *img);
	int (*map)(struct qcow_image *img, u64 pos, u64 len, bool nowait,
		   struct qcow_extent *ext);
};

extern const struct qcow_format_ops qcow_fmt_raw;
extern const struct qcow_format_ops qcow_fmt_v1;
extern const struct qcow_format_ops qcow_fmt_v2;

/**
 * struct qcow_image - an opened image
 * @ops: its format
 * @backing: the next image of the chain, owned, or NULL
 * @wants_backing: its header names a backing file
 * @size: bytes of its disk
 * @seen: bytes of its disk that the image above reads; less than @size while the disk
 *	gets larger
 * @sync_lock: raw: one sync at a time, for the file tells of a failed one once
 * @filled: bytes from the start of the disk that come from no backing file
 * @file: the image file
 * @data_file: the external data file, if any
 * @data: where guest data lies: @file or @data_file
 * @data_raw: @data_file has to read like the disk
 * @stats: of the device
 * @flags: QCOW_IMAGE_*
 * @ending: QCOW_ENDING_* of the device, which is told to all images of the chain; or
 *	NULL
 * @label: device and file name for messages
 * @crypt: how its data is encrypted; or NULL
 * @crypt_wq: where it is decrypted
 * @layout: qcow, qcow2: of the tables
 * @l1: qcow, qcow2: the active L1 table in the CPU's byte order
 * @l1_size: qcow, qcow2: entries in @l1
 * @slice_entries: qcow, qcow2: L2 entries in a slice of @cache
 * @cache: qcow, qcow2: L2 slices
 * @comp: qcow, qcow2: compressed clusters
 * @alloc: qcow, qcow2: its clusters, if it is written
 * @bitmaps: qcow2, version 3: its bitmaps, if it is written
 * @tracking: the first of those that writes mark, or NULL
 * @todo: what is still to be written to the backing file: marked by writes as
 *	bitmaps are, but in memory only; or NULL
 */
struct qcow_image {
	const struct qcow_format_ops *ops;
	struct qcow_image *backing;
	bool wants_backing;
	u64 size;
	u64 seen;
	/* Held while a raw image is synced. */
	struct mutex sync_lock;
	u64 filled;
	struct qcow_file file;
	struct qcow_file data_file;
	struct qcow_file *data;
	bool data_raw;
	struct qcow_stats __percpu *stats;
	unsigned long flags;
	const unsigned long *ending;
	char label[80];
	struct qcow_crypt *crypt;
	struct workqueue_struct *crypt_wq;

	struct qcow_layout layout;
	u64 *l1;
	u32 l1_size;
	u32 slice_entries;
	struct qcow_cache *cache;
	struct qcow_comp *comp;
	struct qcow_alloc *alloc;
	struct qcow_bitmaps *bitmaps;
	struct qcow_bitmap *tracking;
	struct qcow_bitmap *todo;
};

/* Bits of qcow_image.flags. */
#define QCOW_IMAGE_CORRUPT	0 /* damage was met, and reported */
#define QCOW_IMAGE_STOPPED	1 /* it is written, and its structure damaged */
#define QCOW_IMAGE_FINISHED	2 /* all that was written is durable, or cannot be */
#define QCOW_IMAGE_UNSYNCED	3 /* raw: a sync failed, and flushes do from then on */
#define QCOW_IMAGE_LEAKED	4 /* clusters of a deleted table were not given back */

/* Bits of what qcow_image.ending points to. */
#define QCOW_ENDING_INTERRUPTED	0 /* the caller of a change wants it to end */
#define QCOW_ENDING_LEAVING	1 /* the device is being detached */

#define qcow_img_err_ratelimited(img, fmt, ...) \
	pr_err_ratelimited("%s: " fmt, (img)->label, ##__VA_ARGS__)

/* Whether all I/O is to fail, lest damage spreads. */
static inline bool qcow_image_stopped(const struct qcow_image *img)
{
	return unlikely(test_bit(QCOW_IMAGE_STOPPED, &img->flags));
}

int qcow_image_interrupted(const struct qcow_image *img);
bool qcow_image_overdue(const struct qcow_image *img, unsigned long begun);
void qcow_image_unreadable(struct qcow_image *img, u64 pos, const char *what);
void qcow_image_damaged(struct qcow_image *img, u64 pos, const char *what);

#endif /* _QCOW_QCOW_H */
