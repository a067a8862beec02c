// SPDX-License-Identifier: GPL-2.0
/*
 * The walk through a disk that makes the entries of its table.
 */
#include "foreign/foreign.h"

/**
 * struct walk - the entry that is made
 * @f: the image
 * @put: takes an entry when it is complete
 * @arg: the first argument of @put
 * @e: the entry
 * @end: guest offset of the end of its part; 0: there is no entry yet
 */
struct walk {
	struct foreign *f;
	int (*put)(void *arg, const struct qcow_map_entry *e);
	void *arg;
	struct qcow_map_entry e;
	u64 end;
};

static bool continues(const struct walk *w, const struct qcow_map_entry *next)
{
	const struct qcow_map_entry *e = &w->e;
	u64 length = w->end - e->start;

	if (!w->end || next->kind != e->kind || next->file != e->file || next->codec != e->codec)
		return false;
	if (e->kind == QCOW_MAP_DATA)
		return next->host == e->host + length;
	if (e->kind == QCOW_MAP_COMPRESSED)
		return next->host == e->host && next->stored == e->stored &&
		       next->plain == e->plain && next->skip == e->skip + length;
	return true;
}

static int fail_past_end(struct foreign *f, const struct foreign_piece *p, u64 start)
{
	qcow_advise(&f->msg, -EINVAL, "has the data of guest offset %llu past the end of a file, at %llu, so it is truncated; restore it from a copy",
		    (unsigned long long)start, (unsigned long long)p->host_offset);
	return -EINVAL;
}

/* Whether a piece lies in its file. Parsers clip pieces where a file may end earlier. */
static int check_piece(struct walk *w, u64 start, const struct foreign_piece *p)
{
	struct foreign *f = w->f;
	u64 bytes, size;

	if (p->kind != QCOW_MAP_DATA && p->kind != QCOW_MAP_COMPRESSED)
		return 0;
	if (p->file >= f->nr_files)
		return foreign_fail(f, "has data in a file that it does not name");
	bytes = p->kind == QCOW_MAP_DATA ? p->length : p->stored;
	size = foreign_size(f, p->file);
	if (p->host_offset > size || bytes > size - p->host_offset)
		return fail_past_end(f, p, start);
	return 0;
}

static void fill_entry(const struct walk *w, u64 start, const struct foreign_piece *p,
		       struct qcow_map_entry *e)
{
	memset(e, 0, sizeof(*e));
	e->start = start;
	e->kind = p->kind;
	if (p->kind == QCOW_MAP_HOLE && !w->f->disk.has_parent)
		e->kind = QCOW_MAP_ZERO;
	if (p->kind != QCOW_MAP_DATA && p->kind != QCOW_MAP_COMPRESSED)
		return;
	e->file = w->f->files[p->file].number;
	e->host = w->f->files[p->file].start + p->host_offset;
	if (p->kind != QCOW_MAP_COMPRESSED)
		return;
	e->stored = p->stored;
	e->plain = p->plain;
	e->skip = p->skip;
	e->codec = p->codec;
}

static int walk_put(struct walk *w)
{
	return w->end ? w->put(w->arg, &w->e) : 0;
}

/* Bytes of the disk that can be told from the start of a walk to its end. */
static u64 whole_sectors(const struct foreign *f)
{
	return ROUND_UP(f->disk.size, (u64)SZ_512);
}

static int walk_piece(struct walk *w, u64 start, struct foreign_piece *p)
{
	struct qcow_map_entry next;
	int err = check_piece(w, start, p);

	if (err)
		return err;
	fill_entry(w, start, p, &next);
	if (!continues(w, &next)) {
		err = walk_put(w);
		w->e = next;
	}
	w->end = start + p->length;
	return err;
}

/**
 * foreign_walk() - make the entries of the table of an image
 * @f: the image
 * @put: takes each entry, in order; returns 0 or a negative errno, which ends the walk
 * @arg: the first argument of @put
 *
 * Return: 0, or a negative errno with a message unless it is from @put.
 */
int foreign_walk(struct foreign *f, int (*put)(void *arg, const struct qcow_map_entry *e),
		 void *arg)
{
	struct walk w = { .f = f, .put = put, .arg = arg };
	u64 size = whole_sectors(f), start;
	struct foreign_piece p;
	int err;

	for (start = 0; start < size; start += p.length) {
		memset(&p, 0, sizeof(p));
		err = f->format->find(f, start, &p);
		if (err)
			return err;
		if (!p.length || p.length % SZ_512)
			return foreign_fail(f, "has a part of %llu bytes at guest offset %llu",
					    (unsigned long long)p.length,
					    (unsigned long long)start);
		p.length = min(p.length, size - start);
		err = walk_piece(&w, start, &p);
		if (err)
			return err;
	}
	return walk_put(&w);
}
