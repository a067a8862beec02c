// SPDX-License-Identifier: GPL-2.0
/*
 * A parser in a process of its own, which has a socket and the descriptors that come over
 * it. All that it sends is checked by parse.c, as an image may have taken the process over.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <unistd.h>

#include "foreign/child.h"
#include "foreign/table.h"
#include "foreign/wire.h"
#include "lib/fd.h"

/* Entries that are written at once. */
#define WRITER_ENTRIES	2048

/**
 * struct child - the surroundings of a parser
 * @sock: to parse.c
 * @how: the work
 * @fds: the files of the image, by number
 * @nr_fds: of them
 * @scratch: bytes of decompressed data so far
 * @table_fd: the table
 * @entries: of it, that are not written yet
 * @nr_entries: of them
 * @written: entries before them
 * @spilled: the table is a file on disk
 * @told: parse.c has the message of a failure
 * @w: the message that is sent or received
 */
struct child {
	int sock;
	const struct child_how *how;
	int fds[QCOW_MAP_FILES_MAX];
	u32 nr_fds;
	u64 scratch;
	int table_fd;
	struct qcow_map_entry entries[WRITER_ENTRIES];
	u32 nr_entries;
	u64 written;
	bool spilled;
	struct wire w;
};

/* --- Messages --- */

/* Without parse.c there is nothing to do. */
static void say(struct child *c)
{
	if (wire_send(c->sock, &c->w, -1))
		_exit(1);
}

static void say_text(struct child *c, enum wire_kind kind, const char *text)
{
	c->w = (struct wire) { .kind = kind };
	wire_set_text(&c->w, text);
	say(c);
}

/* Receive a message, with a descriptor if it has no error. */
static int hear(struct child *c, enum wire_kind kind, int *fd)
{
	if (wire_receive(c->sock, &c->w, fd) || c->w.kind != kind)
		_exit(1);
	return c->w.err;
}

/* Ask for a descriptor. */
static int ask(struct child *c, enum wire_kind kind, const char *text, int *fd)
{
	say_text(c, kind, text);
	return hear(c, kind, fd);
}

/* --- The host of the parser --- */

static int host_read(void *arg, u32 file, void *buf, size_t len, u64 host_offset, size_t *got)
{
	struct child *c = arg;

	return fd_read(c->fds[file], buf, len, host_offset, got);
}

/* A file gets the next number. */
static int add_file(struct child *c, enum wire_kind kind, const char *name, u64 *size)
{
	int err, fd;

	if (c->nr_fds == ARRAY_SIZE(c->fds))
		return -EMFILE;
	err = ask(c, kind, name, &fd);
	if (err)
		return err;
	c->fds[c->nr_fds++] = fd;
	*size = c->w.number;
	return 0;
}

static int host_open(void *arg, enum foreign_use use, const char *name, u64 *size)
{
	(void)use;
	return add_file(arg, WIRE_OPEN, name, size);
}

static int host_scratch(void *arg)
{
	u64 size;

	return add_file(arg, WIRE_SCRATCH, "", &size);
}

static int host_write(void *arg, u32 file, const void *buf, size_t len, u64 host_offset)
{
	struct child *c = arg;

	if (len > c->how->expand_max - c->scratch)
		return -EFBIG;
	c->scratch += len;
	return fd_write(c->fds[file], buf, len, host_offset);
}

static void host_backing(void *arg, const char *name, bool member)
{
	struct child *c = arg;

	c->w = (struct wire) { .kind = WIRE_BACKING, .number = member };
	wire_set_text(&c->w, name);
	say(c);
}

static void host_tell(void *arg, const char *key, const char *text, s64 number)
{
	struct child *c = arg;

	c->w = (struct wire) { .kind = text ? WIRE_FACT : WIRE_NUMBER, .number = number };
	snprintf(c->w.key, sizeof(c->w.key), "%s", key);
	if (text)
		wire_set_text(&c->w, text);
	say(c);
}

static void host_fault(void *arg, const char *text)
{
	say_text(arg, WIRE_FAULT, text);
}

static void host_leak(void *arg, const char *text)
{
	say_text(arg, WIRE_LEAK, text);
}

static void host_progress(void *arg, u64 bytes_done, u64 bytes_all)
{
	struct child *c = arg;

	c->w = (struct wire) { .kind = WIRE_PROGRESS, .number = bytes_done, .total = bytes_all };
	say(c);
}

static const struct foreign_host host = {
	.read = host_read,
	.open = host_open,
	.scratch = host_scratch,
	.write = host_write,
	.backing = host_backing,
	.tell = host_tell,
	.fault = host_fault,
	.leak = host_leak,
	.progress = host_progress,
};

/* --- The table --- */

static int spill(struct child *c)
{
	int err, fd;

	if (c->spilled || table_offset(c->written + c->nr_entries) <= CHILD_TABLE_MEMORY)
		return 0;
	c->w = (struct wire) { .kind = WIRE_SPILL, .number = table_offset(c->written) };
	say(c);
	err = hear(c, WIRE_SPILL, &fd);
	if (err)
		return err;
	close(c->table_fd);
	c->table_fd = fd;
	c->spilled = true;
	return 0;
}

static int flush_entries(struct child *c)
{
	int err = spill(c);

	if (!err)
		err = fd_write(c->table_fd, c->entries, c->nr_entries * sizeof(*c->entries),
				table_offset(c->written));
	c->written += c->nr_entries;
	c->nr_entries = 0;
	return err;
}

static int put_entry(void *arg, const struct qcow_map_entry *e)
{
	struct child *c = arg;

	c->entries[c->nr_entries++] = *e;
	return c->nr_entries < ARRAY_SIZE(c->entries) ? 0 : flush_entries(c);
}

/* --- The work --- */

static void say_disk(struct child *c, const struct foreign *f)
{
	c->w = (struct wire) { .kind = WIRE_DISK, .len = sizeof(f->disk) };
	snprintf(c->w.key, sizeof(c->w.key), "%s", f->format->name);
	memcpy(c->w.text, &f->disk, sizeof(f->disk));
	say(c);
}

/* @err: -EFBIG: the table is larger than the driver takes. */
static int fail_table(struct foreign *f, int err)
{
	if (err == -EFBIG)
		return qcow_advise(&f->msg, err, "has too many pieces for a table; %s",
				   foreign_other_way(f->format));
	if (err == -ENOSPC || err == -EDQUOT)
		return qcow_advise(&f->msg, err, "has a table for which there is no room in the folder of temporary files; make room there, or name another folder with TMPDIR");
	qcow_fail(&f->msg, err, "has a table that cannot be kept while it is attached");
	return err;
}

static int make_table(struct child *c, struct foreign *f)
{
	int err = foreign_walk(f, put_entry, c);

	if (!err && c->nr_entries)
		err = flush_entries(c);
	return err ? fail_table(f, err) : 0;
}

static int ignore_entry(void *arg, const struct qcow_map_entry *e)
{
	(void)arg;
	(void)e;
	return 0;
}

static int do_check(struct foreign *f)
{
	int err = foreign_walk(f, ignore_entry, NULL);

	return err || !f->format->check ? err : f->format->check(f);
}

static int do_work(struct child *c, struct foreign *f)
{
	const struct child_how *how = c->how;
	int err = foreign_open(f, how->format, &host, c, &how->how);

	if (err)
		return err;
	say_disk(c, f);
	if (how->want == PARSE_TABLE)
		return make_table(c, f);
	return how->want == PARSE_CHECK ? do_check(f) : 0;
}

static void say_end(struct child *c, int err, const struct qcow_msg *msg)
{
	c->w = (struct wire) {
		.kind = WIRE_END, .err = err, .number = msg->code, .total = c->written,
	};
	wire_set_text(&c->w, msg->text);
	say(c);
}

static void say_confined(struct child *c, int err, const char *step)
{
	c->w = (struct wire) { .kind = WIRE_CONFINED, .err = err };
	wire_set_text(&c->w, step);
	say(c);
	if (err)
		_exit(1);
}

/**
 * child_run() - be the child of a parser
 * @sock: the socket to parse.c, the only open descriptor
 * @how: the work
 */
void child_run(int sock, const struct child_how *how)
{
	static struct child c;
	static struct foreign f;
	const char *step;
	int err;

	c.sock = sock;
	c.how = how;
	err = confine(&how->limits, &step);
	say_confined(&c, err, step);
	(void)hear(&c, WIRE_START, &c.fds[0]);
	c.nr_fds = 1;
	if (how->want == PARSE_TABLE)
		(void)hear(&c, WIRE_SPILL, &c.table_fd);
	err = do_work(&c, &f);
	say_end(&c, err, &f.msg);
	_exit(0);
}
