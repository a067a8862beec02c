// SPDX-License-Identifier: GPL-2.0
/*
 * The bytes of a VHDX as they would be if its log were replayed into the file.
 */
#include "foreign/sort.h"
#include "foreign/vhdx.h"

/* Bytes at the start and at the end of a logged sector that its descriptor has */
#define LEADING_BYTES		8
#define TRAILING_BYTES		4
#define MIDDLE_BYTES		(VHDX_LOG_SECTOR - LEADING_BYTES - TRAILING_BYTES)

static u64 end_of(const void *element)
{
	const struct vhdx_patch *patch = element;

	return patch->end;
}

/* The first patch that ends above a host offset, or the number of patches. */
static u32 find_patch(const struct vhdx *v, u64 host_offset)
{
	return foreign_search(v->patches, v->nr_patches, sizeof(*v->patches), host_offset + 1,
			      end_of);
}

static int read_logged(struct foreign *f, const struct vhdx_patch *patch, u8 *sector)
{
	u8 descriptor[32];
	int err = foreign_read(f, 0, descriptor, sizeof(descriptor), patch->descriptor);

	if (err)
		return err;
	memcpy(sector, descriptor + 8, LEADING_BYTES);
	memcpy(sector + VHDX_LOG_SECTOR - TRAILING_BYTES, descriptor + 4, TRAILING_BYTES);
	return foreign_read(f, 0, sector + LEADING_BYTES, MIDDLE_BYTES,
			    patch->data + LEADING_BYTES);
}

/* Put the part of a patch that lies in a buffer there. */
static int apply_patch(struct foreign *f, const struct vhdx_patch *patch, u8 *buf, size_t len,
		       u64 host_offset)
{
	u64 start = patch->start > host_offset ? patch->start : host_offset;
	u64 end = min(patch->end, host_offset + len);
	u8 sector[VHDX_LOG_SECTOR];
	int err;

	if (!patch->descriptor) {
		memset(buf + (start - host_offset), 0, end - start);
		return 0;
	}
	err = read_logged(f, patch, sector);
	if (!err)
		memcpy(buf + (start - host_offset), sector + (start - patch->start), end - start);
	return err;
}

/**
 * vhdx_read() - read bytes that have to be there
 * @f: the image
 * @v: its numbers
 * @buf: for the bytes
 * @len: how many
 * @host_offset: of the first one, any number
 *
 * Return: 0, or a negative errno with a message.
 */
int vhdx_read(struct foreign *f, struct vhdx *v, void *buf, size_t len, u64 host_offset)
{
	u64 size = foreign_size(f, 0);
	size_t in_file = len;
	u32 i;
	int err;

	/* The log may make the file longer. */
	if (v->size > size && host_offset < v->size && len <= v->size - host_offset) {
		in_file = host_offset < size ? min(len, size - host_offset) : 0;
		memset((u8 *)buf + in_file, 0, len - in_file);
	}
	err = foreign_read(f, 0, buf, in_file, host_offset);
	for (i = find_patch(v, host_offset); !err && i < v->nr_patches; i++) {
		if (v->patches[i].start >= host_offset + len)
			break;
		err = apply_patch(f, &v->patches[i], buf, len, host_offset);
	}
	return err;
}

static bool window_has(const struct foreign_window *w, u64 host_offset, size_t len)
{
	return host_offset >= w->host_offset && host_offset - w->host_offset <= w->len &&
	       w->len - (host_offset - w->host_offset) >= len;
}

static int window_move(struct foreign *f, struct vhdx *v, struct foreign_window *w,
		       u64 host_offset, size_t len)
{
	if (!w->bytes)
		w->bytes = foreign_alloc(f, 1, FOREIGN_WINDOW_BYTES);
	if (!w->bytes)
		return -ENOMEM;
	w->len = 0;
	if (host_offset < v->size && len <= v->size - host_offset)
		len = min((u64)FOREIGN_WINDOW_BYTES, v->size - host_offset);
	w->host_offset = host_offset;
	if (vhdx_read(f, v, w->bytes, len, host_offset))
		return -EINVAL;
	w->len = len;
	return 0;
}

/**
 * vhdx_peek() - look at bytes of a table, of which a part stays in memory
 * @f: the image
 * @v: its numbers
 * @w: the part
 * @host_offset: of the first byte, any number
 * @len: how many are needed, up to FOREIGN_PEEK_MAX
 * @available: how many there are, at least @len; or NULL
 *
 * Return: the bytes, good until the next call with @w; or NULL with a message.
 */
const u8 *vhdx_peek(struct foreign *f, struct vhdx *v, struct foreign_window *w,
		    u64 host_offset, size_t len, size_t *available)
{
	if (!v->nr_patches && v->size == foreign_size(f, 0))
		return foreign_peek(f, w, 0, host_offset, len, available);
	if (!window_has(w, host_offset, len) && window_move(f, v, w, host_offset, len))
		return NULL;
	if (available)
		*available = w->len - (host_offset - w->host_offset);
	return w->bytes + (host_offset - w->host_offset);
}

/* The driver reads a logged sector from the scratch file, at its number. */
static int copy_logged(struct foreign *f, struct vhdx *v, struct vhdx_patch *patch)
{
	u8 sector[VHDX_LOG_SECTOR];
	int err;

	if (patch->copied)
		return 0;
	if (!v->has_scratch) {
		err = foreign_scratch(f, &v->scratch);
		if (err)
			return err;
		v->has_scratch = true;
	}
	err = read_logged(f, patch, sector);
	if (!err)
		err = foreign_write(f, v->scratch, sector, sizeof(sector),
				    (u64)(patch - v->patches) * VHDX_LOG_SECTOR);
	patch->copied = !err;
	return err;
}

static int place_patch(struct foreign *f, struct vhdx *v, struct vhdx_patch *patch,
		       struct foreign_piece *p)
{
	int err;

	p->length = min(p->length, patch->end - p->host_offset);
	if (!patch->descriptor) {
		p->kind = QCOW_MAP_ZERO;
		return 0;
	}
	err = copy_logged(f, v, patch);
	if (err)
		return err;
	p->host_offset = (u64)(patch - v->patches) * VHDX_LOG_SECTOR +
			 (p->host_offset - patch->start);
	p->file = v->scratch;
	return 0;
}

/**
 * vhdx_place_data() - find the bytes of a block that may be in the log
 * @f: the image
 * @v: its numbers
 * @p: a piece of the file, which is made shorter where its content comes from elsewhere
 *
 * Return: 0, or a negative errno with a message.
 */
int vhdx_place_data(struct foreign *f, struct vhdx *v, struct foreign_piece *p)
{
	u64 size = foreign_size(f, 0);
	u32 i = find_patch(v, p->host_offset);

	if (i < v->nr_patches && v->patches[i].start <= p->host_offset)
		return place_patch(f, v, &v->patches[i], p);
	if (i < v->nr_patches)
		p->length = min(p->length, v->patches[i].start - p->host_offset);
	if (v->size == size)
		return 0;
	if (p->host_offset < size) {
		p->length = min(p->length, size - p->host_offset);
	} else if (p->host_offset < v->size) {
		p->kind = QCOW_MAP_ZERO;
		p->length = min(p->length, v->size - p->host_offset);
	}
	return 0;
}
