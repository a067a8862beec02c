// SPDX-License-Identifier: GPL-2.0
/*
 * The trusted side of a parser: it starts the child, gives it files, and checks all that
 * comes back. The image's bytes are only looked at in the child.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "foreign/formats.h"
#include "foreign/parse.h"
#include "foreign/wire.h"
#include "lib/child.h"
#include "lib/progress.h"
#include "lib/report.h"
#include "lib/text.h"
#include "lib/unnamed.h"
#include "qcow/ondisk/map_table.h"

/* The child may say so much about an image. */
#define PARENTS_MAX	1024
#define FACTS_MAX	(8 * QCOW_MAP_FILES_MAX)
/* One file for data of the log, and one for decompressed data, and some more. */
#define SCRATCH_MAX	4

/* Memory of the parser, and of a library that decompresses. */
#define CHILD_MEMORY	((u64)SZ_1G)
/* Seconds of processor time that no image needs which is not made for that. */
#define CHILD_CPU	120
/* Bytes of a file that are decompressed and compared in a second, at least. */
#define CHILD_CHECK_RATE	((u64)SZ_1M)
/* Seconds of processor time that no work may take. */
#define CHILD_CPU_MAX		(CHILD_CPU + 86400ULL)
/* Bytes that the slowest codec decompresses in a second, at least. */
#define CHILD_EXPAND_RATE	(2ULL * SZ_1M)

/* The name of the child's work in the progress line */
#define WORK	"Decompressing"

/**
 * struct parse - a child at work
 * @p: the result
 * @how: the work
 * @limits: resources of the child
 * @pid: the child
 * @sock: to it
 * @sizes: bytes of each file that it was given
 * @scratch: descriptors of files whose bytes are known at the end; -1: others
 * @nr_files: of them
 * @nr_scratch: files for decompressed data
 * @entries: of the table, as the child says
 * @bytes_all: of the work whose progress was shown; 0: none was
 * @confined: the child has said that it is
 * @said: an error was printed
 * @ended: the child has sent its last message
 * @w: the message that is sent or received
 */
struct parse {
	struct parsed *p;
	const struct parse_how *how;
	struct confine_limits limits;
	pid_t pid;
	int sock;
	u64 *sizes;
	int *scratch;
	u32 nr_files;
	u32 nr_scratch;
	u64 entries;
	u64 bytes_all;
	bool confined;
	bool said;
	bool ended;
	struct wire w;
};

static int refuse(struct parse *s, const char *fmt, ...) __printf(2, 3);

/* Print one line, unless one was printed. Return: -1. */
static int refuse(struct parse *s, const char *fmt, ...)
{
	va_list args;
	char *text;

	if (!s->said && !s->how->quiet) {
		va_start(args, fmt);
		text = xvasprintf(fmt, args);
		va_end(args);
		report(s->how->file->name, "%s", text);
		free(text);
	}
	s->said = true;
	return -1;
}

/* --- The table --- */

/* A file in memory. The child cannot make it longer. */
static int table_in_memory(struct parse *s)
{
	struct table *t = &s->p->table;

	t->fd = memfd_create("qcow-map", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (t->fd >= 0 && !ftruncate(t->fd, CHILD_TABLE_MEMORY) &&
	    !fcntl(t->fd, F_ADD_SEALS, F_SEAL_GROW))
		return 0;
	return refuse(s, "its table cannot be kept in memory: %s; free some memory",
		      strerror(errno));
}

/* Return: 0 or a negative errno. */
static int copy_table(int to_fd, int from_fd, u64 bytes)
{
	off_t in_table = 0;
	ssize_t n;

	while ((u64)in_table < bytes) {
		n = sendfile(to_fd, from_fd, &in_table, bytes - in_table);
		if (n <= 0)
			return n ? -errno : -EIO;
	}
	return 0;
}

/* The table becomes larger than the memory that it may have. */
static int table_on_disk(struct parse *s, u64 bytes, int *fd)
{
	const char *folder = unnamed_folder(NULL);
	struct table *t = &s->p->table;
	int err;

	if (bytes > CHILD_TABLE_MEMORY || t->fd < 0)
		return -EPROTO;
	*fd = unnamed_open(folder);
	err = *fd < 0 ? -errno : copy_table(*fd, t->fd, bytes);
	if (err) {
		refuse(s, "its table cannot be kept in %s: %s; make room there, or name another folder with TMPDIR",
		       folder, strerror(-err));
		if (*fd >= 0)
			close(*fd);
		*fd = -1;
		return err;
	}
	close(t->fd);
	t->fd = *fd;
	return 0;
}

/* The sizes of files that were written meanwhile. */
static int look_at_scratch(struct parse *s)
{
	struct stat st;
	u32 i;

	for (i = 0; i < s->nr_files; i++) {
		if (s->scratch[i] < 0)
			continue;
		if (fstat(s->scratch[i], &st))
			return refuse(s, "a file of decompressed data is gone: %s; do it again",
				      strerror(errno));
		s->sizes[i] = st.st_size;
	}
	return 0;
}

static int refuse_table(struct parse *s, const char *fault)
{
	return refuse(s, "its parser made a table that is not valid (%s), which is an error of this program; %s",
		      fault, foreign_other_way(s->how->format));
}

/* The driver gets a table that nobody can change any more. */
static int seal_table(struct parse *s)
{
	struct table *t = &s->p->table;
	u64 bytes = QCOW_MAP_HEADER_BYTES + t->header.nr_entries * sizeof(struct qcow_map_entry);
	int err = table_write_header(t);

	if (err || ftruncate(t->fd, bytes))
		return refuse(s, "its table cannot be completed: %s; do it again",
			      strerror(err ? -err : errno));
	/* A file on disk has no seals. */
	(void)fcntl(t->fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_SEAL);
	return 0;
}

static int finish_table(struct parse *s)
{
	struct table *t = &s->p->table;
	struct qcow_msg msg = { };
	const char *fault;

	table_set_header(t, s->p->format->name, &s->p->disk, s->entries, s->nr_files);
	if (qcow_map_table_check_header(&t->header, &msg))
		return refuse_table(s, msg.text);
	if (look_at_scratch(s))
		return -1;
	fault = table_check(t, s->sizes);
	return fault ? refuse_table(s, fault) : seal_table(s);
}

/* --- Files --- */

static void add_file(struct parse *s, u64 size, int scratch)
{
	s->sizes = xrealloc(s->sizes, (s->nr_files + 1) * sizeof(*s->sizes));
	s->scratch = xrealloc(s->scratch, (s->nr_files + 1) * sizeof(*s->scratch));
	s->sizes[s->nr_files] = size;
	s->scratch[s->nr_files++] = scratch;
}

/* Send the answer to the message that was received. Return: 0; -1: the child has gone. */
static int answer(struct parse *s, int err, u64 number, int fd)
{
	s->w = (struct wire) { .kind = s->w.kind, .err = err, .number = number };
	return wire_send(s->sock, &s->w, err ? -1 : fd) ? -1 : 0;
}

/* The callback has printed the error. */
static int answer_failed(struct parse *s)
{
	s->said = true;
	return answer(s, -EPERM, 0, -1);
}

static int do_open(struct parse *s)
{
	u64 size = 0;
	int fd;

	if (s->nr_files == QCOW_MAP_FILES_MAX || strlen(s->w.text) != s->w.len)
		return answer(s, -EINVAL, 0, -1);
	if (!s->how->host)
		return answer(s, -EPERM, 0, -1);
	fd = s->how->host->open(s->how->arg, s->w.text, &size);
	if (fd < 0)
		return answer_failed(s);
	add_file(s, size, -1);
	return answer(s, 0, size, fd);
}

/* To decompress takes time. The child has a hard limit above that. */
static void allow_time(struct parse *s)
{
	struct rlimit l;

	if (prlimit(s->pid, RLIMIT_CPU, NULL, &l))
		return;
	l.rlim_cur = min((u64)s->limits.cpu_expand, l.rlim_max - 1ULL);
	if (!prlimit(s->pid, RLIMIT_CPU, &l, NULL))
		s->limits.cpu = l.rlim_cur;
}

static int do_scratch(struct parse *s)
{
	int fd;

	if (s->nr_scratch == SCRATCH_MAX || s->nr_files == QCOW_MAP_FILES_MAX)
		return answer(s, -EMFILE, 0, -1);
	if (!s->how->host)
		return answer(s, -EPERM, 0, -1);
	fd = s->how->host->scratch(s->how->arg);
	if (fd < 0)
		return answer_failed(s);
	s->nr_scratch++;
	add_file(s, 0, fd);
	allow_time(s);
	return answer(s, 0, 0, fd);
}

static int do_spill(struct parse *s)
{
	int fd = -1;
	int err = table_on_disk(s, s->w.number, &fd);

	return answer(s, err, 0, fd);
}

/* --- What the child says --- */

static int refuse_protocol(struct parse *s)
{
	return refuse(s, "its parser sent something that makes no sense, as if the image had taken it over; do not use the image");
}

/* A name is text without a NUL. */
static bool is_text(const struct parse *s)
{
	return s->w.len && strlen(s->w.text) == s->w.len;
}

static int add_parent(struct parse *s)
{
	struct parsed *p = s->p;

	if (!is_text(s) || p->nr_parents == PARENTS_MAX ||
	    s->w.number > (p->format == &foreign_ova))
		return refuse_protocol(s);
	p->parents = xrealloc(p->parents, (p->nr_parents + 1) * sizeof(*p->parents));
	p->parents[p->nr_parents++] = (struct parsed_parent) {
		.name = xstrdup(s->w.text), .is_member = s->w.number,
	};
	return 0;
}

static bool is_key(const char *key)
{
	size_t len = strlen(key);

	return len && strspn(key, "abcdefghijklmnopqrstuvwxyz0123456789.-_") == len;
}

static int add_fact(struct parse *s, bool text)
{
	if (!is_key(s->w.key) || s->p->nr_facts == FACTS_MAX)
		return refuse_protocol(s);
	parsed_add_fact(s->p, s->w.key, text ? s->w.text : NULL, s->w.number);
	return 0;
}

static int add_fault(struct parse *s, bool leak)
{
	const struct parse_host *host = s->how->host;

	if (host && host->fault)
		host->fault(s->how->arg, leak, s->w.text);
	return 0;
}

static bool is_terminated(const char *text, size_t size)
{
	return memchr(text, '\0', size);
}

static bool is_sector_size(u32 bytes)
{
	return bytes >= QCOW_SECTOR_SIZE_MIN && bytes <= QCOW_SECTOR_SIZE_MAX &&
	       !(bytes & (bytes - 1));
}

static int set_disk(struct parse *s)
{
	const struct foreign_format *format = s->how->format;
	struct foreign_disk *d = &s->p->disk;

	/* Only an archive has an image of another format. */
	if (format == &foreign_ova)
		format = foreign_format(s->w.key);
	if (s->w.len != sizeof(*d) || !format)
		return refuse_protocol(s);
	s->p->disk_format = format;
	memcpy(d, s->w.text, sizeof(*d));
	d->has_parent = s->w.text[offsetof(struct foreign_disk, has_parent)];
	d->dirty = s->w.text[offsetof(struct foreign_disk, dirty)];
	d->parent_by_id = s->w.text[offsetof(struct foreign_disk, parent_by_id)];
	d->parent_optional = s->w.text[offsetof(struct foreign_disk, parent_optional)];
	if (!d->size || d->size > (u64)S64_MAX - SZ_512 || !is_sector_size(d->sector_size) ||
	    !is_terminated(d->id, sizeof(d->id)) ||
	    !is_terminated(d->parent_id, sizeof(d->parent_id)) ||
	    !is_terminated(d->change_id, sizeof(d->change_id)) ||
	    !is_terminated(d->parent_change_id, sizeof(d->parent_change_id)) ||
	    (d->parent_by_id && !d->parent_id[0]) ||
	    !is_terminated(d->parent_format, sizeof(d->parent_format)))
		return refuse_protocol(s);
	return 0;
}

static int check_confined(struct parse *s)
{
	char *step;

	s->confined = true;
	if (!s->w.err)
		return 0;
	step = text_escape(s->w.text);
	refuse(s, "its parser cannot be confined (%s: %s), so the image is not looked at; use a kernel with seccomp, or on another machine %s",
	       step, strerror(-s->w.err), foreign_other_way(s->how->format));
	free(step);
	return -1;
}

/* The parser refused the image. */
static int refuse_image(struct parse *s)
{
	struct qcow_msg msg = { .code = s->w.number };

	if (s->said || s->how->quiet)
		return -1;
	s->said = true;
	if (msg.code > QCOW_MSG_READ_ONLY)
		msg.code = QCOW_MSG_ERRNO;
	snprintf(msg.text, sizeof(msg.text), "%.*s", (int)sizeof(msg.text) - 1, s->w.text);
	report_msg(s->how->file->name, s->w.err, &msg);
	return -1;
}

static int do_end(struct parse *s)
{
	if (s->w.err < -4095 || s->w.err > 0)
		return refuse_protocol(s);
	s->ended = true;
	if (s->w.err)
		return refuse_image(s);
	/* An image may end before its last byte. */
	progress(WORK, s->bytes_all, s->bytes_all);
	if (!s->p->disk.size)
		return refuse_protocol(s);
	s->entries = s->w.total;
	return 0;
}

/* Return: 0; or -1 after printing the error, or if the child has gone. */
static int handle(struct parse *s)
{
	/* The first message, and no other, tells whether the child is confined. */
	if (s->confined == (s->w.kind == WIRE_CONFINED))
		return refuse_protocol(s);
	switch (s->w.kind) {
	case WIRE_OPEN:
		return do_open(s);
	case WIRE_SCRATCH:
		return do_scratch(s);
	case WIRE_SPILL:
		return do_spill(s);
	case WIRE_BACKING:
		return add_parent(s);
	case WIRE_FACT:
	case WIRE_NUMBER:
		return add_fact(s, s->w.kind == WIRE_FACT);
	case WIRE_FAULT:
	case WIRE_LEAK:
		return add_fault(s, s->w.kind == WIRE_LEAK);
	case WIRE_PROGRESS:
		/* The end is told when the child has ended. */
		s->bytes_all = s->w.total;
		if (s->w.number < s->bytes_all)
			progress(WORK, s->w.number, s->bytes_all);
		return 0;
	case WIRE_DISK:
		return set_disk(s);
	case WIRE_CONFINED:
		return check_confined(s);
	case WIRE_END:
		return do_end(s);
	}
	return refuse_protocol(s);
}

/* --- The child --- */

static int send_file(struct parse *s, enum wire_kind kind, int fd)
{
	s->w = (struct wire) { .kind = kind };
	return wire_send(s->sock, &s->w, fd);
}

static int talk(struct parse *s)
{
	int err = send_file(s, WIRE_START, s->how->file->fd);

	if (!err && s->how->want == PARSE_TABLE)
		err = send_file(s, WIRE_SPILL, s->p->table.fd);
	while (!err && !s->ended) {
		err = wire_receive(s->sock, &s->w, NULL);
		if (err == -EPROTO)
			return refuse_protocol(s);
		if (!err)
			err = handle(s);
	}
	progress_end();
	return err ? -1 : 0;
}

/* The child ended before it had said so. */
static int refuse_ended(struct parse *s, int status)
{
	int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;

	switch (signal) {
	case SIGXCPU:
		return refuse(s, "its parser had not ended after %u seconds of work, as if the image were made for that; %s",
			      s->limits.cpu, foreign_other_way(s->how->format));
	case SIGSYS:
		return refuse(s, "its parser tried what it is not allowed, as if the image had taken it over; do not use the image");
	case SIGINT:
	case SIGTERM:
	case SIGHUP:
		return refuse(s, "interrupted");
	case SIGKILL:
		return refuse(s, "its parser was killed, perhaps for lack of memory; free some memory, then do it again");
	case 0:
		return refuse(s, "its parser ended early; see the kernel log");
	}
	return refuse(s, "its parser failed (%s), which is an error of this program; %s",
		      strsignal(signal), foreign_other_way(s->how->format));
}

/* A child that is not needed any more is ended. Return: its status. */
static int end_child(struct parse *s)
{
	int status = 0;

	close(s->sock);
	if (!s->ended && s->said)
		kill(s->pid, SIGKILL);
	while (waitpid(s->pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

static int start_child(struct parse *s, const struct child_how *how)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return refuse(s, "its parser cannot be started: %s; close some programs",
			      strerror(errno));
	s->pid = child_fork(pair[1]);
	if (!s->pid)
		child_run(pair[1], how);
	close(pair[1]);
	s->sock = pair[0];
	if (s->pid > 0)
		return 0;
	close(s->sock);
	return refuse(s, "its parser cannot be started: %s; close some programs", strerror(errno));
}

static int run_child(struct parse *s)
{
	const char *slash = strrchr(s->how->file->name, '/');
	u64 expand_max = s->how->expand_max ? s->how->expand_max : PARSE_EXPAND_MAX;
	const struct child_how how = {
		.format = s->how->format,
		.want = s->how->want,
		.how = {
			.size = s->how->file->size,
			.name = slash ? slash + 1 : s->how->file->name,
			.alone = s->how->alone,
			.member = s->how->member,
			.expand_max = expand_max,
			.facts_only = s->how->want == PARSE_FACTS,
			.check_only = s->how->want == PARSE_CHECK,
		},
		.expand_max = expand_max,
		.limits = s->limits,
	};
	int err = start_child(s, &how), status;

	if (err)
		return err;
	err = talk(s);
	status = end_child(s);
	return err && !s->ended ? refuse_ended(s, status) : err;
}

/* A check decompresses all of an image. */
static u32 choose_cpu(const struct parse_how *how)
{
	u64 size = how->want == PARSE_CHECK ? how->file->size : 0;

	return min(CHILD_CPU + size / CHILD_CHECK_RATE, CHILD_CPU_MAX);
}

/**
 * parse_limits() - choose the resources that a parser may have
 * @how: the image, and the reason why it is parsed
 *
 * Return: they.
 */
struct confine_limits parse_limits(const struct parse_how *how)
{
	u64 expand = how->expand_max ? how->expand_max : PARSE_EXPAND_MAX;
	u64 table = QCOW_MAP_HEADER_BYTES + QCOW_MAP_ENTRIES_BYTES_MAX;

	if (how->limits)
		return *how->limits;
	return (struct confine_limits) {
		.memory = CHILD_MEMORY,
		.file = expand > table ? expand : table,
		.cpu = choose_cpu(how),
		.cpu_expand = min(choose_cpu(how) + expand / CHILD_EXPAND_RATE, CHILD_CPU_MAX),
		.files = QCOW_MAP_FILES_MAX + 16,
	};
}

/* An image of many files needs as many descriptors. */
static void allow_files(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) || l.rlim_cur >= 2 * QCOW_MAP_FILES_MAX)
		return;
	l.rlim_cur = min(l.rlim_max, 2ULL * QCOW_MAP_FILES_MAX);
	(void)setrlimit(RLIMIT_NOFILE, &l);
}

/**
 * parse_image() - have an image of a foreign format parsed
 * @p: the result; parsed_free() it, after a failure too
 * @how: the image, and the reason
 *
 * Return: 0, or -1 after printing the error.
 */
int parse_image(struct parsed *p, const struct parse_how *how)
{
	struct parse s = { .p = p, .how = how, .limits = parse_limits(how) };
	int err = 0;

	*p = (struct parsed) { .format = how->format, .disk_format = how->format, .table.fd = -1 };
	/* A child that was taken over must not write. The image had another format before. */
	if (how->file->writable)
		return refuse(&s, "has changed meanwhile; do it again");
	allow_files();
	add_file(&s, how->file->size, -1);
	if (how->want == PARSE_TABLE)
		err = table_in_memory(&s);
	if (!err)
		err = run_child(&s);
	if (!err && how->want == PARSE_TABLE)
		err = finish_table(&s);
	free(s.sizes);
	free(s.scratch);
	return err;
}

/**
 * parsed_add_fact() - add a fact to the findings about an image
 * @p: the findings
 * @key: of &struct parsed_fact
 * @text: the fact; NULL: @number counts
 * @number: the fact
 */
void parsed_add_fact(struct parsed *p, const char *key, const char *text, s64 number)
{
	p->facts = xrealloc(p->facts, (p->nr_facts + 1) * sizeof(*p->facts));
	p->facts[p->nr_facts++] = (struct parsed_fact) {
		.key = xstrdup(key), .text = text ? xstrdup(text) : NULL, .number = number,
	};
}

/**
 * parsed_text() - look up a fact that is a text
 * @p: the findings of a parser
 * @key: of &struct parsed_fact
 *
 * Return: the text, or NULL.
 */
const char *parsed_text(const struct parsed *p, const char *key)
{
	u32 i;

	for (i = 0; i < p->nr_facts; i++)
		if (!strcmp(p->facts[i].key, key))
			return p->facts[i].text;
	return NULL;
}

/**
 * parsed_free() - free the findings of a parser
 * @p: they
 */
void parsed_free(struct parsed *p)
{
	u32 i;

	for (i = 0; i < p->nr_parents; i++)
		free(p->parents[i].name);
	for (i = 0; i < p->nr_facts; i++) {
		free(p->facts[i].key);
		free(p->facts[i].text);
	}
	free(p->parents);
	free(p->facts);
	table_free(&p->table);
}
