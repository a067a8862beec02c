// SPDX-License-Identifier: GPL-2.0
/*
 * VDI, the format of VirtualBox: a header, and a map with the number of each block of the
 * disk in the file. Numbers are little-endian.
 *
 * Facts are from QEMU's reader and from the names of fields in VirtualBox's headers.
 */
#include "foreign/bytes.h"
#include "foreign/formats.h"

#define VDI_SIGNATURE		0xbeda107f
#define VDI_VERSION		0x00010001
#define VDI_SIGNATURE_AT	64
#define VDI_HEADER_BYTES	472

#define VDI_DYNAMIC		1
#define VDI_FIXED		2
#define VDI_DIFFERENCING	4

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
 * @map_host_offset: of the map
 * @data_host_offset: of block 0
 * @map: the part of the map that is in memory
 */
struct vdi {
	u32 block;
	u32 extra;
	u32 blocks;
	u32 map_host_offset;
	u32 data_host_offset;
	struct foreign_window map;
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

static int vdi_open(struct foreign *f)
{
	struct vdi *v = foreign_alloc(f, 1, sizeof(*v));
	const u8 *h;

	f->private = v;
	h = v ? foreign_peek(f, &v->map, 0, 0, VDI_HEADER_BYTES, NULL) : NULL;
	if (!h)
		return -EINVAL;
	v->map_host_offset = get_le32(h + 340);
	v->data_host_offset = get_le32(h + 344);
	v->block = get_le32(h + 376);
	v->extra = get_le32(h + 380);
	v->blocks = get_le32(h + 384);
	f->disk.size = get_le64(h + 368);
	f->disk.cluster_size = v->block;
	guid_text(f->disk.id, h + 392, true);
	guid_text(f->disk.parent_id, h + 424, true);
	if (guid_is_null(f->disk.parent_id))
		f->disk.parent_id[0] = '\0';
	return vdi_check_header(f, v, h);
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
	p->kind = QCOW_MAP_DATA;
	p->host_offset = v->data_host_offset + n * ((u64)v->block + v->extra) + v->extra + skip;
	return 0;
}

const struct foreign_format foreign_vdi = {
	.name = "vdi",
	.title = "VDI",
	.probe = vdi_probe,
	.open = vdi_open,
	.find = vdi_find,
};
