// SPDX-License-Identifier: GPL-2.0
/*
 * sandbox PARSER FILE: runs a parser that does not keep to the rules, in the child that
 * qcowctl has for parsers, with few resources. The exit status is 1 if the child's work is
 * refused, with a line on standard error; 3 if the parser got what it must not have.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "foreign/parse.h"
#include "foreign/wire.h"
#include "lib/report.h"

#define DISK_BYTES	SZ_1M

static const struct confine_limits limits = {
	.memory = SZ_64M, .file = SZ_1M, .cpu = 1, .cpu_expand = 2, .files = 32,
};

/* The descriptors of the child are the first ones. */
static void on_each_descriptor(void (*f)(int fd))
{
	int fd;

	for (fd = 0; fd < 32; fd++)
		f(fd);
}

static int open_well(struct foreign *f)
{
	f->disk.size = DISK_BYTES;
	return 0;
}

static int find_zeros(struct foreign *f, u64 guest_offset, struct foreign_piece *p)
{
	p->length = f->disk.size - guest_offset;
	p->kind = QCOW_MAP_ZERO;
	return 0;
}

static int open_another_file(struct foreign *f)
{
	return open("/etc/hostname", O_RDONLY) < 0 ? -errno : open_well(f);
}

static int open_fork(struct foreign *f)
{
	return fork() < 0 ? -errno : open_well(f);
}

static int open_socket(struct foreign *f)
{
	return socket(AF_INET, SOCK_STREAM, 0) < 0 ? -errno : open_well(f);
}

static int open_kill(struct foreign *f)
{
	kill(getppid(), SIGKILL);
	return open_well(f);
}

/* Code that the image brings. */
static int open_code(struct foreign *f)
{
	void *p = mmap(NULL, SZ_4K, PROT_READ | PROT_WRITE | PROT_EXEC,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? -errno : open_well(f);
}

static int open_much_memory(struct foreign *f)
{
	size_t mib;

	for (mib = 0; mib < 256; mib++)
		if (!foreign_alloc(f, 1, SZ_1M))
			return -ENOMEM;
	return open_well(f);
}

static int open_loop(struct foreign *f)
{
	volatile u64 n;

	for (n = 0; n < ~0ULL; n++)
		;
	return open_well(f);
}

static int open_crash(struct foreign *f)
{
	raise(SIGSEGV);
	return open_well(f);
}

static int open_null(struct foreign *f)
{
	volatile int *p = NULL;

	*p = 1;
	return open_well(f);
}

static int open_end(struct foreign *f)
{
	(void)f;
	_exit(0);
}

static void write_image(int fd)
{
	char byte = 'X';

	(void)!pwrite(fd, &byte, 1, 0);
}

static int open_write_image(struct foreign *f)
{
	on_each_descriptor(write_image);
	return open_well(f);
}

static void fill_file(int fd)
{
	static char bytes[SZ_64K];
	u64 file_offset;

	for (file_offset = 0; file_offset < SZ_64M * 2ULL; file_offset += sizeof(bytes))
		if (pwrite(fd, bytes, sizeof(bytes), file_offset) < 0)
			return;
}

/* The files that it may write are limited. */
static int open_fill(struct foreign *f)
{
	on_each_descriptor(fill_file);
	return open_well(f);
}

static int open_scratch(struct foreign *f)
{
	static char bytes[SZ_64K];
	u32 file;
	u64 file_offset;
	int err = foreign_scratch(f, &file);

	for (file_offset = 0; !err && file_offset < SZ_16M; file_offset += sizeof(bytes))
		err = foreign_write(f, file, bytes, sizeof(bytes), file_offset);
	return err ? err : open_well(f);
}

/* It takes the time that it has to decompress data. */
static int open_scratch_loop(struct foreign *f)
{
	u32 file;
	int err = foreign_scratch(f, &file);

	return err ? err : open_loop(f);
}

/* The file for decompressed data has no room. */
static int open_full(struct foreign *f)
{
	u32 file;
	int err = foreign_scratch(f, &file);

	return err ? err : foreign_write(f, file, "x", 1, 0);
}

/* A disk of many pieces. */
static int open_pieces(struct foreign *f)
{
	f->disk.size = SZ_64M;
	return 0;
}

static int find_pieces(struct foreign *f, u64 guest_offset, struct foreign_piece *p)
{
	(void)f;
	p->length = SZ_512;
	p->kind = guest_offset / SZ_512 % 2 ? QCOW_MAP_ZERO : QCOW_MAP_DATA;
	return 0;
}

/* --- Messages --- */

static struct wire message;

static void send_message(int fd)
{
	(void)wire_send(fd, &message, -1);
}

static void send_kind(enum wire_kind kind, const char *key, const char *text)
{
	message = (struct wire) { .kind = kind };
	snprintf(message.key, sizeof(message.key), "%s", key);
	wire_set_text(&message, text);
	on_each_descriptor(send_message);
}

static int open_unknown_message(struct foreign *f)
{
	send_kind(99, "", "");
	return open_well(f);
}

static int open_bad_key(struct foreign *f)
{
	send_kind(WIRE_FACT, "\033[31mkey", "value");
	return open_well(f);
}

static void send_short(int fd)
{
	(void)!sendmsg(fd, &(struct msghdr) {
		.msg_iov = &(struct iovec) { .iov_base = "short", .iov_len = 5 },
		.msg_iovlen = 1,
	}, MSG_NOSIGNAL);
}

static int open_short_message(struct foreign *f)
{
	on_each_descriptor(send_short);
	return open_well(f);
}

static int open_many_facts(struct foreign *f)
{
	int i;

	for (i = 0; i < 1000000; i++)
		foreign_tell_number(f, "n", i);
	return open_well(f);
}

static int open_control_text(struct foreign *f)
{
	return foreign_fail(f, "has \033[31m red text\n");
}

/* It was confined before. */
static int open_confined_again(struct foreign *f)
{
	message = (struct wire) { .kind = WIRE_CONFINED, .err = -EPERM };
	wire_set_text(&message, "\033[31m");
	on_each_descriptor(send_message);
	return open_well(f);
}

static int open_huge_disk(struct foreign *f)
{
	struct foreign_disk d = { .size = ~0ULL, .sector_size = 512 };

	(void)f;
	message = (struct wire) { .kind = WIRE_DISK, .len = sizeof(d) };
	memcpy(message.text, &d, sizeof(d));
	on_each_descriptor(send_message);
	return open_well(f);
}

/* The end without a table. */
static int open_early_end(struct foreign *f)
{
	struct foreign_disk d = { .size = DISK_BYTES, .sector_size = 512 };

	(void)f;
	message = (struct wire) { .kind = WIRE_DISK, .len = sizeof(d) };
	memcpy(message.text, &d, sizeof(d));
	on_each_descriptor(send_message);
	message = (struct wire) { .kind = WIRE_END, .total = 1000000 };
	on_each_descriptor(send_message);
	return open_well(f);
}

/* --- Tables --- */

/* The parser says that its file is longer. */
static int find_past_end(struct foreign *f, u64 guest_offset, struct foreign_piece *p)
{
	f->files[0].size = SZ_1G;
	p->length = f->disk.size - guest_offset;
	p->kind = QCOW_MAP_DATA;
	p->host_offset = SZ_16M;
	return 0;
}

static int find_hole(struct foreign *f, u64 guest_offset, struct foreign_piece *p)
{
	f->disk.has_parent = true;
	p->length = f->disk.size - guest_offset;
	return 0;
}

static int find_no_file(struct foreign *f, u64 guest_offset, struct foreign_piece *p)
{
	(void)guest_offset;
	f->nr_files = 1;
	f->files[0].number = 7;
	f->files[0].size = SZ_1G;
	p->length = SZ_512;
	p->kind = QCOW_MAP_DATA;
	return 0;
}

static const struct foreign_format parsers[] = {
	{ .name = "well", .open = open_well, .find = find_zeros },
	{ .name = "file", .open = open_another_file, .find = find_zeros },
	{ .name = "fork", .open = open_fork, .find = find_zeros },
	{ .name = "socket", .open = open_socket, .find = find_zeros },
	{ .name = "kill", .open = open_kill, .find = find_zeros },
	{ .name = "code", .open = open_code, .find = find_zeros },
	{ .name = "memory", .open = open_much_memory, .find = find_zeros },
	{ .name = "loop", .open = open_loop, .find = find_zeros },
	{ .name = "raise", .open = open_crash, .find = find_zeros },
	{ .name = "null", .open = open_null, .find = find_zeros },
	{ .name = "end", .open = open_end, .find = find_zeros },
	{ .name = "write", .open = open_write_image, .find = find_zeros },
	{ .name = "fill", .open = open_fill, .find = find_zeros },
	{ .name = "scratch", .open = open_scratch, .find = find_zeros },
	{ .name = "scratch_loop", .open = open_scratch_loop, .find = find_zeros },
	{ .name = "full", .open = open_full, .find = find_zeros },
	{ .name = "pieces", .open = open_pieces, .find = find_pieces },
	{ .name = "other_way", .open = open_pieces, .find = find_pieces, .other_way = "use tar" },
	{ .name = "confined", .open = open_confined_again, .find = find_zeros },
	{ .name = "unknown", .open = open_unknown_message, .find = find_zeros },
	{ .name = "key", .open = open_bad_key, .find = find_zeros },
	{ .name = "short", .open = open_short_message, .find = find_zeros },
	{ .name = "facts", .open = open_many_facts, .find = find_zeros },
	{ .name = "text", .open = open_control_text, .find = find_zeros },
	{ .name = "huge", .open = open_huge_disk, .find = find_zeros },
	{ .name = "early", .open = open_early_end, .find = find_zeros },
	{ .name = "past", .open = open_well, .find = find_past_end },
	{ .name = "hole", .open = open_well, .find = find_hole },
	{ .name = "number", .open = open_well, .find = find_no_file },
};

static int host_open(void *arg, const char *name, u64 *size)
{
	(void)arg;
	(void)name;
	(void)size;
	return -1;
}

/* @arg: the parser's name */
static int host_scratch(void *arg)
{
	if (!strcmp(arg, "full"))
		return open("/dev/full", O_RDWR | O_CLOEXEC);
	return memfd_create("scratch", MFD_CLOEXEC);
}

static const struct parse_host host = { .open = host_open, .scratch = host_scratch };

static int run(const struct foreign_format *parser, const char *name, bool write)
{
	const struct file_role role = { .use = FILE_NAMED, .write = write };
	struct parse_how how = {
		.format = parser, .want = PARSE_TABLE, .limits = &limits, .host = &host,
		.expand_max = SZ_8M, .arg = (void *)parser->name,
	};
	struct parsed p = { };
	struct file f;
	int err;

	if (file_open(&f, name, NULL, &role))
		return 2;
	how.file = &f;
	err = parse_image(&p, &how);
	if (!err)
		printf("%llu entries\n", (unsigned long long)p.table.header.nr_entries);
	parsed_free(&p);
	file_close(&f);
	return err ? 1 : 0;
}

/* The seconds of processor time that the check of a file of so many bytes has */
static int print_limit(const char *size)
{
	const struct file f = { .size = strtoull(size, NULL, 10) };
	const struct parse_how how = { .file = &f, .want = PARSE_CHECK };

	printf("%u seconds\n", parse_limits(&how).cpu);
	return 0;
}

int main(int argc, char **argv)
{
	size_t i;

	if (argc == 3 && !strcmp(argv[1], "check-limit"))
		return print_limit(argv[2]);
	for (i = 0; (argc == 3 || argc == 4) && i < ARRAY_SIZE(parsers); i++)
		if (!strcmp(parsers[i].name, argv[1]))
			return run(&parsers[i], argv[2], argc == 4);
	fputs("usage: sandbox PARSER FILE [write]\n       sandbox check-limit BYTES\n", stderr);
	return 2;
}
