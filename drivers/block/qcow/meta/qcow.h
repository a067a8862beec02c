/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Core structures: an image, its mapping and its format. All of meta/ and the floors
 * above include it.
 *
 * Lock order, outermost first; a step may be left out:
 *
 *	qcow_device.job_mutex
 *	  qcow_devices_lock (device_list.c)
 *	  disk->open_mutex (block layer)
 *	  the frozen queue (block layer)
 *	queues_lock (queues.c)
 *	claims_lock (claim.c)
 *	qcow_bitmaps.lock (bitmap.h)
 *	qcow_reclaim.lock, under which I/O is waited for
 *	qcow_flush_state.lock
 *	  qcow_alloc.store_lock
 *	guest clusters (qcow_inflight_lock())
 *	  qcow_l1_state.lock
 *	    qcow_alloc.store_lock
 *	      qcow_alloc.lock
 *	        qcow_cache.lock
 *	        qcow_register.lock
 *	qcow_image.sync_lock (raw images)
 *	qcow_inflight.drain_lock, under which I/O is waited for
 *	qcow_inflight_part.lock
 *	all_caches_lock (cache.c), in the shrinker only by trylock
 *	  lock of qcow_cache.lru
 *	    xa_lock of qcow_cache.slices
 *	qcow_cow_mems.lock (cow_mem.c), not while a queue is frozen
 *	all_comps_lock (comp.c)
 *	  qcow_comp.lock
 *	children_lock (child.c)
 *
 * Reads and writes in place hold no lock while guest data is transferred, or an
 * L2 table is read, for them. Documentation/locking.rst gives the reasons.
 */
#ifndef _QCOW_QCOW_H
#define _QCOW_QCOW_H

#include <linux/mutex.h>
#include <linux/printk.h>

#include "file/file.h"
#include "file/stats.h"
#include "meta/event.h"
#include "ondisk/entry.h"

struct qcow_alloc;
struct qcow_bitmap;
struct qcow_bitmaps;
struct qcow_cache;
struct qcow_codec;
struct qcow_comp;
struct qcow_crypt;
struct qcow_crypt_key;
struct qcow_map_table;

/**
 * struct qcow_extent - the mapping of a piece of a disk; a value
 * @type: its content
 * @copied: its cluster is not shared, it may be written in place
 * @mapped: it has a cluster, at @host_offset; holes and zeros may have one, too
 * @len: bytes of the disk; compressed: to the end of the cluster at most
 * @host_offset: data, or mapped: host offset; compressed: host offset of the stored data
 * @file: data, compressed: the file of @host_offset
 * @image: the image of the chain that has it
 * @codec: compressed: its codec
 * @csize: compressed: bytes stored, an upper bound
 * @cluster_bytes: compressed: bytes of the whole cluster
 * @in_cluster: compressed: bytes into the cluster
 */
struct qcow_extent {
	enum qcow_extent_type type;
	bool copied;
	bool mapped;
	u64 len;
	u64 host_offset;
	struct qcow_file *file;
	struct qcow_image *image;
	const struct qcow_codec *codec;
	u32 csize;
	u32 cluster_bytes;
	u32 in_cluster;
};

/**
 * struct qcow_params - parameters for opening the images of a chain
 * @device: the device's name for messages, such as qcow0
 * @ctx: resources that I/O of the images uses
 * @comp_wq: queue of decompression and decryption
 * @flush_wq: queue of flushes; if writable
 * @stats: counters of the device
 * @cache_bytes: most bytes of metadata to keep for each image
 * @direct: whether to use direct I/O
 * @untrusted: backing and data files are refused
 * @salvage: images are damaged: reads of missing parts fail, others work
 * @snapshot: id or name of a snapshot to show; or NULL
 * @snapshot_of: number in the chain of the image that @snapshot is of
 * @temporary: the top image is thrown away, and need not be durable
 * @key: key to the image's data; or NULL
 * @crypt: encryption of the same image, if it is open already, in place of @key; or
 *	NULL
 * @same: the same image, if it is open already: this one replaces it, or shows a snapshot
 *	of it beside it; or NULL
 * @ending: QCOW_ENDING_* of the device; NULL: no job is ended early
 * @events: events of the device; NULL: nobody is told of any
 * @progress: of the device's job; NULL: nobody looks at it
 * @writable: the top image is written
 */
struct qcow_params {
	const char *device;
	const struct qcow_io_ctx *ctx;
	struct workqueue_struct *comp_wq;
	struct workqueue_struct *flush_wq;
	struct qcow_stats __percpu *stats;
	u64 cache_bytes;
	enum qcow_direct direct;
	bool untrusted;
	bool salvage;
	const char *snapshot;
	u32 snapshot_of;
	bool temporary;
	const struct qcow_crypt_key *key;
	struct qcow_crypt *crypt;
	const struct qcow_image *same;
	const unsigned long *ending;
	struct qcow_events *events;
	struct qcow_progress *progress;
	bool writable;
};

/**
 * struct qcow_format_ops - one image format
 * @name: its name in qemu-img
 * @open: read and validate all that mapping needs. May sleep
 * @start: called before the image is used; makes its first changes, if it is written.
 *	May be NULL
 * @finish: flush for the last time, when nothing is written any more. Called once, also
 *	after @open failed. May be NULL. Return: 0, or the error by which some data is
 *	not durable
 * @close: undo @open, also after it failed. May be NULL
 * @map: qcow_image_map() without the chain: holes stay holes
 * @mark_corrupt: the structure of an image that is written was found damaged: have the
 *	file say so, later. In any context. NULL: the format has no such mark
 */
struct qcow_format_ops {
	const char *name;
	int (*open)(struct qcow_image *img, const struct qcow_params *params,
		    struct qcow_msg *msg);
	int (*start)(struct qcow_image *img, struct qcow_msg *msg);
	int (*finish)(struct qcow_image *img);
	void (*close)(struct qcow_image *img);
	int (*map)(struct qcow_image *img, u64 guest_offset, u64 len, unsigned int flags,
		   struct qcow_extent *ext);
	void (*mark_corrupt)(struct qcow_image *img);
};

extern const struct qcow_format_ops qcow_fmt_raw;
extern const struct qcow_format_ops qcow_fmt_v1;
extern const struct qcow_format_ops qcow_fmt_v2;
extern const struct qcow_format_ops qcow_fmt_map;

/**
 * struct qcow_image - an opened image
 * @ops: its format
 * @backing: the next image of the chain, owned, or NULL
 * @wants_backing: its header names a backing file
 * @size: bytes of its disk
 * @sector_size: map: bytes of a sector that the device should have; 0: any
 * @seen: bytes of its disk that the image above reads; less than @size while the disk
 *	grows
 * @sync_lock: raw: one sync at a time, for the file reports a failure to one only
 * @filled: bytes from the start of the disk that come from no backing file
 * @file: the image file
 * @data_file: the external data file, if any
 * @table: map: the file of its table
 * @files: map: further files that have its data
 * @nr_files: map: entries of @files
 * @data: the file of guest data: @file or @data_file
 * @data_raw: @data_file has to read like the disk
 * @ctx: resources of the device that I/O of the image uses
 * @stats: counters of the device
 * @flags: QCOW_IMAGE_*
 * @ending: QCOW_ENDING_* of the device, for all images of the chain; or NULL
 * @events: events of the device, for all images of the chain; or NULL
 * @progress: of the device's job, for all images of the chain; or NULL
 * @label: device and file name for messages
 * @crypt: encryption of its data; or NULL
 * @crypt_wq: queue of decryption
 * @layout: qcow, qcow2: layout of the tables
 * @l1: qcow, qcow2: the active L1 table in the CPU's byte order
 * @l1_size: qcow, qcow2: entries in @l1
 * @snapshot_l1: qcow2: host offset of the L1 table of the snapshot that it shows; or 0
 * @slice_entries: qcow, qcow2: L2 entries in a slice of @cache
 * @cache: qcow, qcow2: L2 slices; map: pages of the table
 * @codec: qcow, qcow2: codec of compressed clusters
 * @comp: qcow, qcow2, map: compressed clusters
 * @map_table: map: the table
 * @alloc: qcow, qcow2: state of the image, if it is written
 * @bitmaps: qcow2, version 3: its bitmaps, if it is written
 * @tracking: the first bitmap that writes mark, or NULL
 * @todo: bitmap of pieces that a commit has to copy, in memory only; or NULL
 */
struct qcow_image {
	const struct qcow_format_ops *ops;
	struct qcow_image *backing;
	bool wants_backing;
	u64 size;
	u32 sector_size;
	u64 seen;
	/* Held while a raw image is synced. */
	struct mutex sync_lock;
	u64 filled;
	struct qcow_file file;
	struct qcow_file data_file;
	struct qcow_file table;
	struct qcow_file *files;
	u32 nr_files;
	struct qcow_file *data;
	bool data_raw;
	const struct qcow_io_ctx *ctx;
	struct qcow_stats __percpu *stats;
	unsigned long flags;
	const unsigned long *ending;
	struct qcow_events *events;
	struct qcow_progress *progress;
	char label[80];
	struct qcow_crypt *crypt;
	struct workqueue_struct *crypt_wq;

	struct qcow_layout layout;
	u64 *l1;
	u32 l1_size;
	u64 snapshot_l1;
	u32 slice_entries;
	struct qcow_cache *cache;
	const struct qcow_codec *codec;
	struct qcow_comp *comp;
	struct qcow_map_table *map_table;
	struct qcow_alloc *alloc;
	struct qcow_bitmaps *bitmaps;
	struct qcow_bitmap *tracking;
	struct qcow_bitmap *todo;
};

/* Bits of qcow_image.flags. */
#define QCOW_IMAGE_CORRUPT	0 /* damage was met, and reported */
#define QCOW_IMAGE_STOPPED	1 /* it is written, and its structure damaged */
#define QCOW_IMAGE_FINISHED	2 /* it was flushed for the last time */
#define QCOW_IMAGE_UNSYNCED	3 /* raw: a sync failed, and all flushes fail from then on */
#define QCOW_IMAGE_LEAKED	4 /* clusters of a deleted table were leaked */
#define QCOW_IMAGE_SHARED	5 /* other devices go on to read its file */

/* Bits of *qcow_image.ending. */
#define QCOW_ENDING_INTERRUPTED	0 /* the caller of a job wants it to end */
#define QCOW_ENDING_LEAVING	1 /* the device is being detached */

#define qcow_img_err_ratelimited(img, fmt, ...) \
	pr_err_ratelimited("%s: " fmt, (img)->label, ##__VA_ARGS__)

/* Return: true if all I/O has to fail, lest damage spreads. */
static inline bool qcow_image_stopped(const struct qcow_image *img)
{
	return unlikely(test_bit(QCOW_IMAGE_STOPPED, &img->flags));
}

/**
 * struct qcow_progress - how far a job or a detach is
 * @done: bytes of the disk that it is through with, in all of its passes; of a detach
 *	bytes of clusters that it has given back
 * @total: bytes in all of its passes; 0: it does not say
 *
 * Any task may read them. They stay after the job, until the next one begins.
 */
struct qcow_progress {
	atomic64_t done;
	atomic64_t total;
};

/* Nothing is said yet. */
static inline void qcow_progress_reset(struct qcow_progress *p)
{
	atomic64_set(&p->done, 0);
	atomic64_set(&p->total, 0);
}

/**
 * qcow_image_expect() - say how much a job has to do
 * @img: any image of the device
 * @bytes: as in &struct qcow_progress.total
 *
 * Context: any.
 */
static inline void qcow_image_expect(const struct qcow_image *img, u64 bytes)
{
	if (!img->progress)
		return;
	atomic64_set(&img->progress->done, 0);
	atomic64_set(&img->progress->total, bytes);
}

/**
 * qcow_image_advance() - say that a job has done some
 * @img: any image of the device
 * @bytes: bytes that it has done since the last call
 *
 * Context: any.
 */
static inline void qcow_image_advance(const struct qcow_image *img, u64 bytes)
{
	if (img->progress)
		atomic64_add(bytes, &img->progress->done);
}

/*
 * Return: the image file; of a map the file with a number in its table; NULL: there is none.
 */
static inline struct qcow_file *qcow_image_file(struct qcow_image *img, u32 number)
{
	if (!number)
		return &img->file;
	return number <= img->nr_files ? &img->files[number - 1] : NULL;
}

/* Return: number of one of the files that qcow_image_file() gives; 0 for other files. */
static inline u32 qcow_image_file_number(const struct qcow_image *img,
					 const struct qcow_file *f)
{
	return f >= img->files && f < img->files + img->nr_files ? f - img->files + 1 : 0;
}

int qcow_image_interrupted(const struct qcow_image *img);
bool qcow_image_overdue(const struct qcow_image *img, unsigned long begun);
void qcow_image_unreadable(struct qcow_image *img, u64 guest_offset, const char *what);
void qcow_image_damaged(struct qcow_image *img, u64 guest_offset, const char *what);
void qcow_image_flushed(struct qcow_image *img, int err);

#endif /* _QCOW_QCOW_H */
