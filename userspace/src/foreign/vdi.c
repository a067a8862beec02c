// SPDX-License-Identifier: GPL-2.0
/*
 * VDI, the format of VirtualBox: a header, and a map with the number of each block of the
 * disk in the file. Numbers are little-endian.
 *
 * A differencing image names its parent by UUID alone: the file is any .vdi of the folder, of
 * the folder above, or of the folder Snapshots, which the caller searches, or a member of the
 * archive that has the image.
 *
 * Facts are from QEMU's reader and from the names of fields in VirtualBox's headers. QEMU
 * reads no differencing images, so these follow the names of fields alone.
 */
#include "foreign/bytes.h"
#include "foreign/formats.h"
#include "foreign/units.h"

#define VDI_SIGNATURE		0xbeda107f
#define VDI_VERSION		0x00010001
#define VDI_SIGNATURE_AT	64
#define VDI_HEADER_BYTES	472

#define VDI_DYNAMIC		1
#define VDI_FIXED		2
#define VDI_UNDO		3
#define VDI_DIFFERENCING	4

/* The files among which the caller searches for the parent by its identifier */
#define VDI_ANY			"*.vdi"

/* Fields of the header */
#define VDI_COMMENT_AT		84
#define VDI_COMMENT_BYTES	256
#define VDI_IMAGE_AT		392
#define VDI_CHANGE_AT		408
#define VDI_PARENT_AT		424
#define VDI_PARENT_CHANGE_AT	440

/* Entries of the map that are no numbers of blocks */
#define VDI_BLOCK_NONE		0xffffffff
#define VDI_BLOCK_ZERO		0xfffffffe

#define VDI_BLOCK_MIN		SZ_4K
#define VDI_BLOCK_MAX		SZ_512M

/**
 * struct vdi - the numbers of a header that find blocks
 * @block: bytes of a block of the disk
 * @extra: bytes before the data of each block in the file
 * @blocks: entries of the map
 * @allocated: of them, those with a block of the file, as the header counts them
 * @map_host_offset: of the map
 * @data_host_offset: of block 0
 * @map: the part of the map that is in memory
 * @visited: blocks of the file that a walk has looked at
 */
struct vdi {
	u32 block;
	u32 extra;
	u32 blocks;
	u32 allocated;
	u32 map_host_offset;
	u32 data_host_offset;
	struct foreign_window map;
	struct foreign_visits visited;
};

static bool vdi_probe(const struct foreign_sample *s)
{
	return get_le32(s->start + VDI_SIGNATURE_AT) == VDI_SIGNATURE;
}

static int vdi_check_header(struct foreign *f, const struct vdi *v, const u8 *h)
{
	u64 size = f->disk.size;

	if (get_le32(h + VDI_SIGNATURE_AT) != VDI_SIGNATURE)
		return foreign_fail(f, "has no signature of VDI");
	if (get_le32(h + 68) != VDI_VERSION)
		return foreign_unsupported(f, "is VDI of version %u.%u, which is not supported; convert it with VBoxManage clonemedium",
					   get_le32(h + 68) >> 16, get_le32(h + 68) & 0xffff);
	if (v->block < VDI_BLOCK_MIN || v->block > VDI_BLOCK_MAX || v->block & (v->block - 1))
		return foreign_fail(f, "its header has blocks of %u bytes", v->block);
	if (v->extra % SZ_512 || v->map_host_offset % SZ_512 || v->data_host_offset % SZ_512)
		return foreign_fail(f, "its header has offsets that are not aligned");
	if (!size || DIV_ROUND_UP_ULL(size, v->block) > v->blocks)
		return foreign_fail(f, "its header has %u blocks for a disk of %llu bytes",
				    v->blocks, (unsigned long long)size);
	return 0;
}

static const char *const vdi_types[] = {
	[VDI_DYNAMIC] = "dynamic",
	[VDI_FIXED] = "fixed",
	[VDI_UNDO] = "undo",
	[VDI_DIFFERENCING] = "differencing",
};

static int vdi_check_type(struct foreign *f, const u8 *h)
{
	u32 type = get_le32(h + 76);

	if (!type || type >= ARRAY_SIZE(vdi_types))
		return foreign_fail(f, "its header has type %u", type);
	if (type == VDI_UNDO)
		return foreign_unsupported(f, "is an undo image of VDI, which is not supported; merge it with its parent in VirtualBox");
	if (type == VDI_DIFFERENCING && !f->disk.parent_id[0])
		return foreign_fail(f, "is a differencing image without the UUID of a parent");
	foreign_tell(f, "type", vdi_types[type]);
	return 0;
}

static void vdi_tell_uuid(struct foreign *f, const char *key, const u8 *guid)
{
	char text[FOREIGN_ID_SIZE];

	guid_text(text, guid, true);
	if (!guid_is_null(text))
		foreign_tell(f, key, text);
}

static void vdi_tell(struct foreign *f, const u8 *h)
{
	char comment[VDI_COMMENT_BYTES + 1] = "";

	vdi_tell_uuid(f, "uuid", h + VDI_IMAGE_AT);
	vdi_tell_uuid(f, "last-change", h + VDI_CHANGE_AT);
	vdi_tell_uuid(f, "parent-uuid", h + VDI_PARENT_AT);
	vdi_tell_uuid(f, "parent-last-change", h + VDI_PARENT_CHANGE_AT);
	memcpy(comment, h + VDI_COMMENT_AT, VDI_COMMENT_BYTES);
	if (comment[0])
		foreign_tell(f, "comment", comment);
}

static void vdi_take_uuid(char *text, const u8 *guid)
{
	guid_text(text, guid, true);
	if (guid_is_null(text))
		text[0] = '\0';
}

static void vdi_take_ids(struct foreign_disk *d, const u8 *h)
{
	guid_text(d->id, h + VDI_IMAGE_AT, true);
	vdi_take_uuid(d->change_id, h + VDI_CHANGE_AT);
}

static void vdi_ids(const struct foreign_sample *s, struct foreign_disk *d)
{
	vdi_take_ids(d, s->start);
}

static void vdi_take_header(struct foreign *f, struct vdi *v, const u8 *h)
{
	v->map_host_offset = get_le32(h + 340);
	v->data_host_offset = get_le32(h + 344);
	v->block = get_le32(h + 376);
	v->extra = get_le32(h + 380);
	v->blocks = get_le32(h + 384);
	v->allocated = get_le32(h + 388);
	f->disk.size = get_le64(h + 368);
	f->disk.cluster_size = v->block;
	vdi_take_ids(&f->disk, h);
	vdi_take_uuid(f->disk.parent_id, h + VDI_PARENT_AT);
	vdi_take_uuid(f->disk.parent_change_id, h + VDI_PARENT_CHANGE_AT);
}

static int vdi_open(struct foreign *f)
{
	struct vdi *v = foreign_alloc(f, 1, sizeof(*v));
	const u8 *h;
	int err;

	f->private = v;
	h = v ? foreign_peek(f, &v->map, 0, 0, VDI_HEADER_BYTES, NULL) : NULL;
	if (!h)
		return -EINVAL;
	vdi_take_header(f, v, h);
	err = vdi_check_header(f, v, h);
	if (!err)
		err = vdi_check_type(f, h);
	if (err)
		return err;
	vdi_tell(f, h);
	/* Whatever its type: absent blocks are the parent's, and not zeros. */
	return f->disk.parent_id[0] ? foreign_backing_by_id(f, VDI_ANY) : 0;
}

static int vdi_find(struct foreign *f, u64 guest_offset, struct foreign_piece *p)
{
	struct vdi *v = f->private;
	u64 block = guest_offset / v->block, skip = guest_offset % v->block;
	const u8 *entry = foreign_peek(f, &v->map, 0, v->map_host_offset + block * 4, 4, NULL);
	u32 n;

	if (!entry)
		return -EINVAL;
	n = get_le32(entry);
	p->length = v->block - skip;
	if (n == VDI_BLOCK_NONE || n == VDI_BLOCK_ZERO) {
		p->kind = n == VDI_BLOCK_ZERO ? QCOW_MAP_ZERO : QCOW_MAP_HOLE;
		return 0;
	}
	if (!foreign_visit(&v->visited, block, (u64)v->block + v->extra, foreign_size(f, 0)))
		return foreign_fail(f, "its map has more blocks than the file has room for");
	p->kind = QCOW_MAP_DATA;
	p->host_offset = v->data_host_offset + n * ((u64)v->block + v->extra) + v->extra + skip;
	return 0;
}

/* Data that begins in the header or in the map */
static void vdi_check_place(struct foreign *f, const struct vdi *v)
{
	u64 end = v->map_host_offset + v->blocks * 4ULL;

	if (v->data_host_offset < end || v->map_host_offset < VDI_HEADER_BYTES)
		foreign_fault(f, "the header, the map and the data overlap");
}

static int vdi_count(struct foreign *f, struct vdi *v)
{
	u64 disk_blocks = DIV_ROUND_UP_ULL(f->disk.size, v->block), i, nr = 0;
	const u8 *entry;

	for (i = 0; i < disk_blocks; i++) {
		entry = foreign_peek(f, &v->map, 0, v->map_host_offset + i * 4, 4, NULL);
		if (!entry)
			return -EINVAL;
		nr += get_le32(entry) < VDI_BLOCK_ZERO;
	}
	if (nr != v->allocated)
		foreign_fault(f, "the header counts %u blocks of data, and the map has %llu",
			      v->allocated, (unsigned long long)nr);
	return 0;
}

static int vdi_check(struct foreign *f)
{
	struct vdi *v = f->private;
	struct units u;
	int err = units_init(&u, f, 0, v->data_host_offset, (u64)v->block + v->extra);

	if (err)
		return err;
	vdi_check_place(f, v);
	err = vdi_count(f, v);
	if (!err)
		err = units_add_disk(&u);
	if (!err)
		units_tell_free(&u, "blocks");
	return err;
}

const struct foreign_format foreign_vdi = {
	.name = "vdi",
	.title = "VDI",
	.probe = vdi_probe,
	.probe_backing = vdi_probe,
	.open = vdi_open,
	.find = vdi_find,
	.check = vdi_check,
	.ids = vdi_ids,
};
