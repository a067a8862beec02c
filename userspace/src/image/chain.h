/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_CHAIN_H
#define _QCOWCTL_CHAIN_H

#include "image/foreign_image.h"
#include "image/image.h"

/**
 * struct chain - an image, its backing file and so on
 * @images: the images, top first
 * @nr: how many
 * @unwritable: name of the file that kept the chain from being opened for
 *	writing, or NULL
 * @is_member: the first image was named as a member of an archive
 */
struct chain {
	struct image *images;
	u32 nr;
	char *unwritable;
	bool is_member;
};

enum chain_backing {
	CHAIN_BACKING_AUTO,	/* whatever the images name */
	CHAIN_BACKING_NONE,
	CHAIN_BACKING_BENEATH,	/* only files beneath a folder */
};

/**
 * struct chain_options - how to open a chain
 * @format: of the first image, from image_format(); 0: probe
 * @backing: which backing and data files are allowed
 * @beneath: real path of the folder for CHAIN_BACKING_BENEATH
 * @untrusted: a stranger's image: no backing or data file
 * @salvage: the images are damaged, and read as far as they can be
 * @write: open the first image and its data file for writing, if that can be
 * @lock: take QEMU's locks
 * @guess_raw: an image of no known format is raw, rather than refused
 * @top_only: leave backing and data files closed, unlooked at
 * @allow_mismatch: a parent need not have the id that its child gives
 * @want: the reason why images of foreign formats are parsed
 * @expand_max: bytes of decompressed data that may be kept of each; 0: the usual limit
 * @fat_bits: of a folder's disk: 16 or 32; 0: whichever fits
 * @fat_label: its label; NULL: the name of the folder
 * @fault: takes the findings of a check; may be NULL
 * @arg: its first argument
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
	bool allow_mismatch;
	enum parse_want want;
	u64 expand_max;
	u32 fat_bits;
	const char *fat_label;
	void (*fault)(void *arg, bool leak, const char *text);
	void *arg;
};

int chain_open(struct chain *c, const char *name,
	       const struct chain_options *o);
bool chain_writable(const struct chain *c);
int chain_check(const struct chain *c);
void chain_note_truncated(const struct chain *c);
void chain_show_holder(const struct chain *c);
void chain_close(struct chain *c);
char *chain_archive(const char *name, u32 format);
char *chain_backing_path(const struct image *img);

#endif /* _QCOWCTL_CHAIN_H */
