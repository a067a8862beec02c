/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_CHAIN_H
#define _QCOWCTL_CHAIN_H

#include "device/attached.h"
#include "image/image.h"

/**
 * struct chain - an image, its backing file and so on
 * @images: the images, top first
 * @nr: how many
 * @unwritable: name of the file that kept the chain from being opened for
 *	writing, or NULL
 */
struct chain {
	struct image *images;
	u32 nr;
	char *unwritable;
};

enum chain_backing {
	CHAIN_BACKING_AUTO,	/* whatever the images name */
	CHAIN_BACKING_NONE,
	CHAIN_BACKING_BENEATH,	/* only files beneath a folder */
};

/**
 * struct chain_options - how to open a chain
 * @format: of the first image; 0: probe
 * @backing: which backing and data files are allowed
 * @beneath: real path of the folder for CHAIN_BACKING_BENEATH
 * @untrusted: a stranger's image: no backing or data file
 * @salvage: the images are damaged, and read as far as they can be
 * @write: open the first image and its data file for writing, if that can be
 * @lock: take QEMU's locks
 * @guess_raw: an image of no known format is raw, rather than refused
 * @top_only: leave backing and data files closed, unlooked at
 */
struct chain_options {
	u32 format;
	enum chain_backing backing;
	const char *beneath;
	bool untrusted;
	bool salvage;
	bool write;
	bool lock;
	bool guess_raw;
	bool top_only;
};

int chain_open(struct chain *c, const char *name,
	       const struct chain_options *o);
int chain_open_device(struct chain *c, int control, const struct device *d,
		      bool top_only);
bool chain_writable(const struct chain *c);
int chain_check(const struct chain *c);
void chain_note_truncated(const struct chain *c);
void chain_show_holder(const struct chain *c);
void chain_close(struct chain *c);
char *chain_backing_path(const struct image *img);

#endif /* _QCOWCTL_CHAIN_H */
