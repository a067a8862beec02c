// SPDX-License-Identifier: GPL-2.0
/*
 * Compressed clusters, which are looked at again and again and rarely change.
 */
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "cut.h"

#define CACHE_SLOTS	8192
#define MAX_CLUSTER	(2u << 20)

/**
 * struct inflated - the content of a compressed cluster
 * @off: where it is
 * @len: bytes
 * @version: of its sectors
 * @tags: of its sectors; NULL if it is damaged
 */
struct inflated {
	uint64_t off;
	uint64_t len;
	uint64_t version;
	tag_t *tags;
};

static bool inflate_zlib(unsigned char *out, size_t size, const unsigned char *in,
			 size_t len)
{
	z_stream s = {
		.next_in = (unsigned char *)in, .avail_in = len,
		.next_out = out, .avail_out = size,
	};
	int ret;

	if (inflateInit2(&s, -12) != Z_OK)
		die("out of memory");
	ret = inflate(&s, Z_FINISH);
	inflateEnd(&s);
	return (ret == Z_STREAM_END || ret == Z_BUF_ERROR) && !s.avail_out;
}

static bool inflate_zstd(unsigned char *out, size_t size, const unsigned char *in,
			 size_t len)
{
	ZSTD_inBuffer from = { in, len, 0 };
	ZSTD_outBuffer to = { out, size, 0 };
	ZSTD_DStream *s = ZSTD_createDStream();
	size_t ret = 1;

	while (to.pos < to.size && from.pos < from.size && !ZSTD_isError(ret))
		ret = ZSTD_decompressStream(s, &to, &from);
	ZSTD_freeDStream(s);
	return to.pos == to.size;
}

static uint64_t version_of(const struct qcow2 *q, uint64_t off, uint64_t len)
{
	uint64_t s, v = 0;

	for (s = off / 512; s <= (off + len - 1) / 512; s++)
		v = v * 0x100000001b3ull + q->d->versions[s];
	return v;
}

static tag_t *inflate_tags(const struct qcow2 *q, uint64_t off, uint64_t len)
{
	static unsigned char buf[MAX_CLUSTER];
	size_t size = 1ul << q->cluster_bits, i;
	const unsigned char *in = q->d->data + off;
	bool ok = q->zstd ? inflate_zstd(buf, size, in, len) :
			    inflate_zlib(buf, size, in, len);
	tag_t *tags;

	if (!ok)
		return NULL;
	tags = xcalloc(size / BLOCK_SIZE, sizeof(*tags));
	for (i = 0; i < size / BLOCK_SIZE; i++)
		tags[i] = tag_of(buf + i * BLOCK_SIZE, q->d->seed);
	return tags;
}

const tag_t *inflate_cluster(struct qcow2 *q, uint64_t off, uint64_t len)
{
	uint64_t version = version_of(q, off, len);
	struct inflated *c;

	if (!q->cache)
		q->cache = xcalloc(CACHE_SLOTS, sizeof(*q->cache));
	c = &q->cache[hash(off, 0, 0) % CACHE_SLOTS];
	if (c->off == off && c->len == len && c->version == version)
		return c->tags;
	free(c->tags);
	*c = (struct inflated){ off, len, version, inflate_tags(q, off, len) };
	return c->tags;
}
