/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * qcow: block devices backed by QEMU disk images.
 *
 * All structures are extensible: their first field is the size that the
 * caller knows. A kernel that knows a longer structure takes the missing tail
 * as zeros; a kernel that knows a shorter structure refuses a tail that is not
 * zero with E2BIG. Reserved fields and undefined flag bits must be zero.
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

/* Longest id or name of a snapshot in an ioctl, in bytes. */
#define QCOW_SNAPSHOT_NAME_MAX	1023

/* Longest name of a bitmap, in bytes. */
#define QCOW_BITMAP_NAME_MAX	1023

/* Longest alias of a device, in bytes. */
#define QCOW_ALIAS_MAX		127

/* Longest description of a key, and longest cipher specification, in bytes. */
#define QCOW_KEY_NAME_MAX	127
#define QCOW_CIPHER_MAX		63

/* Size of a metadata cache in bytes: the smallest, and the one that 0 stands for. */
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
 * @QCOW_FORMAT_MAP: any other format: a table of linux/qcow_map.h, which the caller made,
 *	says where the disk's bytes are. It is attached read-only, or with
 *	QCOW_ATTACH_TEMPORARY, or as a backing file
 */
enum qcow_format {
	QCOW_FORMAT_RAW		= 1,
	QCOW_FORMAT_QCOW	= 2,
	QCOW_FORMAT_QCOW2	= 3,
	QCOW_FORMAT_MAP		= 4,
};

/**
 * enum qcow_msg_code - the cause of a failure, beside the text in @msg of a structure below
 * @QCOW_MSG_NONE: the driver is too old to give a code
 * @QCOW_MSG_COMPLETE: the text itself says what to do
 * @QCOW_MSG_ERRNO: only the error of the ioctl is known
 * @QCOW_MSG_FOREIGN: the file is no image of the requested format
 * @QCOW_MSG_DAMAGED: the header is damaged
 * @QCOW_MSG_DAMAGED_TABLE: the header is damaged, but the disk may be readable with
 *	QCOW_ATTACH_SALVAGE
 * @QCOW_MSG_TRUNCATED: the end of the file is missing
 * @QCOW_MSG_TRUNCATED_TABLE: the end of the file is missing, but the disk may be
 *	readable with QCOW_ATTACH_SALVAGE
 * @QCOW_MSG_UNSUPPORTED: the image has a feature that the driver does not know
 * @QCOW_MSG_NO_SNAPSHOT: the image has no such snapshot
 * @QCOW_MSG_NO_BACKING: the image has no backing file
 * @QCOW_MSG_READ_ONLY: the device is attached read-only
 *
 * The byte behind the NUL of the text is the code, if @msg has room for it. Texts are for
 * people and may change; codes do not change.
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
 *	writing, if the device is to be writable); the driver keeps a reference
 *	to the open file, and with it the open file's locks, until detach
 * @data_fd: its external data file, or -1
 * @format: &enum qcow_format
 * @flags: none defined, must be 0
 * @key: address of the description of a key, not NUL-terminated: a key of type
 *	"logon" in the caller's keyrings that holds the key to the image's data.
 *	The driver takes a copy; the key may be removed when the ioctl has returned.
 *	An encrypted image needs a key, others must not have one. 0: none
 * @cipher: address of the specification of the cipher that the key is for, not
 *	NUL-terminated, as in LUKS: cipher, mode and initialisation vector, such as
 *	aes-xts-plain64. For legacy AES: aes-cbc-plain64 and a key of 16 bytes.
 *	0 if @key is 0
 * @key_len: bytes at @key, up to QCOW_KEY_NAME_MAX
 * @cipher_len: bytes at @cipher, up to QCOW_CIPHER_MAX
 * @reserved: must be 0
 * @files: QCOW_FORMAT_MAP: address of an array of __s32: descriptors of the files number
 *	1 and on of the table, open for reading; file number 0 is @fd. 0: none
 * @nr_files: entries in @files
 * @table_fd: QCOW_FORMAT_MAP: the table. For other formats, @files, @nr_files and
 *	@table_fd are 0
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
	__u64 files;
	__u32 nr_files;
	__s32 table_fd;
};

#define QCOW_IMAGE_SIZE_V1	48

/*
 * Flags of an attach, reported back by the status.
 *
 * RO: The device is read-only, and the driver writes to no file. Without it writes to the
 *	device go to the first image and its data file. The driver then writes to the image
 *	already during the attach, if it has autoclear features to clear.
 * DIRECT, BUFFERED: Bypass the page cache or fail; never bypass it. With neither, it is
 *	bypassed for each file that allows it.
 * NO_PARTSCAN: The kernel does not look for partitions.
 * UNTRUSTED: Refuse images that name a backing or data file, and further files of a table
 *	that have a name; older drivers refuse all of these. Needs RO and NO_PARTSCAN.
 * HIDDEN: The device cannot be opened: it has a number and attributes, but no node in
 *	/dev, and udev is not told of it. For programs that change an image which is not in
 *	use, and then detach it. The device belongs to the open file of the control node
 *	through which it was attached: through any other it is not there (ENODEV), and when
 *	the last descriptor of that file is closed it is detached, so that a program that
 *	was killed leaves no device behind.
 * SALVAGE: The images are damaged, or their files were cut off: reads of missing parts
 *	fail with EIO, others work. Needs RO.
 * TEMPORARY: The first image is an overlay that is thrown away: the device is one of the
 *	second image, which is not written, and which a snapshot to show belongs to. The
 *	overlay is not made durable, not even by a flush, and is neither committed nor
 *	streamed. Excludes RO. Older drivers refuse it with EINVAL.
 * CHILD: Show a snapshot of the image that another device has, its parent, which may be in
 *	use. The parent's files and keys are used, and @images is empty. As long as the child
 *	is there, the snapshot is not deleted (EBUSY), and the parent is not detached, but by
 *	force: then the child stays. Needs RO and a snapshot, excludes HIDDEN and TEMPORARY.
 *	UNTRUSTED, NO_PARTSCAN and SALVAGE are taken over from the parent, as are a window,
 *	a sector size and the choice of DIRECT or BUFFERED that are not given. Older drivers
 *	refuse it with EINVAL or E2BIG.
 * AUTOCLEAR: The device goes at its last close, as after a lazy detach, but not before the
 *	last descriptor of the open file of the control node is closed through which it was
 *	attached. For programs that mount it: udev opens and closes it at once, and a program
 *	that was killed leaves no device behind. Excludes HIDDEN. Older drivers refuse it with
 *	EINVAL.
 */
#define QCOW_ATTACH_RO		(1U << 0)
#define QCOW_ATTACH_DIRECT	(1U << 1)
#define QCOW_ATTACH_BUFFERED	(1U << 2)
#define QCOW_ATTACH_NO_PARTSCAN	(1U << 3)
#define QCOW_ATTACH_UNTRUSTED	(1U << 4)
#define QCOW_ATTACH_HIDDEN	(1U << 5)
#define QCOW_ATTACH_SALVAGE	(1U << 6)
#define QCOW_ATTACH_TEMPORARY	(1U << 7)
#define QCOW_ATTACH_CHILD	(1U << 8)
#define QCOW_ATTACH_AUTOCLEAR	(1U << 9)

/**
 * struct qcow_ioc_attach - make a block device of an image
 * @size: sizeof(struct qcow_ioc_attach)
 * @flags: QCOW_ATTACH_*
 * @index: in: the N of /dev/qcowN, or -1 for the lowest free; out: N
 * @nr_images: entries in @images, 1 to QCOW_MAX_IMAGES; 0 with QCOW_ATTACH_CHILD
 * @images: address of an array of &struct qcow_ioc_image: the image to attach,
 *	its backing file, the backing file of that, and so on to the end
 * @image_size: sizeof(struct qcow_ioc_image); 0 with QCOW_ATTACH_CHILD
 * @msg_size: bytes at @msg
 * @msg: address of a buffer for one line of text without newline that says
 *	why an attach failed, NUL-terminated; may be 0
 * @msg_image: out: the entry of @images that @msg is about, or -1
 * @sector_size: bytes of a logical sector of the device: a power of two from
 *	QCOW_SECTOR_SIZE_MIN to QCOW_SECTOR_SIZE_MAX; 0: the size that the table of the
 *	first map in the chain asks for, or the smallest. Older drivers refuse all but 0
 *	with EINVAL
 * @offset: first byte of the image's disk that the device shows; a multiple of
 *	the sector size
 * @size_limit: bytes of the disk that the device shows at most, a multiple of
 *	the sector size; 0: all
 * @cache_size: bytes of metadata cache for each image, and as much again for
 *	the refcounts of the image that is written; 0: the default
 * @snapshot: address of the id or name of the internal snapshot to show, not
 *	NUL-terminated; needs QCOW_ATTACH_RO or QCOW_ATTACH_TEMPORARY. 0: the disk as
 *	it is now
 * @snapshot_len: bytes at @snapshot, up to QCOW_SNAPSHOT_NAME_MAX; 0 if @snapshot is 0
 * @alias_len: bytes at @alias, up to QCOW_ALIAS_MAX; 0 if @alias is 0
 * @diskseq: in: must be 0; out: the diskseq of the device's disk; an older driver
 *	leaves 0
 * @alias: address of a name that the user gives the device, not NUL-terminated: letters,
 *	digits and ``#+-.:=@_``, the first of them not ``-`` or ``.``, and not a name that
 *	ends in ``-part`` and a number, as links to partitions do. No two devices have
 *	the same (EEXIST). The driver shows it in sysfs; udev makes a link of it in
 *	/dev/qcow/. 0: none. Older drivers refuse all but 0 with EINVAL
 * @parent: with QCOW_ATTACH_CHILD, the N of the device whose snapshot is shown; else 0
 * @pad: must be 0
 * @parent_diskseq: its diskseq: ESTALE if it has another one by now; 0: any
 *
 * When the ioctl returns 0, the device and its partitions exist. @msg is then written
 * only as a warning: the device shows whole sectors only, so the last bytes of the disk
 * may be left out.
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
	__u32 alias_len;
	__u64 diskseq;
	__u64 alias;
	__s32 parent;
	__u32 pad;
	__u64 parent_diskseq;
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
 * @msg: address of a buffer for one line of text without newline that says why the
 *	detach failed, NUL-terminated; may be 0. After a success it is written only as
 *	a warning
 * @msg_size: bytes at @msg
 * @pad2: must be 0
 * @diskseq: the disk's sequence number (BLKGETDISKSEQ); ESTALE if the device with
 *	the number @index has another diskseq by now; 0: any
 *
 * Without a flag a device that is open, or has children (QCOW_ATTACH_CHILD), is left alone:
 * EBUSY. When the ioctl
 * returns 0 without QCOW_DETACH_LAZY, the device is gone and the driver has closed
 * its files. EIO: they are gone and closed as well, but writes since the last flush
 * are lost. EINPROGRESS: a file below has not answered for ten seconds, or, with
 * QCOW_DETACH_FORCE, the detach takes longer than that; the device has QCOW_STATE_GOING,
 * cannot be opened, fails new requests, and goes by itself when the file answers. Another
 * detach waits for that again.
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

#define QCOW_RESIZE_FORCE	(1U << 0) /* shrink the device though it is open */
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
 *	the resize failed, NUL-terminated; may be 0. After a success it is written only
 *	as a warning
 * @bytes: the new size, a multiple of the device's logical sector, not 0; 0 with
 *	QCOW_RESIZE_MAX
 * @diskseq: ESTALE if the device has another diskseq; 0: any
 *
 * The new part of a larger disk reads as zeros, or with QCOW_RESIZE_MAX as the bytes of
 * the file there. Without QCOW_RESIZE_FORCE a device that is open is not made smaller:
 * EBUSY. When the ioctl returns 0, the size is durable, and the device has it.
 * EINTR: a signal came; a disk that was to grow keeps its size, a disk that was to
 * shrink has the new size if @msg says so, and the same ioctl goes on giving back the
 * space behind its end.
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
 * struct qcow_ioc_stream - copy the data of backing files into the image
 * @size: sizeof(struct qcow_ioc_stream)
 * @flags: none defined, must be 0
 * @index: the N of /dev/qcowN
 * @msg_size: bytes at @msg
 * @msg: address of a buffer for one line of text without newline that says why
 *	the call failed, NUL-terminated; may be 0
 * @bytes: bytes of the disk to look at, at most; not 0
 * @done: out: bytes from the start of the disk that come from no backing file
 * @total: out: bytes of the disk
 * @diskseq: as in &struct qcow_ioc_resize
 *
 * The device may be in use. Each call goes on where the last one stopped. When
 * @done is @total, the image names no backing file any more, and the driver has
 * closed them. With EINTR, @done and @total are set as well.
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
 * @QCOW_COMMIT_OPEN: take a backing file that is open for writing; write nothing yet
 * @QCOW_COMMIT_START: begin, and make a smaller backing file as large as the disk
 * @QCOW_COMMIT_RUN: write some of the data. ENOTCONN: the steps above were not done
 * @QCOW_COMMIT_CLOSE: take a backing file that is open for reading only
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
 * @fd: open: the attached backing file, open for writing; close: the same, open for
 *	reading. It replaces the open file that the driver has. Other steps: -1
 * @data_fd: the backing file's external data file, or -1
 * @msg: address of a buffer for one line of text without newline that says why
 *	the step failed, NUL-terminated; may be 0
 * @msg_size: bytes at @msg
 * @msg_image: out: 0: @msg is about the image, 1: about the backing file
 * @bytes: run: bytes of the disk to look at, more if the disk is written too fast;
 *	not 0. Other steps: 0
 * @done: out: run: bytes of the disk that are in the backing file; the number falls
 *	when they are written again
 * @total: out: run: bytes of the disk
 * @diskseq: as in &struct qcow_ioc_resize
 * @reserved: must be 0
 *
 * The open file needs the locks of a reader at OPEN, when it replaces the driver's file,
 * and those of a writer at START. The image's data hides the backing file all the time,
 * so a power cut does not change the data of the disk. The device may be in use. Each
 * run goes on where the last one stopped, and copies again data that was written
 * meanwhile. The last run empties the image: @done is @total then. With EINTR, @done and
 * @total are set as well. CLOSE before that gives up; data that was written to the
 * backing file stays there.
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

/* State of a device besides its attach flags. */
#define QCOW_STATE_LAZY		(1U << 0) /* goes at the last close */
#define QCOW_STATE_CORRUPT	(1U << 1) /* damage was met in an image */
#define QCOW_STATE_DIRECT	(1U << 2) /* direct I/O on the image */
#define QCOW_STATE_ENCRYPTED	(1U << 3) /* the attached image is encrypted */
#define QCOW_STATE_GOING	(1U << 4) /* the device is being detached */

/**
 * enum qcow_job_owner - the open file of the control node that an operation came by
 * @QCOW_JOB_UNKNOWN: there was no operation, or the driver is too old to tell
 * @QCOW_JOB_OURS: the one that asks for the status
 * @QCOW_JOB_OTHERS: another one: an operation that was asked for by this one has not begun,
 *	or another one began after it
 */
enum qcow_job_owner {
	QCOW_JOB_UNKNOWN	= 0,
	QCOW_JOB_OURS		= 1,
	QCOW_JOB_OTHERS		= 2,
};

/**
 * struct qcow_ioc_status - properties and counters of a device
 * @size: sizeof(struct qcow_ioc_status)
 * @flags: out: QCOW_ATTACH_* of the attach
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
 * @fast: out: requests carried out in their submitter's context, except for
 *	decompression
 * @slow: out: requests that were left to a worker
 * @decompressed: out: clusters decompressed
 * @errors: out: requests that failed
 * @diskseq: out: the disk's sequence number, which no other disk of this host ever had;
 *	0: the driver is too old to tell
 * @job_done: out: of the resize or snapshot operation that is under way, or else of the
 *	last one: bytes of the disk that it is through with; with QCOW_STATE_GOING, once no
 *	operation is left: bytes of the file that are given back
 * @job_total: out: bytes of the disk that it goes through, some perhaps several times; or
 *	of the file, all that will be given back; 0: it does not say, or the driver is too old
 *	to tell
 * @job_owner: out: &enum qcow_job_owner of that operation
 * @pad: out: 0
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
	__u64 job_done;
	__u64 job_total;
	__u32 job_owner;
	__u32 pad;
};

#define QCOW_STATUS_SIZE_V1	144

/* Longest name of a new snapshot: QEMU shows no more. */
#define QCOW_SNAPSHOT_NEW_NAME_MAX 255

/**
 * enum qcow_snapshot_op - operation on an internal snapshot
 * @QCOW_SNAPSHOT_CREATE: make a snapshot of the disk as it is, also while it is in use
 * @QCOW_SNAPSHOT_DELETE: delete a snapshot, also while the disk is in use. EBUSY: a
 *	device attached with QCOW_ATTACH_CHILD shows it
 * @QCOW_SNAPSHOT_APPLY: give the disk the snapshot's content; its own is lost. EBUSY:
 *	the disk is open. EINTR: a signal came, and the disk is unchanged. Afterwards
 *	the disk has another diskseq
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
 * @name: address of the snapshot's id or name, not NUL-terminated; an id is looked for
 *	first. Create: the new name, which no snapshot has as id or name yet
 * @name_len: bytes at @name, 1 to QCOW_SNAPSHOT_NAME_MAX; create: up to
 *	QCOW_SNAPSHOT_NEW_NAME_MAX
 * @msg_size: bytes at @msg
 * @msg: address of a buffer for one line of text without newline that says why the
 *	operation failed, NUL-terminated; may be 0. After a success it is written only
 *	as a warning
 * @stopped: out: nanoseconds that requests were held up
 * @id: out: the snapshot's id, NUL-terminated
 * @diskseq: as in &struct qcow_ioc_resize
 * @reserved: must be 0
 *
 * When the ioctl returns 0, the operation is durable.
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
 * enum qcow_bitmap_op - operation on a bitmap
 * @QCOW_BITMAP_OP_GET: describe the bitmap
 * @QCOW_BITMAP_OP_ADD: make a bitmap; it is kept up to date from then on
 * @QCOW_BITMAP_OP_REMOVE: remove the bitmap
 * @QCOW_BITMAP_OP_ENABLE: keep the bitmap up to date again
 * @QCOW_BITMAP_OP_DISABLE: leave the bitmap as it is from now on
 * @QCOW_BITMAP_OP_CLEAR: clear all bits
 */
enum qcow_bitmap_op {
	QCOW_BITMAP_OP_GET	= 0,
	QCOW_BITMAP_OP_ADD	= 1,
	QCOW_BITMAP_OP_REMOVE	= 2,
	QCOW_BITMAP_OP_ENABLE	= 3,
	QCOW_BITMAP_OP_DISABLE	= 4,
	QCOW_BITMAP_OP_CLEAR	= 5,
};

/* State of a bitmap, from QCOW_BITMAP_OP_GET. */
#define QCOW_BITMAP_ENABLED	(1U << 0) /* the bitmap is kept up to date */
#define QCOW_BITMAP_INCONSISTENT (1U << 1) /* it was not stored once: its bits
					    * mean nothing, it can only be removed
					    */

/**
 * struct qcow_ioc_bitmap - a bitmap of an image that is attached for writing
 * @size: sizeof(struct qcow_ioc_bitmap)
 * @op: &enum qcow_bitmap_op
 * @index: the N of /dev/qcowN
 * @number: get: number of the bitmap, from 0 on, if @name_len is 0
 * @name: address of the bitmap's name, not NUL-terminated; get by number: address of
 *	QCOW_BITMAP_NAME_MAX bytes for the name
 * @name_len: bytes at @name, up to QCOW_BITMAP_NAME_MAX; get: out as well
 * @flags: must be 0; get: out: QCOW_BITMAP_*
 * @granularity: add: bytes of the disk that a bit stands for, a power of two, 0:
 *	64 KiB; get: out: the same; others: must be 0
 * @disk_size: get: out: bytes of the image's disk
 * @dirty: get: out: bytes of the disk that are dirty
 * @bits: get: address of memory for bits, the first bit is the lowest of the
 *	first byte; 0: none are wanted
 * @bits_offset: get: byte of the bitmap at which the wanted bits begin
 * @bits_size: get: bytes at @bits; out: bytes put there, 0 at the end
 * @msg: address of a buffer for one line of text without newline that says
 *	why the operation failed, NUL-terminated; may be 0
 * @msg_size: bytes at @msg
 * @pad: must be 0
 * @diskseq: as in &struct qcow_ioc_resize
 * @reserved: must be 0
 *
 * All operations except get are durable when the ioctl returns 0. Each happens between
 * two requests, so every write comes wholly before or wholly after it. ENOENT: there is
 * no bitmap with that name or number; EROFS: the image is attached read-only.
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
 * enum qcow_file_op - operation on the files of devices
 * @QCOW_FILE_OPEN: open a file of a device anew, for reading
 * @QCOW_FILE_FIND: find the device that a file belongs to
 */
enum qcow_file_op {
	QCOW_FILE_OPEN	= 1,
	QCOW_FILE_FIND	= 2,
};

/* State of a file. */
#define QCOW_FILE_DATA		(1U << 0) /* the file is an external data file */
#define QCOW_FILE_WRITABLE	(1U << 1) /* the driver has it open for writing */
#define QCOW_FILE_DELETED	(1U << 2) /* the name by which it was opened is gone */
#define QCOW_FILE_HIDDEN	(1U << 3) /* find: the device goes with another open
					   * file of the control node
					   */
#define QCOW_FILE_TEMPORARY	(1U << 4) /* the device is temporary: its image is
					   * number 1, behind the overlay
					   */
#define QCOW_FILE_CHILD		(1U << 5) /* the device is a child: its parent has the
					   * file, too
					   */

/**
 * struct qcow_ioc_file - a file of a device
 * @size: sizeof(struct qcow_ioc_file)
 * @op: &enum qcow_file_op
 * @index: open: the N of /dev/qcowN; find: the lowest N to look at; out: N
 * @image: open: the image, 0: the attached one, 1: its backing file, and so on;
 *	find: out: the same
 * @flags: open: QCOW_FILE_DATA for that image's external data file, or 0; find: 0;
 *	out: QCOW_FILE_*
 * @fd: open: out: a descriptor, which the caller closes; find: the file, which may be
 *	open with O_PATH
 * @format: out: &enum qcow_format of that image
 * @number: of an image of QCOW_FORMAT_MAP: open: number of the file in its table; find:
 *	out: the same. Else 0
 * @diskseq: open: as in &struct qcow_ioc_resize; out: the device's diskseq
 * @reserved: must be 0
 *
 * The driver opens the attached file itself and looks up no name, so another file may
 * have that name by now, and the file may be deleted or lie on no mount of the caller's.
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
	__u32 number;
	__u64 diskseq;
	__u64 reserved[3];
};

#define QCOW_FILE_SIZE_V1	64

/*
 * The numbers carry no size (_IO), since each structure has a size field: a number
 * stays the same when its structure grows.
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
