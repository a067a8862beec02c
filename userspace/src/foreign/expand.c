// SPDX-License-Identifier: GPL-2.0
/*
 * Decompression of chunks when an image is opened, because the driver cannot decompress
 * them, and when it is checked.
 */
#include <stdlib.h>

#include "foreign/expand.h"

static int fail_memory(struct foreign *f)
{
	return foreign_unsupported(f, "cannot be decompressed, as there is too little memory; convert it with another program");
}

/* Memory for so many bytes, without those that were there before */
static int make_room(struct foreign *f, u8 **memory, size_t *have, size_t size)
{
	if (size <= *have)
		return 0;
	free(*memory);
	*memory = malloc(size);
	*have = *memory ? size : 0;
	return *memory ? 0 : fail_memory(f);
}

static int check_sizes(struct foreign *f, const struct expand_chunk *c)
{
	if (c->plain > UNPACK_PLAIN_MAX || c->stored > UNPACK_STORED_MAX)
		return foreign_unsupported(f, "has a chunk of %llu bytes at offset %llu, stored as %llu, which is too much; convert it with another program",
					   (unsigned long long)c->plain,
					   (unsigned long long)c->host_offset,
					   (unsigned long long)c->stored);
	return 0;
}

static int fail_chunk(struct foreign *f, const struct expand_chunk *c)
{
	return foreign_fail(f, "has a chunk at offset %llu that cannot be decompressed to %llu bytes",
			    (unsigned long long)c->host_offset, (unsigned long long)c->plain);
}

/**
 * expand_chunk() - decompress a chunk
 * @f: the image
 * @x: its @plain is set to the decompressed bytes
 * @c: the chunk
 *
 * Return: 0, or a negative errno with a message, also if its size is not @c's.
 */
int expand_chunk(struct foreign *f, struct expand *x, const struct expand_chunk *c)
{
	struct unpack u;
	int err = check_sizes(f, c);

	if (!err)
		err = make_room(f, &x->stored, &x->stored_size, c->stored);
	if (!err)
		err = make_room(f, &x->plain, &x->plain_size, c->plain);
	if (!err)
		err = foreign_read(f, 0, x->stored, c->stored, c->host_offset);
	if (err)
		return err;
	u = (struct unpack) {
		.in = x->stored, .in_end = x->stored + c->stored,
		.out_start = x->plain, .out = x->plain, .out_end = x->plain + c->plain,
	};
	err = unpack_chunk(c->codec, &u);
	if (err == -ENOMEM)
		return fail_memory(f);
	return err || u.out != u.out_end ? fail_chunk(f, c) : 0;
}

/**
 * expand_check() - decompress a chunk, and report a fault if that fails
 * @f: the image
 * @x: its @plain is set to the decompressed bytes
 * @c: the chunk
 *
 * Return: 0, also after a fault; or a negative errno other than -EINVAL, with a message.
 */
int expand_check(struct foreign *f, struct expand *x, const struct expand_chunk *c)
{
	int err = expand_chunk(f, x, c);

	if (err != -EINVAL)
		return err;
	foreign_fault(f, "%s", f->msg.text);
	memset(&f->msg, 0, sizeof(f->msg));
	x->faults++;
	return 0;
}

/* Many runs may name one chunk of few bytes. Its zeros take no room, but time. */
static int count_bytes(struct foreign *f, struct expand *x, u64 bytes)
{
	u64 most = f->how.expand_max;

	if (most && bytes > most - x->bytes_expanded)
		return foreign_unsupported(f, "has more than %llu bytes of data that have to be decompressed beforehand, as the driver cannot; allow more with --expand-max",
					   (unsigned long long)most);
	x->bytes_expanded += bytes;
	return 0;
}

static bool all_zeros(const u8 *bytes, size_t len)
{
	return !bytes[0] && !memcmp(bytes, bytes + 1, len - 1);
}

/**
 * expand_to_file() - decompress a chunk into the file for that
 * @f: the image
 * @x: its @file has the bytes afterwards
 * @c: the chunk, not empty
 * @host_offset: set to that of the chunk in @file, or to EXPAND_ZERO
 *
 * Return: 0, or a negative errno with a message.
 */
int expand_to_file(struct foreign *f, struct expand *x, const struct expand_chunk *c,
		   u64 *host_offset)
{
	int err = count_bytes(f, x, c->plain);

	if (!err)
		err = expand_chunk(f, x, c);
	if (err)
		return err;
	x->bytes_done += c->plain;
	f->host->progress(f->arg, x->bytes_done, x->bytes_all);
	*host_offset = EXPAND_ZERO;
	if (all_zeros(x->plain, c->plain))
		return 0;
	*host_offset = x->file_end;
	x->file_end += c->plain;
	return foreign_write(f, x->file, x->plain, c->plain, *host_offset);
}

/**
 * expand_free() - free the memory for chunks
 * @x: the decompression, whose file goes on to be
 */
void expand_free(struct expand *x)
{
	free(x->stored);
	free(x->plain);
	x->stored = NULL;
	x->plain = NULL;
	x->stored_size = 0;
	x->plain_size = 0;
}

/**
 * expand_driver_reads_xz() - look whether the driver can decompress an xz stream
 * @in: its first bytes
 * @len: how many
 *
 * Kernels check nothing but CRC32, and may lack all filters but LZMA2.
 *
 * Return: whether it can.
 */
bool expand_driver_reads_xz(const u8 *in, size_t len)
{
	static const u8 magic[] = { 0xfd, '7', 'z', 'X', 'Z', 0, 0 };
	/* Flags of the first block: the number of filters but LZMA2, which is the last one */
	const u8 other_filters = 0x3f;

	return len >= 16 && !memcmp(in, magic, sizeof(magic)) && in[7] <= 1 &&
	       !(in[13] & other_filters);
}
