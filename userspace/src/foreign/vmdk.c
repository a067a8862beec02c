// SPDX-License-Identifier: GPL-2.0
/*
 * VMDK, the format of VMware: a descriptor names the extents, which are the disk one after
 * the other. An extent is flat, or it has grains that tables find. Numbers are
 * little-endian.
 *
 * Facts are from VMware's specification 1.1 of the format and from QEMU's reader. QEMU leaves
 * out extents of the type ZERO and those that are not RW, so what follows them moves; here
 * each extent has its place.
 */
#include <strings.h>

#include "foreign/bytes.h"
#include "foreign/formats.h"
#include "foreign/parents.h"
#include "foreign/vmdk.h"

/* Longest key of a fact about an extent */
#define VMDK_KEY_SIZE		48

/**
 * struct vmdk_file - the file that was opened last
 * @name: as the descriptor has it; NULL: none
 * @number: of the file
 */
struct vmdk_file {
	const char *name;
	u32 number;
};

static bool vmdk_probe(const struct foreign_sample *s)
{
	u32 magic = get_le32(s->start);

	return magic == VMDK_MAGIC_KDMV || magic == VMDK_MAGIC_COWD ||
	       vmdk_text_seems(s->start, min(s->size, (u64)sizeof(s->start)));
}

static void tell_extent_number(struct foreign *f, u32 n, const char *what, u64 number)
{
	char key[VMDK_KEY_SIZE];

	snprintf(key, sizeof(key), "extents.%u.%s", n, what);
	foreign_tell_number(f, key, number);
}

static void tell_extent_text(struct foreign *f, u32 n, const char *what, const char *text)
{
	char key[VMDK_KEY_SIZE];

	snprintf(key, sizeof(key), "extents.%u.%s", n, what);
	foreign_tell(f, key, text);
}

/* As qemu-img info has them. @line: NULL: the image is its only extent */
static void tell_extent(struct foreign *f, u32 n, const struct vmdk_extent *e,
			const struct vmdk_line *line)
{
	const char *name = line && line->name ? line->name : f->how.name;

	if (name)
		tell_extent_text(f, n, "filename", name);
	tell_extent_text(f, n, "format", line ? line->type : "");
	tell_extent_number(f, n, "virtual-size", e->size);
	if (e->grain)
		tell_extent_number(f, n, "cluster-size", e->grain);
	if (e->compressed)
		tell_extent_text(f, n, "compressed", "true");
}

static void tell_text(struct foreign *f, const struct vmdk *v)
{
	const char *type = v->text.create_type ? v->text.create_type : "";

	foreign_tell_number(f, "cid", v->text.cid);
	foreign_tell_number(f, "parent-cid", v->text.parent_cid);
	foreign_tell(f, "create-type", v->nr_extents && v->extents[0].compressed ?
		     "streamOptimized" : type);
}

static int name_parent(struct foreign *f, const struct vmdk_text *t)
{
	struct parents *parents = foreign_alloc(f, 1, sizeof(*parents));
	const char *hint = vmdk_name(f, t, t->parent);

	if (!parents || !hint)
		return -ENOMEM;
	parents_add_windows(parents, hint);
	if (!parents->nr)
		return foreign_fail(f, "its parentFileNameHint is no name of a file");
	parents_tell(parents, f);
	return 0;
}

/*
 * A parentCID of all ones means that there is no parent, whatever else the descriptor says,
 * as VMware has it.
 */
static int take_text(struct foreign *f, struct vmdk *v)
{
	const struct vmdk_text *t = &v->text;

	sprintf(f->disk.id, "%08x", t->cid);
	if (t->parent_cid == VMDK_CID_NONE)
		return 0;
	if (!t->parent)
		return foreign_fail(f, "its descriptor has the parentCID %08x, but no parentFileNameHint",
				    t->parent_cid);
	sprintf(f->disk.parent_id, "%08x", t->parent_cid);
	return name_parent(f, t);
}

/* Puts the name of an extent in front of a message about its file. */
static void name_extent(struct foreign *f, const char *name)
{
	struct qcow_msg old = f->msg;

	if (old.text[0])
		snprintf(f->msg.text, sizeof(f->msg.text), "its extent %.60s: %.160s", name,
			 old.text);
}

/* Extents of one file mostly follow one another. */
static int open_file(struct foreign *f, const struct vmdk_text *t, const char *name,
		     struct vmdk_file *last)
{
	int err;

	if (!name)
		return foreign_fail(f, "its descriptor has an extent without a file");
	name = vmdk_name(f, t, name);
	if (!name)
		return -ENOMEM;
	if (last->name && !strcmp(last->name, name))
		return 0;
	err = foreign_open_extent(f, name, &last->number);
	last->name = err ? NULL : name;
	return err;
}

static int open_flat(struct foreign *f, struct vmdk_extent *e, const struct vmdk_line *line)
{
	u64 size = foreign_size(f, e->file);

	e->kind = VMDK_FLAT;
	e->host_offset = line->first_sector * SZ_512;
	if (e->host_offset <= size && e->size <= size - e->host_offset)
		return 0;
	qcow_advise(&f->msg, -EINVAL, "has an extent %.80s of %llu bytes, which is too short, so it is truncated; restore it from a copy",
		    line->name, (unsigned long long)size);
	return -EINVAL;
}

/* An extent's own size counts for QEMU, that of the descriptor for others. */
static int open_sparse(struct foreign *f, struct vmdk *v, u32 n, const struct vmdk_line *line)
{
	struct vmdk_extent *e = &v->extents[n];
	int err = vmdk_open_sparse(f, v, e);

	if (err) {
		name_extent(f, line->name);
		return err;
	}
	if (e->kind == VMDK_ZERO)
		return foreign_fail(f, "has an extent %.80s, which only has a descriptor, and no data",
				    line->name);
	if (e->size != line->sectors * SZ_512 && n + 1 < v->text.nr_extents)
		return foreign_fail(f, "its descriptor has an extent %.80s of %llu bytes, but its header says %llu",
				    line->name, (unsigned long long)line->sectors * SZ_512,
				    (unsigned long long)e->size);
	return 0;
}

static int refuse_type(struct foreign *f, const char *type)
{
	if (!strcasecmp(type, "VMFSRDM") || !strcasecmp(type, "VMFSRAW"))
		return foreign_unsupported(f, "has an extent of the type %s, which is a device of the machine that it was made on; convert it there",
					   type);
	return foreign_unsupported(f, "has an extent of the type %.40s, which is not supported; convert it with VMware's tools",
				   type);
}

static bool is_type(const char *type, const char *const *list)
{
	while (*list && strcasecmp(type, *list))
		list++;
	return *list;
}

static int open_extent(struct foreign *f, struct vmdk *v, u32 n, const struct vmdk_line *line,
		       struct vmdk_file *last)
{
	static const char *const flat[] = { "FLAT", "VMFS", NULL };
	static const char *const sparse[] = { "SPARSE", "VMFSSPARSE", "SESPARSE", NULL };
	struct vmdk_extent *e = &v->extents[n];
	int err;

	e->size = line->sectors * SZ_512;
	if (!strcasecmp(line->type, "ZERO") || !strcasecmp(line->access, "NOACCESS")) {
		e->kind = VMDK_ZERO;
		return 0;
	}
	if (!is_type(line->type, flat) && !is_type(line->type, sparse))
		return refuse_type(f, line->type);
	err = open_file(f, &v->text, line->name, last);
	if (err)
		return err;
	e->file = last->number;
	return is_type(line->type, flat) ? open_flat(f, e, line) : open_sparse(f, v, n, line);
}

static int place_extent(struct foreign *f, struct vmdk_extent *e)
{
	e->guest_offset = f->disk.size;
	if (e->size > VMDK_SECTORS_MAX * SZ_512 - f->disk.size)
		return foreign_fail(f, "its descriptor has too many sectors");
	f->disk.size += e->size;
	f->disk.dirty |= e->unclean;
	return 0;
}

/* Devices of another machine, or of this one: an image does not choose them. */
static int check_create_type(struct foreign *f, const char *type)
{
	static const char *const devices[] = {
		"fullDevice", "partitionedDevice", "vmfsRaw", "vmfsRDM", "vmfsRDMP",
		"vmfsRawDeviceMap", "vmfsPassthroughRawDeviceMap", NULL,
	};

	if (!type || !is_type(type, devices))
		return 0;
	return foreign_unsupported(f, "is a VMDK of the type %s, for a device of the machine that it was made on; convert it there",
				   type);
}

static int alloc_extents(struct foreign *f, struct vmdk *v, u32 nr)
{
	v->extents = foreign_alloc(f, nr, sizeof(*v->extents));
	return v->extents ? 0 : -ENOMEM;
}

static int open_extents(struct foreign *f, struct vmdk *v)
{
	struct vmdk_file last = { };
	struct vmdk_line line;
	u32 n;
	int err;

	if (!v->text.nr_extents)
		return foreign_fail(f, "its descriptor has no extents");
	err = check_create_type(f, v->text.create_type);
	if (!err)
		err = alloc_extents(f, v, v->text.nr_extents);
	for (n = 0; !err && n < v->text.nr_extents; n++) {
		err = vmdk_parse_extent(f, &v->text, n, &line);
		if (!err)
			err = open_extent(f, v, n, &line, &last);
		if (!err)
			err = place_extent(f, &v->extents[n]);
		if (!err)
			tell_extent(f, n, &v->extents[n], &line);
		v->nr_extents = n + 1;
	}
	return err;
}

static int open_text(struct foreign *f, struct vmdk *v, u64 host_offset, u64 bytes)
{
	int err = vmdk_read_text(f, &v->text, 0, host_offset, bytes);

	if (!err)
		err = open_extents(f, v);
	if (!err)
		err = take_text(f, v);
	if (!err)
		tell_text(f, v);
	return err;
}

static int fail_part(struct foreign *f)
{
	return foreign_unsupported(f, "is an extent of a VMDK, without a descriptor; attach the VMDK that has the descriptor");
}

/*
 * The image is its own extent. It does not matter by which name its descriptor calls it, as
 * it may have been renamed.
 */
static int open_single(struct foreign *f, struct vmdk *v)
{
	struct vmdk_extent *e = v->extents;
	int err = vmdk_read_text(f, &v->text, 0, e->text_host_offset, e->text_bytes);

	if (err)
		return err;
	/* Parts of a split disk may have room for a descriptor. */
	if (!v->text.nr_extents)
		return fail_part(f);
	if (v->text.nr_extents > 1)
		return foreign_unsupported(f, "is a VMDK with a descriptor of %u extents inside of the first, which is not supported; convert it with VMware's tools",
					   v->text.nr_extents);
	v->nr_extents = 1;
	err = place_extent(f, e);
	if (!err)
		err = take_text(f, v);
	if (err)
		return err;
	tell_text(f, v);
	tell_extent(f, 0, e, NULL);
	return 0;
}

static int open_with_header(struct foreign *f, struct vmdk *v)
{
	int err = alloc_extents(f, v, 1);
	struct vmdk_extent *e = v->extents;

	if (!err)
		err = vmdk_open_sparse(f, v, e);
	if (err)
		return err;
	if (!e->text_bytes)
		return fail_part(f);
	/* With no disk of its own it only holds the descriptor. */
	if (!e->size)
		return open_text(f, v, e->text_host_offset, e->text_bytes);
	return open_single(f, v);
}

static int open_any(struct foreign *f, struct vmdk *v)
{
	size_t available;
	const u8 *start = foreign_peek(f, &v->gd, 0, 0, 4, &available);

	if (!start)
		return -EINVAL;
	switch (get_le32(start)) {
	case VMDK_MAGIC_KDMV:
	case VMDK_MAGIC_COWD:
		return open_with_header(f, v);
	case VMDK_MAGIC_SESPARSE:
		return fail_part(f);
	}
	if (!vmdk_text_seems(start, available))
		return foreign_fail(f, "has no signature of VMDK, and is no descriptor of one");
	return open_text(f, v, 0, foreign_size(f, 0));
}

static int vmdk_open(struct foreign *f)
{
	struct vmdk *v = foreign_alloc(f, 1, sizeof(*v));
	int err;

	f->private = v;
	err = v ? open_any(f, v) : -ENOMEM;
	if (!err)
		f->disk.cluster_size = v->extents[0].grain;
	return err;
}

static bool has_offset(const struct vmdk_extent *e, u64 guest_offset)
{
	return guest_offset >= e->guest_offset && guest_offset - e->guest_offset < e->size;
}

/* The extent of a guest offset, which is mostly that of the last one or the next. */
static const struct vmdk_extent *find_extent(struct vmdk *v, u64 guest_offset)
{
	u32 low = 0, high = v->nr_extents - 1, middle;

	if (has_offset(&v->extents[v->current], guest_offset))
		return &v->extents[v->current];
	/* The last extent that begins at or before it; empty ones begin there too. */
	while (low < high) {
		middle = low + (high - low + 1) / 2;
		if (v->extents[middle].guest_offset <= guest_offset)
			low = middle;
		else
			high = middle - 1;
	}
	v->current = low;
	return &v->extents[low];
}

static int find_in_extent(struct foreign *f, struct vmdk *v, const struct vmdk_extent *e,
			  u64 in_extent, struct foreign_piece *p)
{
	p->length = e->size - in_extent;
	switch (e->kind) {
	case VMDK_ZERO:
		p->kind = QCOW_MAP_ZERO;
		return 0;
	case VMDK_FLAT:
		p->kind = QCOW_MAP_DATA;
		p->host_offset = e->host_offset + in_extent;
		return 0;
	case VMDK_STREAM:
		return vmdk_find_in_stream(f, e, in_extent, p);
	default:
		return vmdk_find_grain(f, v, e, in_extent, p);
	}
}

static int vmdk_find(struct foreign *f, u64 guest_offset, struct foreign_piece *p)
{
	struct vmdk *v = f->private;
	const struct vmdk_extent *e = find_extent(v, guest_offset);
	u64 in_extent = guest_offset - e->guest_offset;
	int err;

	p->file = e->file;
	err = find_in_extent(f, v, e, in_extent, p);
	p->length = min(p->length, e->size - in_extent);
	return err;
}

const struct foreign_format foreign_vmdk = {
	.name = "vmdk",
	.title = "VMDK",
	.probe = vmdk_probe,
	.probe_backing = vmdk_probe,
	.open = vmdk_open,
	.find = vmdk_find,
	.check = vmdk_check,
};
