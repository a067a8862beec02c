/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * qcow: block devices backed by QEMU disk images.
 *
 * All structures are extensible: their first field is the size that the
 * caller knows. A kernel that knows a longer structure takes the missing tail
 * as zeros; one that knows a shorter structure refuses a tail that is not zero
 * with E2BIG. Reserved fields and undefined flag bits must be zero.
 */
#ifndef _UAPI_LINUX_QCOW_H
#define _UAPI_LINUX_QCOW_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* Node in /dev that takes the ioctls below; they need CAP_SYS_ADMIN. */
#define QCOW_CONTROL_NAME	"qcow-control"

/* Version of this interface, reported by QCOW_IOC_STATUS. */
#define QCOW_ABI_VERSION	1

/* Longest backing chain, the attached image included. */
#define QCOW_MAX_IMAGES		256

/* Longest id or name of a snapshot that can be asked for, in bytes. */
#define QCOW_SNAPSHOT_NAME_MAX	1023

/* Longest name of a bitmap, in bytes. */
#define QCOW_BITMAP_NAME_MAX	1023

/* Longest description of a key, and longest cipher specification, in bytes. */
#define QCOW_KEY_NAME_MAX	127
#define QCOW_CIPHER_MAX		63

/* Size of a metadata cache in bytes: the least, and what 0 stands for. */
#define QCOW_CACHE_SIZE_MIN	(64U << 10)
#define QCOW_CACHE_SIZE_DEFAULT	(32U << 20)

/* Size of a device's logical sectors in bytes. */
#define QCOW_SECTOR_SIZE_MIN	512U
#define QCOW_SECTOR_SIZE_MAX	4096U

/**
 * enum qcow_format - format of an image file
 * @QCOW_FORMAT_RAW: the disk's bytes and nothing else; never probed
 * @QCOW_FORMAT_QCOW: qcow version 1
 * @QCOW_FORMAT_QCOW2: qcow2, version 2 or 3
 */
enum qcow_format {
	QCOW_FORMAT_RAW		= 1,
	QCOW_FORMAT_QCOW	= 2,
	QCOW_FORMAT_QCOW2	= 3,
};

/**
 * enum qcow_msg_code - the cause that a text in @msg of a structure below tells of
 * @QCOW_MSG_NONE: the driver is too old to give a code
 * @QCOW_MSG_COMPLETE: the text itself says what to do
 * @QCOW_MSG_ERRNO: no more is known than the error of the ioctl
 * @QCOW_MSG_FOREIGN: the file is no image of the format that was asked for
 * @QCOW_MSG_DAMAGED: the header is damaged
 * @QCOW_MSG_DAMAGED_TABLE: so is the header, but the disk may be readable with
 *	QCOW_ATTACH_SALVAGE
 * @QCOW_MSG_TRUNCATED: the end of the file is missing
 * @QCOW_MSG_TRUNCATED_TABLE: so it is, but the disk may be readable with
 *	QCOW_ATTACH_SALVAGE
 * @QCOW_MSG_UNSUPPORTED: the image has a feature that the driver does not know
 * @QCOW_MSG_NO_SNAPSHOT: the image has no such snapshot
 * @QCOW_MSG_NO_BACKING: the image has no backing file
 * @QCOW_MSG_READ_ONLY: the device is attached read-only
 *
 * The byte behind the NUL of the text is the code, if @msg has room for it. Texts are for
 * people and may change; codes do not.
 */
enum qcow_msg_code {
	QCOW_MSG_NONE		 = 0,
	QCOW_MSG_COMPLETE	 = 1,
	QCOW_MSG_ERRNO		 = 2,
	QCOW_MSG_FOREIGN	 = 3,
	QCOW_MSG_DAMAGED	 = 4,
	QCOW_MSG_DAMAGED_TABLE	 = 5,
	QCOW_MSG_TRUNCATED	 = 6,
	QCOW_MSG_TRUNCATED_TABLE = 7,
	QCOW_MSG_UNSUPPORTED	 = 8,
	QCOW_MSG_NO_SNAPSHOT	 = 9,
	QCOW_MSG_NO_BACKING	 = 10,
	QCOW_MSG_READ_ONLY	 = 11,
};

/**
 * struct qcow_ioc_image - one image of a backing chain
 * @fd: the image, a regular file or block device open for reading (and for
 *	writing, if it shall be written); the driver keeps a reference to the
 *	open file, and with it the open file's locks, until detach
 * @data_fd: its external data file, or -1
 * @format: &enum qcow_format
 * @flags: none defined, must be 0
 * @key: address of the description of a key, not NUL-terminated: a key of type
 *	"logon" in the caller's keyrings that holds the key to the image's data.
 *	The driver takes a copy; the key may go when the ioctl has returned. An
 *	encrypted image needs one, others must not have one. 0: none
 * @cipher: address of the specification of the cipher that the key is for, not
 *	NUL-terminated, as in LUKS: cipher, mode and initialisation vector, such as
 *	aes-xts-plain64. For legacy AES: aes-cbc-plain64 and a key of 16 bytes.
 *	0 if @key is
 * @key_len: bytes at @key, up to QCOW_KEY_NAME_MAX
 * @cipher_len: bytes at @cipher, up to QCOW_CIPHER_MAX
 * @reserved: must be 0
 */
struct qcow_ioc_image {
	__s32 fd;
	__s32 data_fd;
	__u32 format;
	__u32 flags;
	__u64 key;
	__u64 cipher;
	__u32 key_len;
	__u32 cipher_len;
	__u64 reserved[1];
};

#define QCOW_IMAGE_SIZE_V1	48

/* Flags of an attach, reported back by the status. */
#define QCOW_ATTACH_RO		(1U << 0) /* read-only */
#define QCOW_ATTACH_DIRECT	(1U << 1) /* direct I/O or fail */
#define QCOW_ATTACH_BUFFERED	(1U << 2) /* no direct I/O, even if possible */
#define QCOW_ATTACH_NO_PARTSCAN	(1U << 3) /* do not look for partitions */
#define QCOW_ATTACH_UNTRUSTED	(1U << 4) /* needs RO and NO_PARTSCAN; one
					   * image without data file
					   */
#define QCOW_ATTACH_HIDDEN	(1U << 5) /* no node in /dev, no events: for
					   * ioctls that need a device; goes
					   * with the control node's file
					   */
#define QCOW_ATTACH_SALVAGE	(1U << 6) /* needs RO: what is missing of the
					   * images fails with EIO
					   */

/**
 * struct qcow_ioc_attach - make a block device of an image
 * @size: sizeof(struct qcow_ioc_attach)
 * @flags: QCOW_ATTACH_*
 * @index: in: the N of /dev/qcowN, or -1 for the lowest free; out: N
 * @nr_images: entries in @images, 1 to QCOW_MAX_IMAGES
 * @images: address of an array of &struct qcow_ioc_image: the image to attach,
 *	its backing file, that one's backing file, and so on to the end
 * @image_size: sizeof(struct qcow_ioc_image)
 * @msg_size: bytes at @msg
 * @msg: address of a buffer for one line of text without newline that says
 *	why an attach failed, NUL-terminated; may be 0
 * @msg_image: out: the entry of @images that @msg is about, or -1
 * @sector_size: bytes of a logical sector of the device: a power of two from
 *	QCOW_SECTOR_SIZE_MIN to QCOW_SECTOR_SIZE_MAX; 0: the least. Older drivers
 *	refuse all but 0 with EINVAL
 * @offset: first byte of the image's disk that the device shows; a multiple of
 *	the sector size
 * @size_limit: bytes of the disk that the device shows at most, a multiple of
 *	the sector size; 0: all
 * @cache_size: bytes of metadata cache for each image, and as much again for
 *	refcounts if it is written; 0: the default
 * @snapshot: address of the id or name of the internal snapshot to show, not
 *	NUL-terminated; needs QCOW_ATTACH_RO. 0: the disk as it is now
 * @snapshot_len: bytes of it, up to QCOW_SNAPSHOT_NAME_MAX; 0 if @snapshot is
 * @pad2: must be 0
 * @diskseq: in: must be 0; out: the diskseq of the device's disk, or 0 of an older
 *	driver
 * @reserved: must be 0
 *
 * When the ioctl returns 0 the device and its partitions exist, and @msg is written to
 * only if there is something to warn of: the device shows whole sectors alone, so the
 * last bytes of the disk may be left out.
 */
struct qcow_ioc_attach {
	__u32 size;
	__u32 flags;
	__s32 index;
	__u32 nr_images;
	__u64 images;
	__u32 image_size;
	__u32 msg_size;
	__u64 msg;
	__s32 msg_image;
	__u32 sector_size;
	__u64 offset;
	__u64 size_limit;
	__u64 cache_size;
	__u64 snapshot;
	__u32 snapshot_len;
	__u32 pad2;
	__u64 diskseq;
	__u64 reserved[1];
};

#define QCOW_ATTACH_SIZE_V1	104

#define QCOW_DETACH_LAZY	(1U << 0) /* in use: detach at the last close */
#define QCOW_DETACH_FORCE	(1U << 1) /* in use: fail its I/O and detach */

/**
 * struct qcow_ioc_detach - remove a block device
 * @size: sizeof(struct qcow_ioc_detach)
 * @flags: QCOW_DETACH_*, at most one
 * @index: the N of /dev/qcowN
 * @pad: must be 0
 * @msg: address of a buffer for one line of text without newline that says why it
 *	failed, NUL-terminated; may be 0. After a success it is written to only if there
 *	is something to warn of
 * @msg_size: bytes at @msg
 * @pad2: must be 0
 * @diskseq: the disk's sequence number (BLKGETDISKSEQ), so that no other device
 *	that has got its number is detached: ESTALE; 0: any
 *
 * Without a flag a device that is open is left alone: EBUSY. When the ioctl
 * returns 0 without QCOW_DETACH_LAZY, the device is gone and the driver has
 * let go of its files; so it is and has with EIO, but what was written since the
 * last flush is lost. With EINPROGRESS, after ten seconds, a file below does not
 * answer: the device has QCOW_STATE_GOING, cannot be opened, fails new requests, and
 * goes by itself when the file answers. To detach it again is to wait for that again.
 */
struct qcow_ioc_detach {
	__u32 size;
	__u32 flags;
	__s32 index;
	__u32 pad;
	__u64 msg;
	__u32 msg_size;
	__u32 pad2;
	__u64 diskseq;
};

#define QCOW_DETACH_SIZE_V1	16

#define QCOW_RESIZE_FORCE	(1U << 0) /* make it smaller though it is open */
#define QCOW_RESIZE_MAX		(1U << 1) /* a raw image: as large as its file or
					   * block device is now
					   */

/**
 * struct qcow_ioc_resize - give a device and its image another size
 * @size: sizeof(struct qcow_ioc_resize)
 * @flags: QCOW_RESIZE_*
 * @index: the N of /dev/qcowN
 * @msg_size: bytes at @msg
 * @msg: address of a buffer for one line of text without newline that says why
 *	it failed, NUL-terminated; may be 0. After a success it is written to only if
 *	there is something to warn of
 * @bytes: the new size, a multiple of the device's logical sector, not 0; 0 with
 *	QCOW_RESIZE_MAX
 * @diskseq: the device has this diskseq, or ESTALE; 0: it may have any
 *
 * What a larger disk has more of reads as zeros, or with QCOW_RESIZE_MAX as what the
 * file holds there. Without QCOW_RESIZE_FORCE a device that is open is not made
 * smaller: EBUSY. When the ioctl returns 0 the size is durable, and the device has it.
 * EINTR: a signal came; a disk that was to be larger keeps its size, a smaller one has
 * the new size if @msg says so, and the same ioctl goes on giving back the space behind
 * its end.
 */
struct qcow_ioc_resize {
	__u32 size;
	__u32 flags;
	__s32 index;
	__u32 msg_size;
	__u64 msg;
	__u64 bytes;
	__u64 diskseq;
};

#define QCOW_RESIZE_SIZE_V1	32

/**
 * struct qcow_ioc_stream - copy what backing files have into the image
 * @size: sizeof(struct qcow_ioc_stream)
 * @flags: none defined, must be 0
 * @index: the N of /dev/qcowN
 * @msg_size: bytes at @msg
 * @msg: address of a buffer for one line of text without newline that says why
 *	it failed, NUL-terminated; may be 0
 * @bytes: bytes of the disk to look at, at most; not 0
 * @done: out: bytes from the start of the disk that come from no backing file
 * @total: out: bytes of the disk
 * @diskseq: as of &struct qcow_ioc_resize
 *
 * Each call goes on where the last one stopped, while the device is in use. When
 * @done is @total, the image names no backing file any more, and the driver has
 * let go of them. With EINTR, @done and @total are set as well.
 */
struct qcow_ioc_stream {
	__u32 size;
	__u32 flags;
	__s32 index;
	__u32 msg_size;
	__u64 msg;
	__u64 bytes;
	__u64 done;
	__u64 total;
	__u64 diskseq;
};

#define QCOW_STREAM_SIZE_V1	48

/**
 * enum qcow_commit_op - a step of writing an image's data to its backing file
 * @QCOW_COMMIT_OPEN: have the backing file open for writing; nothing is written yet
 * @QCOW_COMMIT_START: it may be written. It becomes as large as the disk
 * @QCOW_COMMIT_RUN: write some of the data. ENOTCONN: none of the above was done
 * @QCOW_COMMIT_CLOSE: have the backing file open for reading only
 */
enum qcow_commit_op {
	QCOW_COMMIT_OPEN	= 1,
	QCOW_COMMIT_START	= 2,
	QCOW_COMMIT_RUN		= 3,
	QCOW_COMMIT_CLOSE	= 4,
};

/**
 * struct qcow_ioc_commit - write an image's data to its backing file
 * @size: sizeof(struct qcow_ioc_commit)
 * @op: &enum qcow_commit_op
 * @index: the N of /dev/qcowN, attached for writing
 * @flags: none defined, must be 0
 * @fd: open: the backing file, open for writing; close: open for reading; it is the
 *	file that is attached, and takes that one's place in the driver. Others: -1
 * @data_fd: its external data file, or -1
 * @msg: address of a buffer for one line of text without newline that says why
 *	it failed, NUL-terminated; may be 0
 * @msg_size: bytes at @msg
 * @msg_image: out: 0: @msg is about the image, 1: about the backing file
 * @bytes: run: bytes of the disk to look at, more if it is written too fast; not 0.
 *	Others: 0
 * @done: out: run: bytes of the disk that are in the backing file; this gets less
 *	when they are written again
 * @total: out: run: bytes of the disk
 * @diskseq: as of &struct qcow_ioc_resize
 * @reserved: must be 0
 *
 * Locks: an open file has those of a reader when it is given to OPEN; in place of
 * the file that the driver had before. It has those of a writer at START. What the
 * image has hides the backing file all the time, and a power cut changes nothing of
 * what the disk reads as. Each run goes on where the last one stopped, while the
 * device is in use; what is written meanwhile is copied again. The last one empties
 * the image: @done is @total then. With EINTR, @done and @total are set as well.
 * CLOSE before that gives up; what was written to the backing file stays there.
 */
struct qcow_ioc_commit {
	__u32 size;
	__u32 op;
	__s32 index;
	__u32 flags;
	__s32 fd;
	__s32 data_fd;
	__u64 msg;
	__u32 msg_size;
	__u32 msg_image;
	__u64 bytes;
	__u64 done;
	__u64 total;
	__u64 diskseq;
	__u64 reserved[1];
};

#define QCOW_COMMIT_SIZE_V1	80

/* What a status says of a device besides its attach flags. */
#define QCOW_STATE_LAZY		(1U << 0) /* goes at the last close */
#define QCOW_STATE_CORRUPT	(1U << 1) /* damage was met in an image */
#define QCOW_STATE_DIRECT	(1U << 2) /* direct I/O on the image */
#define QCOW_STATE_ENCRYPTED	(1U << 3) /* the attached image is encrypted */
#define QCOW_STATE_GOING	(1U << 4) /* it is being detached */

/**
 * struct qcow_ioc_status - what a device is
 * @size: sizeof(struct qcow_ioc_status)
 * @flags: out: QCOW_ATTACH_* it was attached with
 * @index: in: the N of /dev/qcowN
 * @abi: out: QCOW_ABI_VERSION of the driver
 * @state: out: QCOW_STATE_*
 * @format: out: &enum qcow_format of the attached image
 * @depth: out: images in the chain
 * @openers: out: open count of the device and its partitions
 * @bytes: out: size of the device
 * @cluster_size: out: bytes of a cluster of the attached image, 0 for raw
 * @cache_size: out: limit of the metadata cache of one image, bytes
 * @cache_used: out: bytes of L2 tables cached now, whole chain
 * @cache_hits: out: metadata looked up in the cache
 * @cache_misses: out: metadata read from the image
 * @fast: out: requests carried out in their submitter's context, but for
 *	decompression
 * @slow: out: requests that were left to a worker
 * @decompressed: out: clusters decompressed
 * @errors: out: requests that failed
 * @diskseq: out: the number that no other disk of this host ever had; 0: the driver
 *	is too old to tell
 * @reserved: out: 0
 */
struct qcow_ioc_status {
	__u32 size;
	__u32 flags;
	__s32 index;
	__u32 abi;
	__u32 state;
	__u32 format;
	__u32 depth;
	__u32 openers;
	__u64 bytes;
	__u64 cluster_size;
	__u64 cache_size;
	__u64 cache_used;
	__u64 cache_hits;
	__u64 cache_misses;
	__u64 fast;
	__u64 slow;
	__u64 decompressed;
	__u64 errors;
	__u64 diskseq;
	__u64 reserved[3];
};

#define QCOW_STATUS_SIZE_V1	144

/* Longest name of a snapshot that can be made: QEMU shows no more. */
#define QCOW_SNAPSHOT_NEW_NAME_MAX 255

/**
 * enum qcow_snapshot_op - what to do with an internal snapshot
 * @QCOW_SNAPSHOT_CREATE: make one of the disk as it is, also while it is in use
 * @QCOW_SNAPSHOT_DELETE: delete one, also while the disk is in use
 * @QCOW_SNAPSHOT_APPLY: make the disk what it was then; what it is now is lost.
 *	EBUSY if somebody has it open. EINTR: a signal came, and it is as it was. It is
 *	another disk by its number (diskseq) afterwards
 */
enum qcow_snapshot_op {
	QCOW_SNAPSHOT_CREATE	= 1,
	QCOW_SNAPSHOT_DELETE	= 2,
	QCOW_SNAPSHOT_APPLY	= 3,
};

/**
 * struct qcow_ioc_snapshot - an operation on an internal snapshot
 * @size: sizeof(struct qcow_ioc_snapshot)
 * @op: &enum qcow_snapshot_op
 * @index: the N of /dev/qcowN, attached for writing
 * @flags: none defined, must be 0
 * @name: address of its id or name, an id goes first; of a new one, its name, which
 *	must be neither an id nor a name yet. Not NUL-terminated
 * @name_len: bytes of it, 1 to QCOW_SNAPSHOT_NAME_MAX; of a new one's up to
 *	QCOW_SNAPSHOT_NEW_NAME_MAX
 * @msg_size: bytes at @msg
 * @msg: address of a buffer for one line of text without newline that says why it
 *	failed, NUL-terminated; may be 0. After a success it is written to only if there
 *	is something to warn of
 * @stopped: out: nanoseconds that requests were held up
 * @id: out: its id, NUL-terminated
 * @diskseq: as of &struct qcow_ioc_resize
 * @reserved: must be 0
 *
 * When the ioctl returns 0 it is durable.
 */
struct qcow_ioc_snapshot {
	__u32 size;
	__u32 op;
	__s32 index;
	__u32 flags;
	__u64 name;
	__u32 name_len;
	__u32 msg_size;
	__u64 msg;
	__u64 stopped;
	char id[32];
	__u64 diskseq;
	__u64 reserved[3];
};

#define QCOW_SNAPSHOT_SIZE_V1	112

/**
 * enum qcow_bitmap_op - what to do with a bitmap
 * @QCOW_BITMAP_OP_GET: describe it
 * @QCOW_BITMAP_OP_ADD: make one; it is kept up to date from then on
 * @QCOW_BITMAP_OP_REMOVE: remove it
 * @QCOW_BITMAP_OP_ENABLE: keep it up to date again
 * @QCOW_BITMAP_OP_DISABLE: leave it as it is from now on
 * @QCOW_BITMAP_OP_CLEAR: make it say that nothing has changed
 */
enum qcow_bitmap_op {
	QCOW_BITMAP_OP_GET	= 0,
	QCOW_BITMAP_OP_ADD	= 1,
	QCOW_BITMAP_OP_REMOVE	= 2,
	QCOW_BITMAP_OP_ENABLE	= 3,
	QCOW_BITMAP_OP_DISABLE	= 4,
	QCOW_BITMAP_OP_CLEAR	= 5,
};

/* What QCOW_BITMAP_OP_GET says of a bitmap. */
#define QCOW_BITMAP_ENABLED	(1U << 0) /* it is kept up to date */
#define QCOW_BITMAP_INCONSISTENT (1U << 1) /* it was not stored once: it says
					    * nothing, and can only be removed
					    */

/**
 * struct qcow_ioc_bitmap - a bitmap of an attached image, which is written
 * @size: sizeof(struct qcow_ioc_bitmap)
 * @op: &enum qcow_bitmap_op
 * @index: the N of /dev/qcowN
 * @number: get: which bitmap, from 0 on, if @name_len is 0
 * @name: address of its name, not NUL-terminated; get by number: of
 *	QCOW_BITMAP_NAME_MAX bytes for it
 * @name_len: bytes of it, up to QCOW_BITMAP_NAME_MAX; get: out as well
 * @flags: must be 0; get: out: QCOW_BITMAP_*
 * @granularity: add: bytes of the disk that a bit stands for, a power of two, 0:
 *	64 KiB; get: out: the same; others: must be 0
 * @disk_size: get: out: bytes of the image's disk
 * @dirty: get: out: bytes of it that are dirty
 * @bits: get: address of memory for bits, the first bit is the lowest of the
 *	first byte; 0: none are wanted
 * @bits_offset: get: bytes of the bitmap before those that are wanted
 * @bits_size: get: bytes at @bits; out: bytes put there, 0 at the end
 * @msg: address of a buffer for one line of text without newline that says
 *	why it failed, NUL-terminated; may be 0
 * @msg_size: bytes at @msg
 * @pad: must be 0
 * @diskseq: as of &struct qcow_ioc_resize
 * @reserved: must be 0
 *
 * All but a get are durable when the ioctl returns 0, and happen between two
 * requests: what was written before is in the bitmap, or not, and what is
 * written after is not, or is. ENOENT: there is no such bitmap, or none of that
 * number; EROFS: the image is attached read-only.
 */
struct qcow_ioc_bitmap {
	__u32 size;
	__u32 op;
	__s32 index;
	__u32 number;
	__u64 name;
	__u32 name_len;
	__u32 flags;
	__u64 granularity;
	__u64 disk_size;
	__u64 dirty;
	__u64 bits;
	__u64 bits_offset;
	__u64 bits_size;
	__u64 msg;
	__u32 msg_size;
	__u32 pad;
	__u64 diskseq;
	__u64 reserved[3];
};

#define QCOW_BITMAP_SIZE_V1	128

/**
 * enum qcow_file_op - what to do with the files that devices consist of
 * @QCOW_FILE_OPEN: open one of them anew, for reading
 * @QCOW_FILE_FIND: find the device that a file belongs to
 */
enum qcow_file_op {
	QCOW_FILE_OPEN	= 1,
	QCOW_FILE_FIND	= 2,
};

/* What the driver says of a file. */
#define QCOW_FILE_DATA		(1U << 0) /* it is an external data file */
#define QCOW_FILE_WRITABLE	(1U << 1) /* the driver has it open for writing */
#define QCOW_FILE_DELETED	(1U << 2) /* the name by which it was opened is gone */
#define QCOW_FILE_HIDDEN	(1U << 3) /* find: the device goes with another open
					   * file of the control node
					   */

/**
 * struct qcow_ioc_file - a file that a device consists of
 * @size: sizeof(struct qcow_ioc_file)
 * @op: &enum qcow_file_op
 * @index: open: the N of /dev/qcowN; find: the lowest N to look at; out: N
 * @image: open: the image, 0: the attached one, 1: its backing file, and so on;
 *	find: out: the same
 * @flags: open: QCOW_FILE_DATA for that image's external data file, or 0; find: 0;
 *	out: QCOW_FILE_*
 * @fd: open: out: a descriptor, to be closed; find: the file, which may be open with
 *	O_PATH
 * @format: out: &enum qcow_format of that image
 * @pad: must be 0
 * @diskseq: open: as of &struct qcow_ioc_resize; out: that of the device
 * @reserved: must be 0
 *
 * A file is opened without looking up a name: so it is the attached one, whatever
 * has its name by now, also if it was deleted or lies on no mount of the caller's.
 * The new open file has its own position and no locks. ENODEV: there is no such
 * device; ENOENT: the device has no such file, or no device has the file.
 */
struct qcow_ioc_file {
	__u32 size;
	__u32 op;
	__s32 index;
	__u32 image;
	__u32 flags;
	__s32 fd;
	__u32 format;
	__u32 pad;
	__u64 diskseq;
	__u64 reserved[3];
};

#define QCOW_FILE_SIZE_V1	64

/*
 * The numbers carry no size (_IO): the size field of each structure does, so that
 * a number stays the same when its structure grows.
 */
#define QCOW_IOC_MAGIC		0xfb
#define QCOW_IOC_ATTACH		_IO(QCOW_IOC_MAGIC, 0x00)
#define QCOW_IOC_DETACH		_IO(QCOW_IOC_MAGIC, 0x01)
#define QCOW_IOC_STATUS		_IO(QCOW_IOC_MAGIC, 0x02)
#define QCOW_IOC_RESIZE		_IO(QCOW_IOC_MAGIC, 0x03)
#define QCOW_IOC_STREAM		_IO(QCOW_IOC_MAGIC, 0x04)
#define QCOW_IOC_SNAPSHOT	_IO(QCOW_IOC_MAGIC, 0x05)
#define QCOW_IOC_COMMIT		_IO(QCOW_IOC_MAGIC, 0x06)
#define QCOW_IOC_FILE		_IO(QCOW_IOC_MAGIC, 0x07)
#define QCOW_IOC_BITMAP		_IO(QCOW_IOC_MAGIC, 0x10)

#endif /* _UAPI_LINUX_QCOW_H */
