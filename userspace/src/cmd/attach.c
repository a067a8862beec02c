// SPDX-License-Identifier: GPL-2.0
/*
 * qcowctl attach: open the files of an image and hand them to the driver.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cmd/attach.h"
#include "cmd/attach_users.h"
#include "cmd/command.h"
#include "cmd/detach.h"
#include "cmd/image_options.h"
#include "create/overlay.h"
#include "device/alias.h"
#include "device/device.h"
#include "device/node.h"
#include "device/ready.h"
#include "device/sectors.h"
#include "device/still.h"
#include "device/which.h"
#include "image/chain.h"
#include "image/keys.h"
#include "image/snapshots.h"
#include "lib/clock.h"
#include "lib/report.h"
#include "lib/text.h"
#include "lib/unnamed.h"

static int option_refused(const char *name, const char *arg, const char *what)
{
	char *shown = text_escape(arg);

	report(name, "bad value \"%s\"; give %s", shown, what);
	free(shown);
	return -1;
}

static int parse_read_only(void *options, const char *arg)
{
	struct attach *a = options;

	(void)arg;
	a->ioc.flags |= QCOW_ATTACH_RO;
	return 0;
}

static int parse_window(__u64 *value, const char *name, const char *arg)
{
	u64 bytes;

	if (text_parse_size(arg, &bytes) || bytes % SZ_512)
		return option_refused(name, arg, "bytes, a multiple of 512, such as 1M");
	*value = bytes;
	return 0;
}

static int parse_offset(void *field, const char *arg)
{
	return parse_window(field, "--offset", arg);
}

static int parse_size_limit(void *field, const char *arg)
{
	return parse_window(field, "--size-limit", arg);
}

static int parse_sector_size(void *options, const char *arg)
{
	struct attach *a = options;

	if (sectors_parse(&a->ioc.sector_size, arg))
		return option_refused("--sector-size", arg, SECTORS_ALLOWED);
	return 0;
}

static int parse_cache_size(void *options, const char *arg)
{
	struct attach *a = options;
	u64 size;

	if (text_parse_size(arg, &size) || size < QCOW_CACHE_SIZE_MIN)
		return option_refused("--cache-size", arg, "a size of 64K or more, such as 32M");
	a->ioc.cache_size = size;
	return 0;
}

static int parse_fat_type(void *field, const char *arg)
{
	u32 *bits = field;

	*bits = !strcmp(arg, "16") ? 16 : 32;
	if (strcmp(arg, "16") && strcmp(arg, "32"))
		return option_refused("--fat-type", arg, "16 or 32");
	return 0;
}

static int parse_direct_io(void *options, const char *arg)
{
	struct attach *a = options;

	a->ioc.flags &= ~(QCOW_ATTACH_DIRECT | QCOW_ATTACH_BUFFERED);
	if (!strcmp(arg, "on"))
		a->ioc.flags |= QCOW_ATTACH_DIRECT;
	else if (!strcmp(arg, "off"))
		a->ioc.flags |= QCOW_ATTACH_BUFFERED;
	else if (strcmp(arg, "auto"))
		return option_refused("--direct-io", arg, "on, off or auto");
	return 0;
}

static int parse_backing(void *options, const char *arg)
{
	struct attach *a = options;
	struct stat st;

	free(a->beneath);
	a->beneath = NULL;
	a->chain.beneath = NULL;
	if (!strcmp(arg, "auto")) {
		a->chain.backing = CHAIN_BACKING_AUTO;
		return 0;
	}
	if (!strcmp(arg, "none")) {
		a->chain.backing = CHAIN_BACKING_NONE;
		return 0;
	}
	a->beneath = realpath(arg, NULL);
	if (!a->beneath || stat(a->beneath, &st) || !S_ISDIR(st.st_mode))
		return option_refused("--backing", arg, "auto, none or a folder");
	a->chain.backing = CHAIN_BACKING_BENEATH;
	a->chain.beneath = a->beneath;
	return 0;
}

static int parse_snapshot(void *options, const char *arg)
{
	struct attach *a = options;
	size_t len = strlen(arg);

	if (!len || len > QCOW_SNAPSHOT_NAME_MAX)
		return option_refused("--snapshot", arg, "the id or name of a snapshot");
	a->ioc.snapshot = (uintptr_t)arg;
	a->ioc.snapshot_len = len;
	a->ioc.flags |= QCOW_ATTACH_RO;
	return 0;
}

static int parse_untrusted(void *options, const char *arg)
{
	struct attach *a = options;

	(void)arg;
	a->chain.untrusted = true;
	a->ioc.flags |= QCOW_ATTACH_UNTRUSTED | QCOW_ATTACH_RO | QCOW_ATTACH_NO_PARTSCAN;
	return 0;
}

static int parse_salvage(void *options, const char *arg)
{
	struct attach *a = options;

	(void)arg;
	a->chain.salvage = true;
	a->ioc.flags |= QCOW_ATTACH_SALVAGE | QCOW_ATTACH_RO;
	return 0;
}

static int parse_name(void *options, const char *arg)
{
	struct attach *a = options;

	if (!alias_is_valid(arg))
		return option_refused("--name", arg, ALIAS_ALLOWED);
	a->ioc.alias = (uintptr_t)arg;
	a->ioc.alias_len = strlen(arg);
	return 0;
}

static int parse_no_partitions(void *options, const char *arg)
{
	struct attach *a = options;

	(void)arg;
	a->ioc.flags |= QCOW_ATTACH_NO_PARTSCAN;
	return 0;
}

static int parse_temporary(void *options, const char *arg)
{
	struct attach *a = options;

	if (arg && !*arg)
		return option_refused("--temporary", arg, "a folder, or no value");
	a->temporary = true;
	a->overlay_folder = arg;
	return 0;
}

const struct option_spec attach_options[] = {
	{
		.name = "read-only", .letter = 'r',
		.help = "attach read-only, though the image could be written",
		.parse = parse_read_only,
	},
	OPTION_FORMAT(struct attach, chain.format,
		      "the format of the image, such as qcow2, raw or vmdk;\n"
		      "probe it if not given"),
	{
		.name = "name", .arg = " NAME",
		.help = "udev makes a link /dev/qcow/NAME to the device, and\n"
			"/dev/qcow/NAME-partN to its partitions",
		.parse = parse_name,
	},
	{
		.name = "no-partitions",
		.help = "do not look for partitions",
		.parse = parse_no_partitions,
	},
	{
		.name = "offset", .arg = " BYTES",
		.help = "first byte of the disk to show",
		.parse = parse_offset, .field = offsetof(struct attach, ioc.offset),
	},
	{
		.name = "size-limit", .arg = " BYTES",
		.help = "bytes of the disk to show at most",
		.parse = parse_size_limit, .field = offsetof(struct attach, ioc.size_limit),
	},
	{
		.name = "sector-size", .arg = " BYTES", .values = SECTORS_VALUES,
		.help = "the image is of a disk with such sectors:\n"
			SECTORS_ALLOWED "; 512 if not given",
		.parse = parse_sector_size,
	},
	{
		.name = "direct-io", .arg = " MODE", .values = "on off auto",
		.help = "access the file past the page cache: on, off, auto",
		.parse = parse_direct_io,
	},
	{
		.name = "cache-size", .arg = " SIZE",
		.help = "metadata cache of each image, 32M if not given",
		.parse = parse_cache_size,
	},
	{
		.name = "backing", .arg = " WHICH", .values = "auto none " VALUE_FOLDER,
		.help = "backing and data files allowed: auto (what the image\n"
			"names), none, or a folder that has to hold them",
		.parse = parse_backing,
	},
	{
		.name = "fat-type", .arg = " BITS", .values = "16 32",
		.help = "of a folder (-f vvfat): FAT16 or FAT32; FAT16 for small\n"
			"folders if not given",
		.parse = parse_fat_type, .field = offsetof(struct attach, chain.fat_bits),
	},
	{
		.name = "fat-label", .arg = " LABEL",
		.help = "of a folder: the label of its filesystem",
		.parse = option_text, .field = offsetof(struct attach, chain.fat_label),
	},
	OPTION_ALLOW_PARENT_MISMATCH(struct attach, chain.allow_mismatch),
	OPTION_EXPAND_MAX(struct attach, chain.expand_max),
	{
		.name = "untrusted",
		.help = "a stranger's image: read-only, no backing or data\n"
			"file, no partition scan, no probing by udev",
		.parse = parse_untrusted,
	},
	{
		.name = "salvage",
		.help = "a damaged image, or one that was cut off: read-only,\n"
			"missing parts fail with an I/O error, the rest reads",
		.parse = parse_salvage,
	},
	{
		.name = "snapshot", .arg = " ID",
		.help = "show an internal snapshot, by its id or name: read-only;\n"
			"DEVICE has the image, and may be in use",
		.parse = parse_snapshot,
	},
	{
		.name = "temporary", .arg = "[=DIR]", .values = VALUE_FOLDER,
		.help = "throw the writes away when the device is detached;\n"
			"until then it is in DIR, or in $TMPDIR or /var/tmp. The\n"
			"image is only read",
		.parse = parse_temporary,
	},
	OPTION_KEY_FILE_AS(struct attach, keys,
			   "the passphrase of an encrypted image is in FILE,\n"
			   "every byte of it; -: standard input. Again for each\n"
			   "further encrypted image of the chain; the last is for\n"
			   "the rest, too. Without it the terminal is asked"),
	{
		.name = "ask-password",
		.help = "ask for passphrases with systemd-ask-password, which\n"
			"needs no terminal",
		.parse = option_true, .field = offsetof(struct attach, keys.agents),
	},
	OPTION_PROGRESS,
	{ }
};

/* The table of an image of a foreign format, and the files that it refers to. */
static void set_files(struct qcow_ioc_image *to, const struct image *img)
{
	__s32 *fds;
	u32 i;

	if (!img->foreign)
		return;
	to->table_fd = img->foreign->parsed.table.fd;
	to->nr_files = img->foreign->nr_files;
	if (!to->nr_files)
		return;
	fds = xcalloc(to->nr_files, sizeof(*fds));
	for (i = 0; i < to->nr_files; i++)
		fds[i] = img->foreign->files[i].fd;
	to->files = (uintptr_t)fds;
}

static void set_image(struct qcow_ioc_image *to, const struct image *img,
		      const struct key_slot *key)
{
	to->fd = img->file.fd;
	to->data_fd = image_has_data_file(img) ? img->data.fd : -1;
	to->format = img->format;
	set_files(to, img);
	if (!key->cipher[0])
		return;
	to->key = (uintptr_t)key->name;
	to->key_len = strlen(key->name);
	to->cipher = (uintptr_t)key->cipher;
	to->cipher_len = strlen(key->cipher);
}

/* Say why the driver refused, of the image that it names. */
static void report_refusal(const struct chain *c,
			   const struct qcow_ioc_attach *ioc, int err,
			   const struct qcow_msg *msg)
{
	u32 i = ioc->msg_image;
	const struct image *img = &c->images[i < c->nr ? i : 0];

	if (err == -EPERM && !msg->text[0]) {
		report(c->images[0].file.name, "only root may attach images (it takes CAP_SYS_ADMIN); use sudo");
		return;
	}
	if (err == -E2BIG && !msg->text[0]) {
		report(c->images[0].file.name, "the driver is too old for images of this format; load the one that belongs to this qcowctl");
		return;
	}
	if (err == -EBUSY && i < c->nr &&
	    (attach_report_users(&img->file) ||
	     (image_has_data_file(img) && attach_report_users(&img->data))))
		return;
	report_msg(img->file.name, err, msg);
}

/* Ask the driver. Return: 0, with the N of the new device in @ioc; or a negative errno. */
static int attach_ioctl(int control, struct qcow_ioc_attach *ioc, struct qcow_msg *msg)
{
	int err;

	ioc->size = sizeof(*ioc);
	ioc->index = -1;
	ioc->msg = (uintptr_t)msg->text;
	ioc->msg_size = sizeof(msg->text);
	ioc->msg_image = -1;
	err = ioctl(control, QCOW_IOC_ATTACH, ioc) ? -errno : 0;
	/* Older drivers refuse the flag. */
	if (err == -EINVAL && ioc->flags & QCOW_ATTACH_AUTOCLEAR) {
		ioc->flags &= ~QCOW_ATTACH_AUTOCLEAR;
		memset(msg, 0, sizeof(*msg));
		err = ioctl(control, QCOW_IOC_ATTACH, ioc) ? -errno : 0;
	}
	report_from_driver(msg);
	return err;
}

/* The control node, through which the device is attached; or -1. */
static int begin_attach(struct attach *a)
{
	int control = device_control();

	if (a->holder) {
		*a->holder = -1;
		a->ioc.flags |= QCOW_ATTACH_AUTOCLEAR;
	}
	return control;
}

/* Close the control node, unless it holds the device. */
static void end_attach(struct attach *a, int control, bool attached)
{
	if (attached && a->ioc.flags & QCOW_ATTACH_AUTOCLEAR)
		*a->holder = control;
	else if (control >= 0)
		close(control);
}

/* Hand the open files to the driver: the N of the new device, or -1. */
static int attach_chain(int control, const struct chain *c,
			const struct key_slot *keys, struct qcow_ioc_attach *ioc)
{
	struct qcow_ioc_image *images;
	struct qcow_msg msg = { };
	int err;
	u32 i;

	images = xcalloc(c->nr, sizeof(*images));
	for (i = 0; i < c->nr; i++)
		set_image(&images[i], &c->images[i], &keys[i]);
	ioc->nr_images = c->nr;
	ioc->images = (uintptr_t)images;
	ioc->image_size = sizeof(*images);
	err = attach_ioctl(control, ioc, &msg);
	if (err)
		report_refusal(c, ioc, err, &msg);
	else if (msg.text[0])
		report_msg(c->images[0].file.name, 0, &msg);
	for (i = 0; i < c->nr; i++)
		free((void *)(uintptr_t)images[i].files);
	free(images);
	return err ? -1 : ioc->index;
}

/* Through the control node that is open already, or, if that is -1, its own. */
static int attach_unlocked(struct attach *a, int control, const struct chain *c)
{
	struct key_slot *keys = keys_open(c, &a->keys);
	int index = -1, fd;

	if (!keys)
		return -1;
	fd = control < 0 ? begin_attach(a) : control;
	if (fd >= 0 && a->before)
		a->before();
	if (fd >= 0)
		index = attach_chain(fd, c, keys, &a->ioc);
	if (fd != control)
		end_attach(a, fd, index >= 0);
	keys_close(keys, c->nr);
	return index;
}

/* --- An overlay that is thrown away --- */

static int check_temporary(const struct attach *a, const char *name)
{
	u32 flags = a->ioc.flags;

	if (!a->temporary)
		return 0;
	if (flags & QCOW_ATTACH_UNTRUSTED)
		report(name, "--temporary and --untrusted exclude each other, as an untrusted image has no overlay");
	else if (flags & QCOW_ATTACH_SALVAGE)
		report(name, "--temporary and --salvage exclude each other; attach the damaged image read-only");
	else if (flags & QCOW_ATTACH_RO && !a->ioc.snapshot)
		report(name, "--temporary is for writing; leave out -r, or ro of a mount");
	else
		return 0;
	return -1;
}

/* The size of the disk that is shown. The driver refuses snapshots that do not exist. */
static int shown_size(const struct attach *a, const struct image *img, u64 *size)
{
	u32 nr = img->header.nr_snapshots;
	const struct snapshot *found;
	struct snapshot *list;

	*size = image_disk_size(img);
	if (!a->ioc.snapshot || img->format != QCOW_FORMAT_QCOW2)
		return 0;
	if (snapshot_read_all(img, &list))
		return -1;
	found = snapshot_find(list, nr, (const char *)(uintptr_t)a->ioc.snapshot);
	if (found && found->s.disk_size)
		*size = found->s.disk_size;
	snapshot_free_all(list, nr);
	return 0;
}

static int add_overlay(struct attach *a, struct chain *chain)
{
	u64 size;

	if (!a->temporary)
		return 0;
	a->ioc.flags = (a->ioc.flags & ~QCOW_ATTACH_RO) | QCOW_ATTACH_TEMPORARY;
	if (shown_size(a, chain->images, &size))
		return -1;
	return overlay_add(chain, unnamed_folder(a->overlay_folder), size);
}

/* --- A snapshot of an image that is attached --- */

/* Options that are about files, which the driver has open. */
static int check_child(const struct attach *a, const char *name)
{
	if (a->temporary)
		report(name, "--temporary is for images; copy the snapshot if you want to change it");
	else if (a->chain.backing != CHAIN_BACKING_AUTO || a->keys.nr)
		report(name, "is attached, with its backing files and keys; leave out --backing and --key-file");
	else
		return 0;
	return -1;
}

static void report_no_child(const char *name, int err, const struct qcow_msg *msg)
{
	if (!msg->text[0] && err == -EPERM)
		report(name, "only root may attach a snapshot of it (it takes CAP_SYS_ADMIN); use sudo");
	else if (!msg->text[0] && err == -ENODEV)
		report(name, "no such device; see qcowctl list");
	else if (err == -E2BIG)
		report(name, "the driver is too old to show a snapshot of a device; load the one that belongs to this qcowctl");
	else
		report_msg(name, err, msg);
}

static int attach_child(struct attach *a, const struct device *parent, const char *name)
{
	struct qcow_ioc_attach *ioc = &a->ioc;
	struct qcow_msg msg = { };
	int control, err;

	if (check_child(a, name))
		return -1;
	control = begin_attach(a);
	if (control < 0)
		return -1;
	ioc->flags |= QCOW_ATTACH_CHILD;
	ioc->parent = parent->index;
	ioc->parent_diskseq = parent->diskseq;
	err = attach_ioctl(control, ioc, &msg);
	end_attach(a, control, !err);
	if (err)
		report_no_child(name, err, &msg);
	else if (msg.text[0])
		report_msg(name, 0, &msg);
	return err ? -1 : ioc->index;
}

/*
 * Whether the snapshot is one of the image that is attached as a device. With a format,
 * and on a partition, it is of an image that lies on the device.
 */
static bool is_of_device(const struct attach *a, const char *name)
{
	bool partition;
	int index;

	if (!a->ioc.snapshot || a->chain.format)
		return false;
	index = which_index_of_name(name, &partition);
	return index >= 0 && !partition && device_exists(index);
}

/* As attach_open(), of a device. */
static int attach_open_child(struct device *d, struct attach *a, const char *name)
{
	struct device parent;
	int index = -1;

	if (!which_device(&parent, name))
		index = attach_child(a, &parent, name);
	*d = (struct device) { .index = index, .diskseq = a->ioc.diskseq };
	return index < 0 ? -1 : 0;
}

/**
 * attach_open() - attach an image, read-only if it cannot be written
 * @d: the result
 * @a: how; its flags have QCOW_ATTACH_RO afterwards if the device is read-only
 * @name: the image; or, with a snapshot, the device that has the image
 *
 * The nodes of the device may not be there yet.
 *
 * Return: 0, or -1 after printing the error.
 */
int attach_open(struct device *d, struct attach *a, const char *name)
{
	bool writable = !(a->ioc.flags & QCOW_ATTACH_RO) && !a->temporary;
	struct chain chain = { };
	int index = -1;

	if (is_of_device(a, name))
		return attach_open_child(d, a, name);
	a->chain.lock = true;
	a->chain.write = writable;
	a->chain.want = PARSE_TABLE;
	if (!check_temporary(a, name) && !chain_open(&chain, name, &a->chain) &&
	    !chain_check(&chain) && !add_overlay(a, &chain)) {
		if (!chain_writable(&chain))
			a->ioc.flags |= QCOW_ATTACH_RO;
		index = attach_unlocked(a, -1, &chain);
	}
	/* Said only now, so that an attach that fails says one line. */
	if (index >= 0 && chain.unwritable)
		report(chain.unwritable, "cannot be opened for writing, attaching it read-only");
	if (index >= 0 && writable && chain.images->foreign)
		report(name, "attached read-only, as %s images are not written; --temporary, or an overlay that qcowctl create -b makes, makes it writable",
		       image_own_format_name(chain.images));
	if (index >= 0)
		attach_note_users(&chain);
	chain_close(&chain);
	*d = (struct device) { .index = index, .diskseq = a->ioc.diskseq };
	return index < 0 ? -1 : 0;
}

/**
 * attach_to_change() - attach an image that the driver is to change
 * @d: the result
 * @control: the driver's control node
 * @name: the image
 * @format: of it; 0: probe
 * @keys: to it, if it is encrypted
 *
 * Nobody else is to use the device: it has no node in /dev, and is gone when
 * @control is closed.
 *
 * Return: 0, or -1 after printing the error.
 */
int attach_to_change(struct device *d, int control, const char *name, u32 format,
		     const struct keys_options *keys)
{
	struct attach a = {
		.chain = {
			.format = format, .lock = true, .write = true, .want = PARSE_TABLE,
		},
		.keys = *keys,
		.ioc.flags = QCOW_ATTACH_HIDDEN | QCOW_ATTACH_NO_PARTSCAN,
	};
	struct chain chain;
	int index = -1;

	if (!chain_open(&chain, name, &a.chain) && !chain_check(&chain)) {
		if (chain_writable(&chain))
			index = attach_unlocked(&a, control, &chain);
		else if (chain.images->foreign)
			report(name, "is a %s image, which is only read; make a qcow2 image of it with qemu-img convert -O qcow2, or an overlay with qcowctl create -b, and change that",
			       image_own_format_name(chain.images));
		else
			report(chain.unwritable ? chain.unwritable : name,
			       "cannot be opened for writing");
	}
	/* The locks are held by this process: no device shows their holder. */
	if (index >= 0)
		chain_show_holder(&chain);
	chain_close(&chain);
	*d = (struct device) { .index = index, .diskseq = a.ioc.diskseq };
	return index < 0 ? -1 : 0;
}

/* Return: 0 or a negative errno. */
static int print_name(int index)
{
	/* A device whose name nobody got to know would be left behind. */
	signal(SIGPIPE, SIG_IGN);
	if (printf("/dev/qcow%d\n", index) >= 0 && !fflush(stdout))
		return 0;
	return -errno;
}

/* Nobody will use the device. */
static int undo_attach(const struct device *device, const char *wrong, const char *advice)
{
	char *dev = xasprintf("/dev/qcow%d", device->index);

	if (!detach_again(device))
		report(dev, "%s, so it was detached again; %s", wrong, advice);
	free(dev);
	return 1;
}

/* The number may be another device's by now, which is none of ours. */
static int report_gone(int index, const char *name)
{
	char *dev = xasprintf("/dev/qcow%d", index);
	char *shown = text_escape(name);

	report(dev, "is not the device of %s any more, as somebody else detached it or applied a snapshot; see qcowctl list",
	       shown);
	free(shown);
	free(dev);
	return 1;
}

static int attach_image(struct attach *a, const char *name)
{
	u64 began = clock_now();
	struct device device;
	int err;

	if (attach_open(&device, a, name))
		return 1;
	switch (ready_wait(&device, began)) {
	case READY_GONE:
		return report_gone(device.index, name);
	case READY_MISSING:
		/* It works all the same. */
		node_report_missing(device.index, device.diskseq);
		break;
	default:
		break;
	}
	if (!(a->ioc.flags & QCOW_ATTACH_NO_PARTSCAN))
		sectors_note_table(&device, name);
	if (!still_attached(&device))
		return report_gone(device.index, name);
	err = print_name(device.index);
	if (!err)
		return 0;
	__fpurge(stdout);
	clearerr(stdout);
	return undo_attach(&device, "its name cannot be printed", strerror(-err));
}

static int run_attach(void *options, int argc, char **argv)
{
	(void)argc;
	return attach_image(options, argv[0]);
}

/**
 * attach_release() - free memory that options refer to
 * @options: the struct attach
 */
void attach_release(void *options)
{
	struct attach *a = options;

	free(a->beneath);
	free(a->keys.files);
}

const struct command attach_command = {
	.name = "attach",
	.summary = "make a block device of an image",
	.usage =
		"Usage: qcowctl attach [options] IMAGE\n"
		"       qcowctl attach [options] --snapshot ID DEVICE\n"
		"\n"
		"Make a block device of a disk image and print its name.\n",
	.options = attach_options,
	.size = sizeof(struct attach),
	.one_operand = "one image",
	.run = run_attach,
	.release = attach_release,
};
