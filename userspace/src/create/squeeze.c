// SPDX-License-Identifier: GPL-2.0
/*
 * Compresses clusters as QEMU does, on all processors.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "create/squeeze.h"
#include "qcow/ondisk/header.h"

#define MAX_THREADS	64U

/* The window that qcow2 prescribes for deflate, and the memory that QEMU gives it. */
#define WINDOW_BITS	(-12)
#define MEMORY_LEVEL	9

/**
 * struct squeeze - the work of all threads
 * @zstd: compress with zstd, else with zlib
 * @cluster_size: bytes of a cluster
 * @clusters: to compress
 * @nr: of them
 * @next: the first one that no thread has taken
 * @failed: there was no memory for one
 */
struct squeeze {
	bool zstd;
	u64 cluster_size;
	struct squeezed *clusters;
	u32 nr;
	atomic_uint next;
	atomic_bool failed;
};

static bool is_zero(const char *bytes, u64 len)
{
	return !bytes[0] && !memcmp(bytes, bytes + 1, len - 1);
}

/* Return: compressed bytes; 0: they are not fewer; or -ENOMEM. */
static int deflate_cluster(const void *in, void *out, u64 size)
{
	z_stream z = { };
	int ret;

	if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, WINDOW_BITS, MEMORY_LEVEL,
			 Z_DEFAULT_STRATEGY) != Z_OK)
		return -ENOMEM;
	z.next_in = (Bytef *)in;
	z.avail_in = size;
	z.next_out = out;
	z.avail_out = size - 1;
	ret = deflate(&z, Z_FINISH);
	deflateEnd(&z);
	return ret == Z_STREAM_END ? z.total_out : 0;
}

/* As deflate_cluster(). */
static int zstd_cluster(ZSTD_CCtx *zstd, const void *in, void *out, u64 size)
{
	size_t len = zstd ? ZSTD_compress2(zstd, out, size - 1, in, size) : 0;

	if (!zstd || ZSTD_getErrorCode(len) == ZSTD_error_memory_allocation)
		return -ENOMEM;
	return ZSTD_isError(len) ? 0 : len;
}

static void compress_cluster(struct squeeze *s, ZSTD_CCtx *zstd, struct squeezed *c)
{
	u64 size = s->cluster_size;
	int len;

	c->zero = is_zero(c->in, size);
	if (c->zero)
		return;
	len = s->zstd ? zstd_cluster(zstd, c->in, c->out, size) :
				     deflate_cluster(c->in, c->out, size);
	if (len < 0)
		s->failed = true;
	if (len > 0) {
		c->len = len;
		return;
	}
	memcpy(c->out, c->in, size);
	c->len = size;
}

static void *run(void *arg)
{
	struct squeeze *s = arg;
	ZSTD_CCtx *zstd = s->zstd ? ZSTD_createCCtx() : NULL;
	u32 i;

	while ((i = s->next++) < s->nr)
		compress_cluster(s, zstd, &s->clusters[i]);
	ZSTD_freeCCtx(zstd);
	return NULL;
}

static u32 count_processors(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set))
		return 1;
	return min((u32)CPU_COUNT(&set), MAX_THREADS);
}

/**
 * squeeze_run() - compress clusters, on all processors
 * @type: the image's compression type, as in &struct qcow_header
 * @cluster_size: bytes of a cluster
 * @clusters: to compress
 * @nr: of them
 *
 * Return: 0 or -ENOMEM.
 */
int squeeze_run(u32 type, u64 cluster_size, struct squeezed *clusters, u32 nr)
{
	struct squeeze s = {
		.zstd = !strcmp(qcow_header_compression_name(type), "zstd"),
		.cluster_size = cluster_size, .clusters = clusters, .nr = nr,
	};
	u32 wanted = min(count_processors(), nr), threads = 0;
	pthread_t others[MAX_THREADS];

	/* With fewer of them it takes longer. */
	while (threads + 1 < wanted && !pthread_create(&others[threads], NULL, run, &s))
		threads++;
	run(&s);
	while (threads)
		pthread_join(others[--threads], NULL);
	return s.failed ? -ENOMEM : 0;
}
