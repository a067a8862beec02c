// SPDX-License-Identifier: GPL-2.0
/*
 * QEMU's own tools as a second opinion.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sample.h"

#define LEAKS	3

__attribute__((format(printf, 1, 2)))
static int shell(const char *fmt, ...)
{
	char command[1024];
	va_list args;
	int status;

	va_start(args, fmt);
	vsnprintf(command, sizeof(command), fmt, args);
	va_end(args);
	fflush(stdout);
	status = system(command);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

static bool same_content(struct qcow2 *q, const char *raw, const tag_t *tags,
			 uint64_t sectors)
{
	unsigned char *p;
	size_t size;
	uint64_t s;
	bool same = true;

	p = map_file(raw, &size);
	if (size / BLOCK_SIZE != sectors)
		same = qcow2_wrong(q, "QEMU reads %zu bytes", size);
	for (s = 0; same && s < sectors; s++)
		if (tag_of(p + s * BLOCK_SIZE, q->d->seed) != tags[s])
			same = qcow2_wrong(q, "QEMU reads something else in sector %llu",
					   (unsigned long long)s);
	munmap(p, size);
	return same;
}

bool sample(struct qcow2 *q, const char *dir, const char *name)
{
	char path[512], raw[520];
	int code;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	snprintf(raw, sizeof(raw), "%s.raw", path);
	disk_save(q->d, path);
	if (q->stale)
		shell("qemu-img check -q -f qcow2 -r leaks %s > %s.check 2>&1", path, path);
	code = shell("qemu-img check -q -f qcow2 %s %s >> %s.check 2>&1",
		     q->dirty ? "-r all" : "", path, path);
	if (code && code != LEAKS)
		return qcow2_wrong(q, "qemu-img check: exit %d, see %s.check", code, path);
	code = shell("qemu-img convert -q -f qcow2 -O raw %s %s", path, raw);
	if (code)
		return qcow2_wrong(q, "qemu-img convert: exit %d", code);
	return same_content(q, raw, q->got, q->sectors);
}

bool sample_snapshots(struct qcow2 *q, const struct oracle *o, const char *dir,
		      const char *name)
{
	char raw[520];
	uint32_t i;

	snprintf(raw, sizeof(raw), "%s/%s.snapshot", dir, name);
	for (i = 1; o->nr && i < q->trees; i++) {
		if (shell("qemu-img convert -q -f qcow2 -l snapshot.name=%s -O raw %s/%s %s",
			  q->names[i], dir, name, raw))
			return qcow2_wrong(q, "qemu-img convert of snapshot %s", q->names[i]);
		if (!same_content(q, raw, oracle_snapshot(o, q->names[i]),
				  o->first_sectors))
			return false;
	}
	return true;
}

bool sample_content(struct qcow2 *q, const char *dir, const char *name,
		    const char *command, uint32_t mark)
{
	int code;

	if (!command)
		return true;
	code = shell("%s %s/%s.raw %u > %s/%s.content 2>&1", command, dir, name, mark,
		     dir, name);
	if (code)
		return qcow2_wrong(q, "after mark %u the content is wrong, see %s/%s.content",
				   mark, dir, name);
	return true;
}
