// SPDX-License-Identifier: GPL-2.0
/*
 * qcowctl convert -c: the driver reads the source, and this process compresses what it reads
 * and puts it into the new image, an overlay that is not attached. Zeros are left out, as the
 * image has zeros there as soon as it names no backing file.
 */
#include <stdlib.h>
#include <unistd.h>

#include "cmd/attach.h"
#include "cmd/convert_packed.h"
#include "cmd/detach.h"
#include "cmd/map.h"
#include "create/pack.h"
#include "create/squeeze.h"
#include "device/ready.h"
#include "lib/fd.h"
#include "lib/memory.h"
#include "lib/progress.h"
#include "lib/report.h"

/* Bytes that are compressed at a time, in whole clusters. */
#define BATCH_BYTES	SZ_8M

/* Written bytes after which the image names what it has. */
#define SYNC_BYTES	(256ULL * SZ_1M)

/**
 * struct source - the image that is read
 * @name: of it
 * @device: its device, which goes with this process
 * @control: the descriptor that keeps it, or -1
 * @fd: its node, or -1
 * @chain: its files, to see which parts are zeros
 * @layers: of @chain
 */
struct source {
	const char *name;
	struct device device;
	int control;
	int fd;
	struct chain chain;
	struct map_layer *layers;
};

/**
 * struct packed - a conversion
 * @source: the image that is read
 * @name: the new image's
 * @chain: the new image alone
 * @pack: it as it is written
 * @size: bytes of the disk
 * @cluster_size: bytes of a cluster
 * @in: the content of a batch's clusters
 * @out: the same, compressed
 * @clusters: a batch
 * @guest_offsets: of its clusters
 * @nr: its clusters
 * @room: clusters that a batch may have
 */
struct packed {
	struct source source;
	const char *name;
	struct chain chain;
	struct pack pack;
	u64 size;
	u64 cluster_size;
	char *in;
	char *out;
	struct squeezed *clusters;
	u64 *guest_offsets;
	u32 nr;
	u32 room;
};

/* --- The source --- */

static int source_attach(struct source *s, const struct work_options *options)
{
	struct attach a = {
		.chain.format = options->format,
		.keys = options->keys,
		.holder = &s->control,
		.ioc.flags = QCOW_ATTACH_RO | QCOW_ATTACH_NO_PARTSCAN,
	};

	if (attach_open(&s->device, &a, s->name))
		return -1;
	s->fd = ready_open(&s->device);
	if (s->fd >= 0)
		return 0;
	report(s->name, "its device /dev/qcow%d cannot be opened: %s", s->device.index,
	       strerror(errno));
	return -1;
}

/* Its locks are the driver's by now. */
static int source_open(struct source *s, const struct work_options *options, const char *name)
{
	const struct chain_options o = { .format = options->format, .want = PARSE_TABLE };

	*s = (struct source) { .name = name, .device.index = -1, .control = -1, .fd = -1 };
	if (source_attach(s, options) || chain_open(&s->chain, name, &o))
		return -1;
	s->layers = map_layers_new(&s->chain);
	return 0;
}

static int source_close(struct source *s)
{
	int err = 0;

	if (s->layers)
		map_layers_free(s->layers, s->chain.nr);
	chain_close(&s->chain);
	if (s->fd >= 0)
		close(s->fd);
	if (s->device.index >= 0)
		err = detach_again(&s->device);
	if (s->control >= 0)
		close(s->control);
	return err ? -1 : 0;
}

/*
 * Bytes from @guest_offset on that are zeros, or, if @zero is false then, may be data. The new
 * image, of @size bytes, may be larger than its source, and has zeros behind that one's end.
 */
static int source_range(struct source *s, u64 guest_offset, u64 size, u64 *length, bool *zero)
{
	struct map_entry n;
	int err;

	if (guest_offset >= map_layer_size(s->layers)) {
		*length = size - guest_offset;
		*zero = true;
		return 0;
	}
	err = map_find(s->layers, s->chain.nr, guest_offset, &n);
	*length = n.e.length;
	*zero = n.e.zero;
	return err;
}

static int source_read(const struct source *s, char *buf, u64 len, u64 guest_offset)
{
	size_t got;
	int err = fd_read(s->fd, buf, len, guest_offset, &got);

	if (!err && got == len)
		return 0;
	report(s->name, "cannot be read at byte %llu: %s; see the kernel log",
	       (unsigned long long)(guest_offset + got), strerror(err ? -err : EIO));
	return -1;
}

/* --- The new image --- */

static const char *write_advice(int err)
{
	if (err == -EFBIG)
		return "have its file system and ulimit -f allow a larger file";
	return err == -EIO ? "see the kernel log" : "make room";
}

static int explain(const struct packed *p, int err)
{
	if (err == -EOPNOTSUPP)
		report(p->name, "has snapshots, bitmaps or other things that a conversion does not make; convert the source to another name");
	else if (err == -EUCLEAN)
		report(p->name, "is damaged; see qcowctl check");
	else if (err == -EOVERFLOW)
		report(p->name, "its refcount table is too small; convert the source to another name");
	else
		report(p->name, "cannot be written: %s; it reads the same as its source, which it still needs: %s, and go on with --resume",
		       strerror(-err), write_advice(err));
	return -1;
}

static void make_batch(struct packed *p)
{
	u32 i;

	p->cluster_size = 1ULL << p->chain.images->header.cluster_bits;
	p->room = BATCH_BYTES / p->cluster_size;
	p->in = xcalloc(p->room, p->cluster_size);
	p->out = xcalloc(p->room, p->cluster_size);
	p->clusters = xcalloc(p->room, sizeof(*p->clusters));
	p->guest_offsets = xcalloc(p->room, sizeof(*p->guest_offsets));
	for (i = 0; i < p->room; i++) {
		p->clusters[i].in = p->in + i * p->cluster_size;
		p->clusters[i].out = p->out + i * p->cluster_size;
	}
}

static int open_new(struct packed *p)
{
	const struct chain_options o = {
		.format = QCOW_FORMAT_QCOW2, .top_only = true, .write = true, .lock = true,
	};
	int err;

	if (chain_open(&p->chain, p->name, &o))
		return -1;
	if (!chain_writable(&p->chain)) {
		report(p->name, "cannot be opened for writing");
		return -1;
	}
	if (chain_check(&p->chain))
		return -1;
	/* It had no lock since it was looked at. */
	if (!p->chain.images->backing) {
		report(p->name, "is complete: another conversion has finished it meanwhile");
		return -1;
	}
	p->size = p->chain.images->header.size;
	err = pack_open(&p->pack, p->chain.images);
	if (err)
		return explain(p, err);
	make_batch(p);
	return 0;
}

static void close_new(struct packed *p)
{
	pack_close(&p->pack);
	chain_close(&p->chain);
	free(p->in);
	free(p->out);
	free(p->clusters);
	free(p->guest_offsets);
}

/* --- Batches --- */

/* The first clusters of the batch from @i on that follow one another on the disk. */
static u32 count_run(const struct packed *p, u32 i)
{
	u32 nr = 1;

	while (i + nr < p->nr &&
	       p->guest_offsets[i + nr] == p->guest_offsets[i] + nr * p->cluster_size)
		nr++;
	return nr;
}

/* The disk, or the source, may end inside a cluster. */
static int read_batch(struct packed *p)
{
	u64 end = min(p->size, map_layer_size(p->source.layers)), len, want;
	char *to;
	u32 i, nr;

	for (i = 0; i < p->nr; i += nr) {
		nr = count_run(p, i);
		to = p->in + i * p->cluster_size;
		len = nr * p->cluster_size;
		want = min(len, end - p->guest_offsets[i]);
		memset(to + want, 0, len - want);
		if (source_read(&p->source, to, want, p->guest_offsets[i]))
			return -1;
	}
	return 0;
}

static int write_batch(struct packed *p)
{
	u32 type = p->chain.images->header.compression, i;
	int err = squeeze_run(type, p->cluster_size, p->clusters, p->nr);

	for (i = 0; !err && i < p->nr; i++)
		if (!p->clusters[i].zero)
			err = pack_put(&p->pack, p->guest_offsets[i], p->clusters[i].out,
				       p->clusters[i].len);
	p->nr = 0;
	if (!err && p->pack.unsynced >= SYNC_BYTES)
		err = pack_sync(&p->pack);
	return err ? explain(p, err) : 0;
}

/* The image keeps the clusters that it has for --resume, also if the source cannot be read. */
static int end_batch(struct packed *p)
{
	int err;

	if (!p->nr)
		return 0;
	if (!read_batch(p))
		return write_batch(p);
	err = pack_sync(&p->pack);
	return err ? explain(p, err) : -1;
}

/* --- The disk --- */

/* Compress the cluster, unless the image has it. */
static int take_cluster(struct packed *p, u64 guest_offset)
{
	bool has;
	int err = pack_has(&p->pack, guest_offset, &has);

	if (err)
		return explain(p, err);
	if (has)
		return 0;
	p->guest_offsets[p->nr++] = guest_offset;
	return p->nr == p->room ? end_batch(p) : 0;
}

/*
 * Go on from @guest_offset, a multiple of the cluster size, with some clusters that are
 * zeros, or with those that are not. @done is behind them.
 */
static int take_range(struct packed *p, u64 guest_offset, u64 *done)
{
	u64 length;
	bool zero;
	int err = source_range(&p->source, guest_offset, p->size, &length, &zero);

	*done = guest_offset;
	if (err)
		return err;
	if (zero && (length >= p->cluster_size || guest_offset + length >= p->size)) {
		if (guest_offset + length < p->size)
			length -= length % p->cluster_size;
		*done += length;
		return 0;
	}
	do {
		err = take_cluster(p, *done);
		*done += p->cluster_size;
	} while (!err && *done < p->size && *done < guest_offset + length &&
		 !zero && !progress_stopped());
	return err;
}

static int stop(struct packed *p, u64 done, const char *interrupted)
{
	int err;

	if (end_batch(p))
		return -1;
	err = pack_sync(&p->pack);
	if (err)
		return explain(p, err);
	report(p->name, "interrupted after %llu of %llu bytes; %s", (unsigned long long)done,
	       (unsigned long long)p->size, interrupted);
	return -1;
}

static int pack_disk(struct packed *p, const char *interrupted)
{
	u64 done = 0;
	int err = 0;

	while (!err && done < p->size) {
		progress("Compressing", done, p->size);
		err = take_range(p, done, &done);
		if (!err && done < p->size && progress_stopped())
			return stop(p, done, interrupted);
	}
	if (!err)
		err = end_batch(p);
	if (err)
		return -1;
	progress("Compressing", p->size, p->size);
	progress_end();
	err = pack_finish(&p->pack);
	return err ? explain(p, err) : 0;
}

/**
 * convert_packed() - give an overlay the compressed content of its backing file
 * @options: the format of the backing file, and the keys to it
 * @from: the backing file
 * @to: the overlay, which names no backing file afterwards
 * @interrupted: the end of the message about an interruption
 *
 * Return: the exit code.
 */
int convert_packed(const struct work_options *options, const char *from, const char *to,
		   const char *interrupted)
{
	struct packed p = { .name = to };
	int err = source_open(&p.source, options, from);

	if (!err)
		err = open_new(&p);
	if (!err)
		err = pack_disk(&p, interrupted);
	close_new(&p);
	if (source_close(&p.source) && !err)
		report(to, "is complete all the same");
	return !!err;
}
