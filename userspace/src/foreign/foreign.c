// SPDX-License-Identifier: GPL-2.0
/*
 * The surroundings of a parser: memory, files and messages, so that a parser has nothing
 * but arithmetic. The bytes that it reads are an attacker's.
 */
#include <stdlib.h>

#include "foreign/foreign.h"

/* Memory of a parser, in a list that foreign_close() frees. */
struct foreign_memory {
	struct foreign_memory *next;
	u8 bytes[] __attribute__((aligned(16)));
};

/**
 * foreign_fail() - refuse an image that is damaged
 * @f: the image
 * @fmt: printf format of the text: the fault, without advice
 *
 * Return: -EINVAL.
 */
int foreign_fail(struct foreign *f, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	qcow_msg_set(&f->msg, QCOW_MSG_DAMAGED, fmt, args);
	va_end(args);
	return -EINVAL;
}

/**
 * foreign_unsupported() - refuse an image with words of its own
 * @f: the image
 * @fmt: printf format of the text: the reason, a semicolon, and the remedy
 *
 * Return: -EOPNOTSUPP.
 */
int foreign_unsupported(struct foreign *f, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	qcow_msg_set(&f->msg, QCOW_MSG_COMPLETE, fmt, args);
	va_end(args);
	return -EOPNOTSUPP;
}

/**
 * foreign_other_way() - what to do with an image that is too much for this program
 * @format: of the image
 *
 * Return: the remedy of a message.
 */
const char *foreign_other_way(const struct foreign_format *format)
{
	return format->other_way ?: "convert it with qemu-img convert -O qcow2";
}

/**
 * foreign_alloc() - memory for a parser, freed by foreign_close()
 * @f: the image
 * @nr: entries
 * @size: bytes of an entry
 *
 * Return: zeroed memory, or NULL with a message: fail with -ENOMEM.
 */
void *foreign_alloc(struct foreign *f, size_t nr, size_t size)
{
	struct foreign_memory *m = NULL;
	size_t bytes;

	if (!__builtin_mul_overflow(nr, size, &bytes) && bytes <= f->memory_left)
		m = calloc(1, sizeof(*m) + bytes);
	if (!m) {
		foreign_unsupported(f, "has tables of %llu bytes, which is too much; %s",
				    (unsigned long long)nr * size, foreign_other_way(f->format));
		return NULL;
	}
	f->memory_left -= bytes;
	m->next = f->memory;
	f->memory = m;
	return m->bytes;
}

static int add_file(struct foreign *f, const struct foreign_file *new, u32 *file)
{
	struct foreign_file *files;

	if (f->nr_files == QCOW_MAP_FILES_MAX)
		return foreign_unsupported(f, "has more than %u files; %s", QCOW_MAP_FILES_MAX,
					   foreign_other_way(f->format));
	files = realloc(f->files, (f->nr_files + 1) * sizeof(*files));
	if (!files)
		return -ENOMEM;
	f->files = files;
	files[f->nr_files] = *new;
	*file = f->nr_files++;
	return 0;
}

static int add_opened_file(struct foreign *f, u64 size, u32 *file)
{
	const struct foreign_file new = { .size = size, .number = f->nr_opened++ };

	return add_file(f, &new, file);
}

static int fail_read(struct foreign *f, int err, u64 host_offset)
{
	qcow_fail(&f->msg, err, "cannot be read at offset %llu",
		  (unsigned long long)host_offset);
	return err;
}

static int read_some(struct foreign *f, u32 file, void *buf, size_t len, u64 host_offset,
		     size_t *got)
{
	const struct foreign_file *from = &f->files[file];
	int err;

	*got = 0;
	if (host_offset >= from->size)
		return 0;
	len = min(len, from->size - host_offset);
	err = f->host->read(f->arg, from->number, buf, len, from->start + host_offset, got);
	return err ? fail_read(f, err, host_offset) : 0;
}

/**
 * foreign_read() - read bytes that have to be there
 * @f: the image
 * @file: number of the file
 * @buf: for the bytes
 * @len: how many
 * @host_offset: of the first one, any number
 *
 * Return: 0, or a negative errno with a message, also if the file ends before.
 */
int foreign_read(struct foreign *f, u32 file, void *buf, size_t len, u64 host_offset)
{
	size_t got;
	int err = read_some(f, file, buf, len, host_offset, &got);

	if (err)
		return err;
	if (got < len) {
		qcow_advise(&f->msg, -EINVAL, "ends at byte %llu, but has a table past it, so it is truncated; restore it from a copy",
			    (unsigned long long)foreign_size(f, file));
		return -EINVAL;
	}
	return 0;
}

static bool window_has(const struct foreign_window *w, u32 file, u64 host_offset, size_t len)
{
	return w->len && w->file == file && host_offset >= w->host_offset &&
	       host_offset - w->host_offset <= w->len &&
	       w->len - (host_offset - w->host_offset) >= len;
}

static int window_move(struct foreign *f, struct foreign_window *w, u32 file, u64 host_offset)
{
	if (!w->bytes)
		w->bytes = foreign_alloc(f, 1, FOREIGN_WINDOW_BYTES);
	if (!w->bytes)
		return -ENOMEM;
	w->file = file;
	w->host_offset = host_offset;
	return read_some(f, file, w->bytes, FOREIGN_WINDOW_BYTES, host_offset, &w->len);
}

/**
 * foreign_peek() - look at bytes of a table, of which a part stays in memory
 * @f: the image
 * @w: the part
 * @file: number of the file
 * @host_offset: of the first byte, any number
 * @len: how many are needed, up to FOREIGN_PEEK_MAX
 * @available: how many there are, at least @len; or NULL
 *
 * Return: the bytes, good until the next call with @w; or NULL with a message.
 */
const void *foreign_peek(struct foreign *f, struct foreign_window *w, u32 file,
			 u64 host_offset, size_t len, size_t *available)
{
	if (!window_has(w, file, host_offset, len) && window_move(f, w, file, host_offset))
		return NULL;
	if (!window_has(w, file, host_offset, len)) {
		qcow_advise(&f->msg, -EINVAL, "ends at byte %llu, but has a table past it, so it is truncated; restore it from a copy",
			    (unsigned long long)foreign_size(f, file));
		return NULL;
	}
	if (available)
		*available = w->len - (host_offset - w->host_offset);
	return w->bytes + (host_offset - w->host_offset);
}

/**
 * foreign_visit() - count the blocks of a file that a walk looks at
 * @v: those so far
 * @number: of the block, in the order of the disk; the last one may come again
 * @bytes: of a block
 * @size: bytes of the file
 *
 * A few bytes that name one block again and again would make a walk and its table long.
 *
 * Return: whether the file has room for so many.
 */
bool foreign_visit(struct foreign_visits *v, u64 number, u64 bytes, u64 size)
{
	if (v->nr && number == v->last)
		return true;
	if (number < v->last)
		v->nr = 0;
	v->last = number;
	return ++v->nr <= size / bytes + 1;
}

/**
 * foreign_open_extent() - open a file that holds a part of the image
 * @f: the image; if it is in an archive, the file has to be there too
 * @name: as the image has it, not escaped
 * @file: set to the number of the file
 *
 * Return: 0, or a negative errno; the host has a message then.
 */
int foreign_open_extent(struct foreign *f, const char *name, u32 *file)
{
	struct foreign_file member;
	u64 size;
	int err;

	if (f->find_member && f->find_member(f, name, &member))
		return add_file(f, &member, file);
	if (f->find_member)
		return foreign_fail(f, "names a file %.80s, which is not in the archive", name);
	err = f->host->open(f->arg, FOREIGN_EXTENT, name, &size);
	return err ? err : add_opened_file(f, size, file);
}

/**
 * foreign_scratch() - make a file for data that the driver cannot decompress
 * @f: the image
 * @file: set to the number of the file
 *
 * Return: 0, or a negative errno with a message.
 */
int foreign_scratch(struct foreign *f, u32 *file)
{
	int err = f->host->scratch(f->arg);

	if (err) {
		qcow_fail(&f->msg, err, "needs a file for data that is decompressed now");
		return err;
	}
	return add_opened_file(f, 0, file);
}

/* @err: -EFBIG: the host allows no more. */
static int fail_write(struct foreign *f, int err)
{
	if (err == -EFBIG)
		return qcow_advise(&f->msg, err, "has data that has to be decompressed, and more than may be kept; allow more with --expand-max");
	if (err == -ENOSPC || err == -EDQUOT)
		return qcow_advise(&f->msg, err, "has data that has to be decompressed, for which there is no room in the folder of temporary files; make room there, or name another folder with TMPDIR");
	qcow_fail(&f->msg, err, "has data that cannot be kept while it is attached");
	return err;
}

/**
 * foreign_write() - write to a file of foreign_scratch()
 * @f: the image
 * @file: number of the file
 * @buf: the bytes
 * @len: how many
 * @host_offset: of the first one
 *
 * Return: 0, or a negative errno with a message.
 */
int foreign_write(struct foreign *f, u32 file, const void *buf, size_t len, u64 host_offset)
{
	int err = f->host->write(f->arg, f->files[file].number, buf, len, host_offset);

	if (err)
		return fail_write(f, err);
	if (f->files[file].size < host_offset + len)
		f->files[file].size = host_offset + len;
	return 0;
}

/**
 * foreign_backing() - name the parent of an image
 * @f: the image
 * @name: as the image has it; the first that is there and has the right id is taken. If that
 *	id is in parent_id of the disk, it may be a member of the same archive
 */
void foreign_backing(struct foreign *f, const char *name)
{
	struct foreign_file file;
	const char *member = NULL;

	if (f->how.alone)
		return;
	f->disk.has_parent = true;
	if (f->find_member && f->disk.parent_id[0])
		member = f->find_member(f, name, &file);
	f->host->backing(f->arg, member ? member : name, member);
}

/**
 * foreign_backing_by_id() - tell that only the identifier of a parent is known
 * @f: the image; its parent_id is set
 * @pattern: of the names of files that may be the parent, such as *.vdi. In an archive, a
 *	member that has the identifier goes before them, and behind them if it was changed
 *
 * Return: 0, or a negative errno with a message.
 */
int foreign_backing_by_id(struct foreign *f, const char *pattern)
{
	const char *member = NULL;
	bool right = false;
	int err = 0;

	f->disk.parent_by_id = true;
	if (f->how.alone)
		return 0;
	f->disk.has_parent = true;
	if (f->find_parent)
		err = f->find_parent(f, &member, &right);
	if (err)
		return err;
	if (member && right)
		f->host->backing(f->arg, member, true);
	f->host->backing(f->arg, pattern, false);
	if (member && !right)
		f->host->backing(f->arg, member, true);
	return 0;
}

/**
 * foreign_tell() - tell a fact for people
 * @f: the image
 * @key: of &struct foreign_host
 * @text: the fact, not escaped
 */
void foreign_tell(struct foreign *f, const char *key, const char *text)
{
	f->host->tell(f->arg, key, text, 0);
}

/**
 * foreign_tell_number() - tell a number for people
 * @f: the image
 * @key: of &struct foreign_host
 * @number: the number
 */
void foreign_tell_number(struct foreign *f, const char *key, s64 number)
{
	f->host->tell(f->arg, key, NULL, number);
}

/**
 * foreign_fault() - report a fault that a check found, after which it goes on
 * @f: the image
 * @fmt: printf format of the text
 */
void foreign_fault(struct foreign *f, const char *fmt, ...)
{
	char text[sizeof(f->msg.text)];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	f->host->fault(f->arg, text);
}

/**
 * foreign_leak() - report bytes of a file that nothing uses, which a check found
 * @f: the image
 * @fmt: printf format of the text
 */
void foreign_leak(struct foreign *f, const char *fmt, ...)
{
	char text[sizeof(f->msg.text)];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (f->host->leak)
		f->host->leak(f->arg, text);
	else
		f->host->fault(f->arg, text);
}

static int check_disk(struct foreign *f)
{
	struct foreign_disk *d = &f->disk;

	if (!d->sector_size)
		d->sector_size = SZ_512;
	if (!d->size || d->size > (u64)S64_MAX - SZ_512)
		return foreign_fail(f, "its header has a disk of %llu bytes",
				    (unsigned long long)d->size);
	return 0;
}

/**
 * foreign_open() - read the headers of an image
 * @f: the result; foreign_close() it, after a failure too
 * @format: its format
 * @host: the way to files
 * @arg: the first argument of @host's functions
 * @how: the image that is opened, and the reason
 *
 * Return: 0, or a negative errno with a message.
 */
int foreign_open(struct foreign *f, const struct foreign_format *format,
		 const struct foreign_host *host, void *arg, const struct foreign_how *how)
{
	u32 file;
	int err;

	memset(f, 0, sizeof(*f));
	f->format = format;
	f->host = host;
	f->arg = arg;
	f->how = *how;
	f->memory_left = FOREIGN_MEMORY_MAX;
	err = add_opened_file(f, how->size, &file);
	if (!err)
		err = format->open(f);
	return err ? err : check_disk(f);
}

/**
 * foreign_close() - free the memory of a parser
 * @f: the image
 */
void foreign_close(struct foreign *f)
{
	struct foreign_memory *m;

	while ((m = f->memory)) {
		f->memory = m->next;
		free(m);
	}
	free(f->files);
	f->files = NULL;
}
