// SPDX-License-Identifier: GPL-2.0
/*
 * OVA, an appliance of VMware, VirtualBox and others: a tar archive of a description (OVF) and of
 * images of disks. A disk is read where it lies in the archive, by the parser of its own
 * format. Other archives with images are read with the format's name.
 */
#include <strings.h>

#include "foreign/bytes.h"
#include "foreign/formats.h"
#include "foreign/tar.h"
#include "foreign/vmdk.h"
#include "lib/name.h"

/* Members that an archive may have */
#define OVA_MEMBERS_MAX		4096

/* Bytes of a list of disks for people */
#define OVA_LIST_BYTES		100

/* First bytes of gzip data and of qcow2 images, as big-endian numbers */
#define OVA_MAGIC_GZIP		0x1f8b
#define OVA_MAGIC_QCOW2		0x514649fb

/**
 * struct ova - an archive
 * @members: regular files
 * @nr: of them
 * @chosen: the image
 * @opened: it has named another member
 */
struct ova {
	struct tar_member members[OVA_MEMBERS_MAX];
	u32 nr;
	const struct tar_member *chosen;
	bool opened;
};

static bool ova_probe(const struct foreign_sample *s)
{
	return tar_first_name_ends(s->start, min(s->size, (u64)sizeof(s->start)), ".ovf");
}

static bool name_ends(const char *name, const char *ending)
{
	size_t len = strlen(name), ending_len = strlen(ending);

	return len >= ending_len && !strcasecmp(name + len - ending_len, ending);
}

static int list_members(struct foreign *f, struct ova *o)
{
	struct tar *t = foreign_alloc(f, 1, sizeof(*t));
	struct tar_member m;
	int err;

	if (!t)
		return -ENOMEM;
	while ((err = tar_next(f, t, &m)) > 0) {
		if (!m.is_file)
			continue;
		if (o->nr == OVA_MEMBERS_MAX)
			return foreign_unsupported(f, "has more than %u members; unpack it with tar",
						   OVA_MEMBERS_MAX);
		o->members[o->nr++] = m;
	}
	return err;
}

/* Makes a member the file that the parser sees. */
static void set_window(struct foreign *f, const struct tar_member *m)
{
	f->files[0].start = m->host_offset;
	f->files[0].size = m->size;
}

static int read_sample(struct foreign *f, const struct tar_member *m,
		       struct foreign_sample *s)
{
	size_t footer = min(m->size, (u64)sizeof(s->footer));
	int err;

	memset(s, 0, sizeof(*s));
	s->size = m->size;
	set_window(f, m);
	err = foreign_read(f, 0, s->start, min(m->size, (u64)sizeof(s->start)), 0);
	if (!err)
		err = foreign_read(f, 0, s->footer + sizeof(s->footer) - footer, footer,
				   m->size - footer);
	return err;
}

static bool is_gzip(const struct foreign_sample *s)
{
	return get_be16(s->start) == OVA_MAGIC_GZIP;
}

static bool is_qcow2(const struct foreign_sample *s)
{
	return get_be32(s->start) == OVA_MAGIC_QCOW2;
}

/* Formats of members; a fixed VHD is only known by its name. An archive has none inside. */
static const struct foreign_format *format_of(const struct tar_member *m,
					      const struct foreign_sample *s)
{
	const struct foreign_format *format = foreign_probe(s);

	if (!format && name_ends(m->name, ".vhd"))
		format = foreign_format("vpc");
	return format == &foreign_ova ? NULL : format;
}

/* Whether a member is an extent of another one, which has the descriptor. */
static int is_extent(struct foreign *f, const struct foreign_sample *s, bool *extent)
{
	u32 magic = get_le32(s->start);
	u64 sector = get_le64(s->start + VMDK_TEXT_AT);
	u8 first = 0;
	int err = 0;

	*extent = magic == VMDK_MAGIC_COWD || magic == VMDK_MAGIC_SESPARSE;
	if (magic != VMDK_MAGIC_KDMV)
		return 0;
	if (sector && sector < f->files[0].size / SZ_512)
		err = foreign_read(f, 0, &first, 1, sector * SZ_512);
	*extent = !first;
	return err;
}

/* Whether somebody may want to attach a member, also if its format is not supported. */
static int is_disk(struct foreign *f, const struct tar_member *m, struct foreign_sample *s,
		   bool *disk)
{
	bool extent = false;
	int err = read_sample(f, m, s);

	if (!err)
		err = is_extent(f, s, &extent);
	*disk = m->size && !extent && (format_of(m, s) || is_qcow2(s) || is_gzip(s));
	return err;
}

static int collect_disks(struct foreign *f, struct ova *o, const struct tar_member **disks,
			 u32 *nr)
{
	struct foreign_sample *s = foreign_alloc(f, 1, sizeof(*s));
	const struct foreign_file archive = f->files[0];
	bool disk;
	u32 i;
	int err = s ? 0 : -ENOMEM;

	*nr = 0;
	for (i = 0; !err && i < o->nr; i++) {
		err = is_disk(f, &o->members[i], s, &disk);
		if (!err && disk)
			disks[(*nr)++] = &o->members[i];
	}
	f->files[0] = archive;
	return err;
}

/* As many names as have room, with commas between them. */
static void join_names(char *list, const struct tar_member *const *disks, u32 nr)
{
	size_t len = 0;
	u32 i;

	list[0] = '\0';
	for (i = 0; i < nr; i++) {
		if (len + strlen(disks[i]->name) + sizeof(", ...") > OVA_LIST_BYTES) {
			strcpy(list + len, len ? ", ..." : "...");
			return;
		}
		len += sprintf(list + len, "%s%s", len ? ", " : "", disks[i]->name);
	}
}

static int refuse_choice(struct foreign *f, const struct tar_member *const *disks, u32 nr)
{
	char list[OVA_LIST_BYTES];

	join_names(list, disks, nr);
	if (!nr)
		return foreign_unsupported(f, "has no disk image among its members; look for it with tar -tvf");
	if (f->how.member)
		return foreign_unsupported(f, "has no member %.60s; its disks are: %s",
					   f->how.member, list);
	return foreign_unsupported(f, "has several disks: %s; name one, such as %.60s:%.40s", list,
				   f->how.name ?: "FILE.ova", disks[0]->name);
}

/* The last one of that name, as for tar. */
static const struct tar_member *member_of(const struct ova *o, const char *name)
{
	u32 i;

	while (!strncmp(name, "./", 2))
		name += 2;
	for (i = o->nr; i-- > 0;)
		if (!strcmp(o->members[i].name, name))
			return &o->members[i];
	return NULL;
}

static int choose(struct foreign *f, struct ova *o)
{
	const struct tar_member **disks;
	u32 nr;
	int err;

	if (f->how.member)
		o->chosen = member_of(o, f->how.member);
	if (o->chosen)
		return 0;
	disks = foreign_alloc(f, o->nr, sizeof(*disks));
	if (!disks)
		return -ENOMEM;
	err = collect_disks(f, o, disks, &nr);
	if (err)
		return err;
	if (nr != 1 || f->how.member)
		return refuse_choice(f, disks, nr);
	o->chosen = disks[0];
	return 0;
}

/* Length of the folder of a member, with its slash */
static size_t folder_len(const char *name)
{
	const char *slash = strrchr(name, '/');

	return slash ? slash + 1 - name : 0;
}

/* A file that the image names, which is relative to the image's folder. */
static const char *ova_find_member(struct foreign *f, const char *name,
				   struct foreign_file *file)
{
	struct ova *o = f->archive;
	const char *folder = o->chosen->name;
	size_t len = folder_len(folder);
	u32 i;

	for (i = o->nr; i-- > 0;)
		if (!strncmp(o->members[i].name, folder, len) &&
		    !strcmp(o->members[i].name + len, name))
			break;
	if (i == (u32)-1 || o->members[i].is_sparse)
		return NULL;
	o->opened = true;
	*file = (struct foreign_file) {
		.start = o->members[i].host_offset,
		.size = o->members[i].size,
	};
	return o->members[i].name;
}

/**
 * struct ova_parents - the members that have the identifier of the parent
 * @sample: for the bytes of a member
 * @found: two of them
 * @nr: how many there are
 * @right: they have the right last change, too; others are left out then
 */
struct ova_parents {
	struct foreign_sample sample;
	const struct tar_member *found[2];
	u32 nr;
	bool right;
};

static void add_parent(struct ova_parents *p, const struct tar_member *m, bool right)
{
	if (right < p->right)
		return;
	if (right > p->right)
		p->nr = 0;
	p->right = right;
	p->found[p->nr++ % ARRAY_SIZE(p->found)] = m;
}

static int look_for_id(struct foreign *f, struct ova_parents *p, const struct tar_member *m)
{
	const char *change = f->disk.parent_change_id;
	struct foreign_disk d = { };
	int err = read_sample(f, m, &p->sample);

	if (err || foreign_probe(&p->sample) != f->format)
		return err;
	f->format->ids(&p->sample, &d);
	if (!strcmp(d.id, f->disk.parent_id) && member_of(f->archive, m->name) == m)
		add_parent(p, m, !change[0] || !strcmp(change, d.change_id));
	return 0;
}

static int ova_find_parent(struct foreign *f, const char **member, bool *right)
{
	struct ova *o = f->archive;
	const struct foreign_file image = f->files[0];
	struct ova_parents *p = foreign_alloc(f, 1, sizeof(*p));
	int err = p ? 0 : -ENOMEM;
	u32 i;

	for (i = 0; !err && i < o->nr; i++)
		if (&o->members[i] != o->chosen && !o->members[i].is_sparse)
			err = look_for_id(f, p, &o->members[i]);
	f->files[0] = image;
	if (err)
		return err;
	if (p->nr > 1)
		return foreign_unsupported(f, "its backing file has the id %s, and so have its members %.60s and %.60s; unpack it with tar, and move all but the right one to another folder",
					   f->disk.parent_id, p->found[0]->name,
					   p->found[1]->name);
	*member = p->nr ? p->found[0]->name : NULL;
	*right = p->right;
	return 0;
}

static int refuse_member(struct foreign *f, const struct tar_member *m,
			 const struct foreign_sample *s)
{
	const char *reason = "is in no known format";

	if (is_gzip(s))
		reason = "is compressed with gzip, so it cannot be read in place";
	else if (is_qcow2(s))
		reason = "is a qcow2 image, which is not read in place";
	return foreign_unsupported(f, "its member %.80s %s; unpack it with tar", m->name, reason);
}

/*
 * The format of a member is always guessed. The guest of a raw disk can write a header to it,
 * and in the header the name of any file.
 */
static int check_names(struct foreign *f, const struct ova *o)
{
	const char *name = o->chosen->name;

	if (!name_suggests_raw(name) || (!f->disk.has_parent && !o->opened))
		return 0;
	return foreign_unsupported(f, "its member %.80s is named like a raw disk, but names another file, and its format is only guessed; unpack it with tar, and give the format with -f",
				   name);
}

static int open_member(struct foreign *f, const struct tar_member *m)
{
	struct foreign_sample *s = foreign_alloc(f, 1, sizeof(*s));
	const struct foreign_format *format;
	int err;

	if (!s)
		return -ENOMEM;
	if (m->is_sparse)
		return foreign_unsupported(f, "its member %.80s is sparse in the archive, so it cannot be read in place; unpack it with tar",
					   m->name);
	err = read_sample(f, m, s);
	if (err)
		return err;
	format = format_of(m, s);
	if (!format)
		return refuse_member(f, m, s);
	foreign_tell(f, "member", m->name);
	f->how.name = m->name + folder_len(m->name);
	f->find_member = ova_find_member;
	f->find_parent = ova_find_parent;
	f->format = format;
	err = format->open(f);
	return err ? err : check_names(f, f->archive);
}

static int ova_open(struct foreign *f)
{
	struct ova *o = foreign_alloc(f, 1, sizeof(*o));
	int err;

	if (!o)
		return -ENOMEM;
	f->archive = o;
	err = list_members(f, o);
	if (!err)
		err = choose(f, o);
	return err ? err : open_member(f, o->chosen);
}

/* The format of the member takes its place. */
static int ova_find(struct foreign *f, u64 guest_offset, struct foreign_piece *p)
{
	(void)guest_offset;
	(void)p;
	return foreign_fail(f, "has no member that is open");
}

const struct foreign_format foreign_ova = {
	.name = "ova",
	.title = "OVA",
	.probe = ova_probe,
	.open = ova_open,
	.find = ova_find,
};
