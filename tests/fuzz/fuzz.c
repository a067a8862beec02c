// SPDX-License-Identifier: GPL-2.0
/*
 * libFuzzer's entry points. An input is an image file, and the commands of qcowctl
 * that read it or repair it are called in this process. $FUZZ_TARGET says which. The
 * current folder has to be empty, but for backing and data files that images name.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <json-c/json.h>
#include <locale.h>
#include <stdarg.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "cmd/run.h"
#include "fuzz.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Processor time that one input may take: unlike the clock's, it is the same under load. */
#define LIMIT_SECONDS	5

#define IMAGE		"image.qcow2"
#define MAX_TEXT	(1U << 20)
#define MAX_WORDS	8

/* Exit codes of check. */
#define CLEAN		0
#define FAILED		1
/* An image of a format that is not repaired */
#define UNSUPPORTED	63

/* incompatible_features: a repair clears the bits that say dirty and corrupt. */
#define FEATURES_AT	72
#define FEATURES_BYTES	8

/**
 * struct output - the output of a command
 * @hash: of all of it
 * @len: bytes, of which @text has the first
 * @text: with a NUL
 */
struct output {
	uint64_t hash;
	size_t len;
	char text[MAX_TEXT + 1];
};

static struct output out, messages;
static const struct target *target;
static int image_fd = -1, first_free_fd, real_stderr;

void fuzz_broken(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	dprintf(real_stderr, "fuzz: ");
	vdprintf(real_stderr, fmt, args);
	dprintf(real_stderr, "\n");
	va_end(args);
	abort();
}

/* --- Output --- */

static ssize_t output_write(void *cookie, const char *buf, size_t len)
{
	struct output *o = cookie;
	size_t room = o->len < MAX_TEXT ? MAX_TEXT - o->len : 0, i;

	for (i = 0; i < len; i++)
		o->hash = (o->hash ^ (unsigned char)buf[i]) * 0x100000001b3ULL;
	if (room) {
		room = len < room ? len : room;
		memcpy(o->text + o->len, buf, room);
		o->text[o->len + room] = 0;
	}
	o->len += len;
	return len;
}

static FILE *output_open(struct output *o)
{
	FILE *f = fopencookie(o, "w", (cookie_io_functions_t){ .write = output_write });

	if (!f)
		abort();
	return f;
}

static void output_reset(struct output *o)
{
	o->hash = 0xcbf29ce484222325ULL;
	o->len = 0;
	o->text[0] = 0;
}

/* Names come from the image, and may have control characters; these must not be printed. */
static void output_check(const struct output *o, const char *command)
{
	const unsigned char *s = (const unsigned char *)o->text;

	for (; *s; s++) {
		promise(*s >= ' ' || *s == '\n', "%s prints the control character %#x",
			command, *s);
		promise(*s != 0x7f, "%s prints DEL", command);
		promise(*s != 0xc2 || s[1] < 0x80 || s[1] > 0x9f,
			"%s prints the control character U+%04X", command, s[1]);
	}
}

static void output_check_json(const struct output *o, const char *command)
{
	enum json_tokener_error err;
	struct json_object *json;

	if (o->len > MAX_TEXT)
		return;
	json = json_tokener_parse_verbose(o->text, &err);
	promise(err == json_tokener_success, "%s prints no JSON: %s\n%s", command,
		json_tokener_error_desc(err), o->text);
	json_object_put(json);
}

/* --- Commands --- */

static int next_fd(void)
{
	int fd = dup(image_fd);

	close(fd);
	return fd;
}

/* run(COMMAND, WORD...) returns the exit code; the output goes to @out. */
static int run(const struct command *command, const char *name, ...)
{
	char *words[MAX_WORDS] = { (char *)name };
	int argc = 1, code;
	va_list args;

	va_start(args, name);
	while (argc < MAX_WORDS - 1 && (words[argc] = va_arg(args, char *)))
		argc++;
	va_end(args);
	output_reset(&out);
	output_reset(&messages);
	optind = 0;
	code = command_run(command, argc, words);
	fflush(stdout);
	fflush(stderr);
	output_check(&out, name);
	output_check(&messages, name);
	promise(next_fd() == first_free_fd, "%s leaves a file open", name);
	promise(code != FAILED || messages.len, "%s fails and does not say why", name);
	return code;
}

/* As run(), of a command that prints JSON if it succeeds. */
#define run_json(...) \
	do { if (!run(__VA_ARGS__)) output_check_json(&out, "a command"); } while (0)

static void put_image(const uint8_t *data, size_t size)
{
	if (ftruncate(image_fd, 0) || ftruncate(image_fd, size) ||
	    pwrite(image_fd, data, size, 0) != (ssize_t)size)
		fuzz_broken("cannot write the image: %s", strerror(errno));
}

/* --- Targets --- */

static void fuzz_check(const uint8_t *data, size_t size)
{
	int code, again;

	put_image(data, size);
	code = run(&check_command, "check", IMAGE, NULL);
	again = run(&check_command, "check", "-J", IMAGE, NULL);
	promise(code == again, "check says %d, check -J says %d", code, again);
	if (out.len)
		output_check_json(&out, "check -J");
}

/* Whether the image has not changed, but for its dirty and corrupt bits. */
static bool image_kept(const uint8_t *data, size_t size)
{
	size_t start = size < FEATURES_AT ? size : FEATURES_AT;
	size_t end = FEATURES_AT + FEATURES_BYTES;
	uint8_t *now = malloc(size + 1);
	bool same;

	same = pread(image_fd, now, size + 1, 0) == (ssize_t)size;
	same = same && !memcmp(now, data, start) &&
	       (size <= end || !memcmp(now + end, data + end, size - end));
	free(now);
	return same;
}

/* The map of the disk, or 0: it has none. */
static uint64_t map_hash(void)
{
	return run(&map_command, "map", "-J", IMAGE, NULL) ? 0 : out.hash;
}

/* One way to repair. Whatever it did, a check afterwards says the same. */
static void repair(const char *option, int before, const uint8_t *data, size_t size,
		  uint64_t map)
{
	int code, after;

	put_image(data, size);
	code = run(&check_command, "check", option, IMAGE, NULL);
	promise(before != CLEAN || (code == CLEAN && image_kept(data, size)),
		"check %s changes an image without errors, exit code %d", option, code);
	promise(code != UNSUPPORTED || image_kept(data, size),
		"check %s changes an image that it does not repair", option);
	after = run(&check_command, "check", IMAGE, NULL);
	promise(code == FAILED || code == UNSUPPORTED || code == after,
		"check %s says %d, a check after it %d: %s", option, code, after, out.text);
	/* A repair mends metadata. Readable data of the disk stays at its guest offset. */
	if (map)
		promise(map == map_hash(), "check %s changes the map of the disk", option);
}

static void fuzz_repair(const uint8_t *data, size_t size)
{
	uint64_t map;
	int before;

	put_image(data, size);
	before = run(&check_command, "check", IMAGE, NULL);
	map = map_hash();
	repair("--repair=leaks", before, data, size, map);
	repair("--repair=all", before, data, size, map);
}

static void fuzz_map(const uint8_t *data, size_t size)
{
	int code, json;

	put_image(data, size);
	code = run(&map_command, "map", IMAGE, NULL);
	json = run(&map_command, "map", "-J", IMAGE, NULL);
	promise(code == json, "map ends in %d, map -J in %d", code, json);
	if (!json)
		output_check_json(&out, "map -J");
}

static void fuzz_info(const uint8_t *data, size_t size)
{
	put_image(data, size);
	(void)run(&info_command, "info", IMAGE, NULL);
	(void)run(&info_command, "info", "--chain", IMAGE, NULL);
	run_json(&info_command, "info", "-J", IMAGE, NULL);
}

static void fuzz_lists(const uint8_t *data, size_t size)
{
	put_image(data, size);
	(void)run(&snapshot_command, "snapshot", "list", IMAGE, NULL);
	run_json(&snapshot_command, "snapshot", "list", "-J", IMAGE, NULL);
	(void)run(&bitmap_command, "bitmap", "list", IMAGE, NULL);
	run_json(&bitmap_command, "bitmap", "list", "-J", IMAGE, NULL);
	(void)run(&map_command, "map", "--bitmap", "b0", IMAGE, NULL);
	run_json(&map_command, "map", "-J", "--bitmap", "b1", IMAGE, NULL);
}

/* --- Faults, to see that they are found --- */

static void broken_promise(const uint8_t *data, size_t size)
{
	promise(!data[size - 1] && data[0] == 'X', "this fault was made");
}

static void broken_read(const uint8_t *data, size_t size)
{
	volatile uint8_t byte = data[size];

	(void)byte;
}

static void broken_undefined(const uint8_t *data, size_t size)
{
	volatile int shift = 32 + data[0];

	(void)size;
	shift = 1 << shift;
}

static void broken_leak(const uint8_t *data, size_t size)
{
	void *volatile lost = malloc(size + data[0]);

	lost = NULL;
	(void)lost;
}

/* @of_qcow: its input is an image of qcow or qcow2 */
static const struct target {
	const char *name;
	void (*run)(const uint8_t *data, size_t size);
	bool of_qcow;
} targets[] = {
	{ "broken-promise", broken_promise, false },
	{ "broken-read", broken_read, false },
	{ "broken-undefined", broken_undefined, false },
	{ "broken-leak", broken_leak, false },
	{ "pure", fuzz_pure, false },
	{ "counts", fuzz_counts, false },
	{ "foreign", fuzz_foreign, false },
	{ "check", fuzz_check, true },
	{ "repair", fuzz_repair, true },
	{ "map", fuzz_map, true },
	{ "info", fuzz_info, true },
	{ "lists", fuzz_lists, true },
};

/* --- No driver --- */

int __wrap_device_control_quiet(void);
int __wrap_sysfs_devices(int **list);

int __wrap_device_control_quiet(void)
{
	errno = ENOENT;
	return -1;
}

int __wrap_sysfs_devices(int **list)
{
	*list = NULL;
	return 0;
}

/* --- libFuzzer --- */

bool fuzz_runs(const char *name)
{
	return !strcmp(getenv("FUZZ_TARGET"), name);
}

static void too_slow(int signal)
{
	static const char text[] = "fuzz: takes too much processor time\n";

	(void)signal;
	if (write(real_stderr, text, sizeof(text) - 1) < 0)
		_exit(1);
	abort();
}

static void set_timer(int seconds)
{
	const struct itimerval limit = { .it_value.tv_sec = seconds };

	setitimer(ITIMER_PROF, &limit, NULL);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	const char *name = getenv("FUZZ_TARGET");
	size_t i;

	(void)argc;
	(void)argv;
	for (i = 0; name && i < sizeof(targets) / sizeof(targets[0]); i++)
		if (!strcmp(name, targets[i].name))
			target = &targets[i];
	if (name && !strcmp(name, "formats")) {
		fuzz_print_formats();
		exit(0);
	}
	image_fd = open(IMAGE, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	real_stderr = dup(STDERR_FILENO);
	if (!target || image_fd < 0 || real_stderr < 0) {
		fprintf(stderr, "fuzz: FUZZ_TARGET is no target, or the folder cannot be written\n");
		exit(1);
	}
	setlocale(LC_CTYPE, "C.UTF-8");
	signal(SIGPROF, too_slow);
	opterr = 0;
	stdout = output_open(&out);
	stderr = output_open(&messages);
	return 0;
}

/*
 * An image of another format is left to the target "foreign": in a command its parser is a
 * process with a limit on memory, where AddressSanitizer may wait for itself.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (target->of_qcow && (size < 4 || memcmp(data, "QFI\xfb", 4)))
		return 0;
	first_free_fd = next_fd();
	set_timer(LIMIT_SECONDS);
	target->run(data, size);
	set_timer(0);
	return 0;
}
