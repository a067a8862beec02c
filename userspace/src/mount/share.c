// SPDX-License-Identifier: GPL-2.0
/*
 * A device that mount.qcow2 attached for another mount of the same image: whether a mount
 * can have it, too. held.c and main.c call this.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "device/device.h"
#include "image/chain.h"
#include "lib/report.h"
#include "lib/sysfs.h"
#include "mount/share.h"

static bool attr_is(int index, const char *attr, const char *expected)
{
	char *value = sysfs_attr(index, attr);
	bool is = value && !strcmp(value, expected);

	free(value);
	return is;
}

/* --- Options --- */

/* Whether a file is allowed as a backing or data file. */
static bool is_allowed(int fd, void *arg)
{
	const struct chain_options *o = arg;

	return o->backing == CHAIN_BACKING_BENEATH && file_beneath(fd, o->beneath);
}

/* Whether all files of a device, but its image, are allowed. */
static bool backing_fits(const struct device *d, const struct chain_options *o)
{
	return o->backing == CHAIN_BACKING_AUTO ||
	       attached_all(d, is_allowed, (struct chain_options *)o);
}

/* @wanted: 0: the format may be any */
static bool format_fits(int index, u32 wanted)
{
	char *name = wanted ? sysfs_attr(index, "format") : NULL;
	bool fits = !wanted || (name && image_format(name) == wanted);

	free(name);
	return fits;
}

/* @wanted: 0: those of the image, which is of 512 bytes if its format has none */
static bool sectors_fit(int index, u32 wanted, u32 format)
{
	u64 bytes;

	if (!wanted && format == QCOW_FORMAT_MAP)
		return true;
	return sysfs_read_u64(&bytes, "/sys/block/qcow%d/queue/logical_block_size", index) &&
	       bytes == (wanted ? wanted : QCOW_SECTOR_SIZE_MIN);
}

/* Return: the option by which a device differs from the request; or NULL. */
static const char *difference(const struct device *d, const struct qcow_ioc_status *st,
			      const struct request *r)
{
	const struct qcow_ioc_attach *ioc = &r->attach.ioc;
	u32 differ = st->flags ^ ioc->flags;
	u32 io = ioc->flags & (QCOW_ATTACH_DIRECT | QCOW_ATTACH_BUFFERED);

	if (!format_fits(d->index, r->attach.chain.format))
		return "format";
	if (differ & QCOW_ATTACH_SALVAGE)
		return "salvage";
	if (differ & QCOW_ATTACH_UNTRUSTED)
		return "untrusted";
	if (differ & QCOW_ATTACH_NO_PARTSCAN)
		return "no-partitions";
	if (!sectors_fit(d->index, ioc->sector_size, st->format))
		return "sector-size";
	if (io && io & differ)
		return "direct-io";
	if (ioc->cache_size && ioc->cache_size != st->cache_size)
		return "cache-size";
	return backing_fits(d, &r->attach.chain) ? NULL : "backing";
}

/* Whether a device detaches itself, and shows the disk that the mount asks for. */
static bool shows_same(const struct attached_search *s, const struct request *r)
{
	const struct qcow_ioc_attach *ioc = &r->attach.ioc;
	int index = s->found.index;
	char offset[32];

	snprintf(offset, sizeof(offset), "%llu", (unsigned long long)ioc->offset);
	/* Each mount of a disk that is thrown away has one of its own. */
	if (r->attach.temporary || s->found.flags & (QCOW_FILE_TEMPORARY | QCOW_FILE_CHILD))
		return false;
	return attached_as_image(s) && attr_is(index, "autoclear", "1") &&
	       !ioc->size_limit && attr_is(index, "offset", offset) &&
	       attr_is(index, "snapshot",
		       ioc->snapshot ? (const char *)(uintptr_t)ioc->snapshot : "");
}

/**
 * share_judge() - tell whether a mount can have a device of its image
 * @s: the search, which has found the device
 * @r: the request
 *
 * A device with other options is refused if it writes the image, as then there can be no
 * other one; else the mount gets another one.
 *
 * Return: whether it can; a refusal was printed.
 */
enum share share_judge(const struct attached_search *s, const struct request *r)
{
	const struct device d = { .index = s->found.index, .diskseq = s->found.diskseq };
	struct qcow_ioc_status st;
	const char *what;

	if (!shows_same(s, r) || device_status(s->control, d.index, &st))
		return SHARE_OTHER;
	if (!request_read_only(r) && !(s->found.flags & QCOW_FILE_WRITABLE))
		return SHARE_OTHER;
	what = difference(&d, &st, r);
	if (!what)
		return SHARE_FITS;
	if (!(s->found.flags & QCOW_FILE_WRITABLE))
		return SHARE_OTHER;
	report(r->image, "is mounted from /dev/qcow%d with another value of %s; give the same options, or unmount that first",
	       d.index, what);
	return SHARE_REFUSED;
}

/* --- Read-only and writable --- */

/*
 * Change it for one node; with O_EXCL in @flags only if nobody has it mounted. Return: 0 or a
 * negative errno.
 */
static int set_read_only(const char *path, int flags, int read_only)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | flags), err;

	if (fd < 0)
		return -errno;
	err = ioctl(fd, BLKROSET, &read_only) ? -errno : 0;
	close(fd);
	return err;
}

static int get_read_only(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), read_only = 0;

	if (fd >= 0) {
		ioctl(fd, BLKROGET, &read_only);
		close(fd);
	}
	return read_only;
}

/**
 * share_allow_writing() - make the node of a mount writable, if its device is
 * @path: the node, which an earlier mount may have made read-only
 *
 * The mount that follows says whether that was possible.
 */
void share_allow_writing(const char *path)
{
	/* The kernel refuses it for a partition of a disk that is read-only. */
	set_read_only(path, 0, false);
}

/**
 * share_set_access() - make the node of a filesystem read-only or writable, as the mount is
 * @p: the filesystem, on a device that is shared
 * @r: the request
 *
 * A read-only mount writes nothing then, also where the filesystem has a journal to replay.
 *
 * Return: 0, or -1 after printing the error.
 */
int share_set_access(const struct pick *p, const struct request *r)
{
	bool read_only = request_read_only(r);
	int err;

	if (!!get_read_only(p->path) == read_only)
		return 0;
	err = set_read_only(p->path, O_EXCL, read_only);
	/* A filesystem that is mounted already replays no journal; the kernel decides. */
	if (err == -EBUSY && read_only)
		return 0;
	if (err == -EBUSY)
		report(r->image, "%s is mounted read-only already; unmount that first", p->path);
	else if (err)
		report(r->image, "%s cannot be made %s: %s", p->path,
		       read_only ? "read-only" : "writable", strerror(-err));
	return err ? -1 : 0;
}
