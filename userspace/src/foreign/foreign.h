/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_FOREIGN_H
#define _QCOWCTL_FOREIGN_H

#include <linux/qcow_map.h>

#include "qcow/ondisk/pure.h"

/* Bytes of memory that the parser of one image may have. */
#define FOREIGN_MEMORY_MAX	((size_t)SZ_512M)

/*
 * Bytes of a table that foreign_peek() keeps in memory, and can show at once; and whether
 * checksums are right whatever they are. The fuzzer changes bytes, not checksums, and its small
 * windows are quick and move often.
 */
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
#define FOREIGN_WINDOW_BYTES	(2 * SZ_4K)
#define FOREIGN_FUZZED		true
#else
#define FOREIGN_WINDOW_BYTES	SZ_64K
#define FOREIGN_FUZZED		false
#endif
#define FOREIGN_PEEK_MAX	SZ_4K

/* Bytes at the start and at the end of a file by which a format is recognized. */
#define FOREIGN_START_BYTES	SZ_4K
#define FOREIGN_FOOTER_BYTES	SZ_1K

/* Longest identifier of an image, as text with its NUL. */
#define FOREIGN_ID_SIZE		40

/**
 * struct foreign_sample - the bytes of a file by which a format is recognized
 * @start: the first bytes; zeros past the end of the file
 * @footer: the last bytes; zeros before the start of the file
 * @size: bytes of the file
 */
struct foreign_sample {
	u8 start[FOREIGN_START_BYTES];
	u8 footer[FOREIGN_FOOTER_BYTES];
	u64 size;
};

/**
 * struct foreign_piece - content of a part of the disk
 * @length: bytes from the guest offset that was asked for to the end of the part
 * @host_offset: data: host offset of the first byte; compressed: of the stored chunk
 * @stored: compressed: bytes of the stored chunk, an upper bound
 * @plain: compressed: bytes of the decompressed chunk
 * @skip: compressed: bytes of the decompressed chunk before the part
 * @file: data, compressed: number of the file
 * @kind: &enum qcow_map_kind; a hole reads as zeros if the image has no parent
 * @codec: compressed: &enum qcow_map_codec
 */
struct foreign_piece {
	u64 length;
	u64 host_offset;
	u32 stored;
	u32 plain;
	u32 skip;
	u32 file;
	u8 kind;
	u8 codec;
};

struct foreign;
struct foreign_disk;

/**
 * struct foreign_format - a format of images that the driver does not parse
 * @name: as in QEMU, for --format
 * @title: for people
 * @probe: whether a file is such an image; NULL: only --format tells
 * @probe_backing: whether QEMU takes a file for such an image when nothing tells the format,
 *	by the same bytes: a backing file is then no raw disk; NULL: never
 * @open: read and check the headers: sets @disk and @private of the image, opens the files
 *	that it names, tells its facts
 * @find: the part of the disk from a guest offset, below disk_size; a walk asks for
 *	ascending ones. The part may end earlier than the content changes
 * @check: look at all of the structure and at checksums; NULL: to walk it is all
 * @ids: of an image with these first bytes: sets @id and @change_id of the disk. Only for
 *	foreign_backing_by_id()
 * @other_way: advice that foreign_other_way() gives; NULL: QEMU reads the format
 *
 * The functions return 0 or a negative errno with the message of foreign_fail(). A file of
 * a format begins with foreign_peek() at its header, which fails where the file is shorter.
 */
struct foreign_format {
	const char *name;
	const char *title;
	bool (*probe)(const struct foreign_sample *s);
	bool (*probe_backing)(const struct foreign_sample *s);
	int (*open)(struct foreign *f);
	int (*find)(struct foreign *f, u64 guest_offset, struct foreign_piece *p);
	int (*check)(struct foreign *f);
	void (*ids)(const struct foreign_sample *s, struct foreign_disk *d);
	const char *other_way;
};

/**
 * enum foreign_use - the reason why an image names a file
 * @FOREIGN_EXTENT: it holds a part of the image's data or tables
 */
enum foreign_use {
	FOREIGN_EXTENT,
};

/**
 * struct foreign_host - the way of a parser to everything outside of its memory
 * @read: read a file: bytes up to its end; sets @got
 * @open: open a file that the image names, for reading: it gets the next number; sets the
 *	bytes of the file
 * @scratch: make an empty file without a name, which gets the next number, for data that
 *	the driver cannot decompress
 * @write: write to a file of @scratch
 * @backing: the image has a parent of that name, which is a @member of the archive that has
 *	the image, or a file; called again for names that are to be tried after it
 * @tell: a fact for people. @key: as in the output of qemu-img info --output=json, with
 *	points between the levels, such as extents.0.filename. @text: NULL: @number counts
 * @fault: check found a fault
 * @leak: check found bytes that nothing uses, which does no harm; NULL: a fault
 * @progress: so much of a long operation is done
 *
 * Those that return an int return 0 or a negative errno.
 */
struct foreign_host {
	int (*read)(void *arg, u32 file, void *buf, size_t len, u64 host_offset, size_t *got);
	int (*open)(void *arg, enum foreign_use use, const char *name, u64 *size);
	int (*scratch)(void *arg);
	int (*write)(void *arg, u32 file, const void *buf, size_t len, u64 host_offset);
	void (*backing)(void *arg, const char *name, bool member);
	void (*tell)(void *arg, const char *key, const char *text, s64 number);
	void (*fault)(void *arg, const char *text);
	void (*leak)(void *arg, const char *text);
	void (*progress)(void *arg, u64 bytes_done, u64 bytes_all);
};

/**
 * struct foreign_how - the image that is opened, and the reason
 * @size: bytes of its file
 * @name: last part of the path of its file, by which some formats find parents; NULL: it is
 *	not known
 * @member: of an archive: name of the member that is the image; NULL: the only one
 * @alone: its parent need not be there, and is not: holes are zeros
 * @expand_max: bytes that may be decompressed when it is opened, with those of zeros, which
 *	are not kept; 0: any number
 * @facts_only: nobody walks through the disk: data need not be decompressed
 * @check_only: nobody reads the disk: data that check() decompresses need not be kept
 */
struct foreign_how {
	u64 size;
	const char *name;
	const char *member;
	bool alone;
	u64 expand_max;
	bool facts_only;
	bool check_only;
};

/**
 * struct foreign_disk - the findings about an image that programs need
 * @size: bytes of the disk; rounded up to 512 where the table is made
 * @sector_size: bytes of a logical sector
 * @cluster_size: unit of allocation in bytes, for people; 0: none
 * @has_parent: holes show the content of another image
 * @dirty: it was not closed
 * @id: identifier of this image, which its children name; empty: none
 * @parent_id: identifier of the parent; empty: it is not checked
 * @change_id: identifier of this image's last change; empty: none
 * @parent_change_id: identifier of the parent's last change; empty: it is not checked
 * @parent_by_id: the parent has no name: it is any file with @parent_id, and foreign_backing()
 *	tells a pattern such as "*.vdi"
 * @parent_size: bytes of the parent's file; 0: not checked
 * @parent_mtime: time of its last change, in seconds since 1970; 0: not checked
 * @parent_fat_time: the same time as FAT has it, in local time, with the date in the upper 16
 *	bits; 0: not checked
 * @parent_optional: if no file has one of the parent's names, there is no parent
 * @parent_format: name of the parent's format; empty: the same as this one's
 */
struct foreign_disk {
	u64 size;
	u32 sector_size;
	u32 cluster_size;
	bool has_parent;
	bool dirty;
	char id[FOREIGN_ID_SIZE];
	char parent_id[FOREIGN_ID_SIZE];
	char change_id[FOREIGN_ID_SIZE];
	char parent_change_id[FOREIGN_ID_SIZE];
	bool parent_by_id;
	u64 parent_size;
	s64 parent_mtime;
	u32 parent_fat_time;
	bool parent_optional;
	char parent_format[16];
};

/**
 * struct foreign_file - a file, or the part of one that an image has to itself
 * @start: host offset of the first byte
 * @size: bytes
 * @number: of the file, in the order in which the host opened files
 */
struct foreign_file {
	u64 start;
	u64 size;
	u32 number;
};

/**
 * struct foreign - an image, as its parser sees it
 * @format: its format
 * @host: the way to files
 * @arg: the first argument of @host's functions
 * @how: the image that is opened, and the reason
 * @disk: set by the format's open()
 * @private: of the format; from foreign_alloc()
 * @files: by number; 0 is the image
 * @nr_files: of them
 * @nr_opened: files that the host opened; fewer than @nr_files where an archive has several
 * @find_member: look up a file that the image names in the archive that has the image, as no
 *	other file is opened then: sets it and returns its name in the archive if it is there;
 *	NULL: the image is in no archive
 * @find_parent: look up the member of such an archive that has the identifier of the parent:
 *	sets its name, NULL if there is none, and whether its last change is the right one.
 *	Returns 0 or a negative errno with a message
 * @archive: of @find_member and @find_parent
 * @memory: from foreign_alloc(), to be freed
 * @memory_left: bytes that it may give
 * @msg: the first failure
 */
struct foreign {
	const struct foreign_format *format;
	const struct foreign_host *host;
	void *arg;
	struct foreign_how how;
	struct foreign_disk disk;
	void *private;
	struct foreign_file *files;
	u32 nr_files;
	u32 nr_opened;
	const char *(*find_member)(struct foreign *f, const char *name, struct foreign_file *file);
	int (*find_parent)(struct foreign *f, const char **member, bool *right);
	void *archive;
	struct foreign_memory *memory;
	size_t memory_left;
	struct qcow_msg msg;
};

/**
 * struct foreign_window - the bytes of a table that are in memory
 * @bytes: they
 * @file: number of the file
 * @host_offset: of the first one
 * @len: how many there are
 *
 * All zeros at first.
 */
struct foreign_window {
	u8 *bytes;
	u32 file;
	u64 host_offset;
	size_t len;
};

/**
 * struct foreign_visits - the blocks of a file that a walk has looked at
 * @nr: how many; all zeros at first
 * @last: number of the last one
 */
struct foreign_visits {
	u64 nr;
	u64 last;
};

const struct foreign_format *foreign_format(const char *name);
const struct foreign_format *foreign_format_at(size_t number);
const struct foreign_format *foreign_probe(const struct foreign_sample *s);
const struct foreign_format *foreign_probe_backing(const struct foreign_sample *s);

int __must_check foreign_open(struct foreign *f, const struct foreign_format *format,
			      const struct foreign_host *host, void *arg,
			      const struct foreign_how *how);
int __must_check foreign_walk(struct foreign *f,
			      int (*put)(void *arg, const struct qcow_map_entry *e), void *arg);
void foreign_close(struct foreign *f);

/* For parsers */
int foreign_fail(struct foreign *f, const char *fmt, ...) __printf(2, 3);
int foreign_unsupported(struct foreign *f, const char *fmt, ...) __printf(2, 3);
void *__must_check foreign_alloc(struct foreign *f, size_t nr, size_t size);
int __must_check foreign_read(struct foreign *f, u32 file, void *buf, size_t len,
			      u64 host_offset);
const void *__must_check foreign_peek(struct foreign *f, struct foreign_window *w, u32 file,
				      u64 host_offset, size_t len, size_t *available);
bool __must_check foreign_visit(struct foreign_visits *v, u64 number, u64 bytes, u64 size);
int __must_check foreign_open_extent(struct foreign *f, const char *name, u32 *file);
int __must_check foreign_scratch(struct foreign *f, u32 *file);
int __must_check foreign_write(struct foreign *f, u32 file, const void *buf, size_t len,
			       u64 host_offset);
const char *foreign_other_way(const struct foreign_format *format);
void foreign_backing(struct foreign *f, const char *name);
int __must_check foreign_backing_by_id(struct foreign *f, const char *pattern);
void foreign_tell(struct foreign *f, const char *key, const char *text);
void foreign_tell_number(struct foreign *f, const char *key, s64 number);
void foreign_fault(struct foreign *f, const char *fmt, ...) __printf(2, 3);
void foreign_leak(struct foreign *f, const char *fmt, ...) __printf(2, 3);

/* Bytes of a file of an image. */
static inline u64 foreign_size(const struct foreign *f, u32 file)
{
	return f->files[file].size;
}

#endif /* _QCOWCTL_FOREIGN_H */
