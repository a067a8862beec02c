// SPDX-License-Identifier: GPL-2.0
/*
 * The metadata of a VHDX: items with a GUID each, behind a table. They have the sizes of the
 * disk and of its blocks, and the names of the parent.
 */
#include "foreign/parents.h"
#include "foreign/utf16.h"
#include "foreign/vhdx.h"

#define ITEMS_MAX		2047
#define ITEM_BYTES		32
#define ITEM_REQUIRED		4

#define BLOCK_MIN		SZ_1M
#define BLOCK_MAX		(256U * SZ_1M)
#define SIZE_MAX_BYTES		(64ULL << 40)

/* Flags of the parameters */
#define IS_FIXED		1
#define HAS_PARENT		2

/* Sectors that have their bits in one bitmap */
#define BITMAP_SECTORS		(8ULL * VHDX_BITMAP_BYTES)

/* Bytes of the names in a locator that are looked for, in UTF-16, at most */
#define KEY_BYTES_MAX		64
#define VALUE_BYTES_MAX		65535

enum item_number {
	ITEM_PARAMETERS,
	ITEM_SIZE,
	ITEM_DISK_ID,
	ITEM_LOGICAL_SECTOR,
	ITEM_PHYSICAL_SECTOR,
	ITEM_PARENT,
	ITEMS,
};

/* The known items, and their bytes, at least. */
static const struct known_item {
	const char *name;
	u32 bytes;
	u8 guid[VHDX_GUID_BYTES];
} known_items[ITEMS] = {
	[ITEM_PARAMETERS] = { "parameters", 8, {
		/* CAA16737-FA36-4D43-B3B6-33F0AA44E76B */
		0x37, 0x67, 0xa1, 0xca, 0x36, 0xfa, 0x43, 0x4d,
		0xb3, 0xb6, 0x33, 0xf0, 0xaa, 0x44, 0xe7, 0x6b } },
	[ITEM_SIZE] = { "size of the disk", 8, {
		/* 2FA54224-CD1B-4876-B211-5DBED83BF4B8 */
		0x24, 0x42, 0xa5, 0x2f, 0x1b, 0xcd, 0x76, 0x48,
		0xb2, 0x11, 0x5d, 0xbe, 0xd8, 0x3b, 0xf4, 0xb8 } },
	[ITEM_DISK_ID] = { "identifier of the disk", VHDX_GUID_BYTES, {
		/* BECA12AB-B2E6-4523-93EF-C309E000C746 */
		0xab, 0x12, 0xca, 0xbe, 0xe6, 0xb2, 0x23, 0x45,
		0x93, 0xef, 0xc3, 0x09, 0xe0, 0x00, 0xc7, 0x46 } },
	[ITEM_LOGICAL_SECTOR] = { "size of a logical sector", 4, {
		/* 8141BF1D-A96F-4709-BA47-F233A8FAAB5F */
		0x1d, 0xbf, 0x41, 0x81, 0x6f, 0xa9, 0x09, 0x47,
		0xba, 0x47, 0xf2, 0x33, 0xa8, 0xfa, 0xab, 0x5f } },
	[ITEM_PHYSICAL_SECTOR] = { "size of a physical sector", 4, {
		/* CDA348C7-445D-4471-9CC9-E9885251C556 */
		0xc7, 0x48, 0xa3, 0xcd, 0x5d, 0x44, 0x71, 0x44,
		0x9c, 0xc9, 0xe9, 0x88, 0x52, 0x51, 0xc5, 0x56 } },
	[ITEM_PARENT] = { "name of the parent", 20, {
		/* A8D35F2D-B30B-454D-ABF7-D3D84834AB0C */
		0x2d, 0x5f, 0xd3, 0xa8, 0x0b, 0xb3, 0x4d, 0x45,
		0xab, 0xf7, 0xd3, 0xd8, 0x48, 0x34, 0xab, 0x0c } },
};

/* B04AEFB7-D19E-4A81-B789-25B8E9445913, the kind of a parent that is a VHDX */
static const u8 parent_guid[VHDX_GUID_BYTES] = {
	0xb7, 0xef, 0x4a, 0xb0, 0x9e, 0xd1, 0x81, 0x4a,
	0xb7, 0x89, 0x25, 0xb8, 0xe9, 0x44, 0x59, 0x13,
};

/**
 * struct metadata - the items
 * @f: the image
 * @v: its numbers
 * @items: by number: where they are in the file; no bytes: there is none
 */
struct metadata {
	struct foreign *f;
	struct vhdx *v;
	struct vhdx_range items[ITEMS];
};

static int fail_item(struct foreign *f, u32 number, const char *fault)
{
	return foreign_fail(f, "its metadata has %s for the %s", fault,
			    known_items[number].name);
}

static int take_item(struct metadata *m, u32 number, const u8 *entry)
{
	u64 in_region = get_le32(entry + 16), bytes = get_le32(entry + 20);
	struct vhdx_range *item = &m->items[number];

	if (item->bytes)
		return fail_item(m->f, number, "two items");
	if (bytes < known_items[number].bytes || in_region < VHDX_TABLE_BYTES ||
	    in_region + bytes > m->v->metadata.bytes)
		return fail_item(m->f, number, "a wrong place");
	item->host_offset = m->v->metadata.host_offset + in_region;
	item->bytes = bytes;
	return 0;
}

static int look_at_entry(struct metadata *m, const u8 *entry)
{
	char guid[FOREIGN_ID_SIZE];
	u32 i;

	for (i = 0; i < ITEMS; i++)
		if (!memcmp(entry, known_items[i].guid, VHDX_GUID_BYTES))
			return take_item(m, i, entry);
	if (!(get_le32(entry + 24) & ITEM_REQUIRED))
		return 0;
	guid_text(guid, entry, true);
	return foreign_unsupported(m->f, "has metadata of unknown kind %s; convert it in Windows with Convert-VHD",
				   guid);
}

static int find_items(struct metadata *m)
{
	u8 *table = foreign_alloc(m->f, 1, VHDX_TABLE_BYTES);
	int err = table ? vhdx_read(m->f, m->v, table, VHDX_TABLE_BYTES,
				    m->v->metadata.host_offset) : -ENOMEM;
	u32 i, nr;

	if (err)
		return err;
	if (memcmp(table, "metadata", 8))
		return foreign_fail(m->f, "its metadata has no signature");
	nr = get_le16(table + 10);
	if (nr > ITEMS_MAX)
		return foreign_fail(m->f, "its metadata has %u items", nr);
	for (i = 0; !err && i < nr; i++)
		err = look_at_entry(m, table + (i + 1) * ITEM_BYTES);
	return err;
}

/* The first bytes of an item. */
static int read_item(struct metadata *m, u32 number, void *buf)
{
	if (!m->items[number].bytes)
		return fail_item(m->f, number, "no item");
	return vhdx_read(m->f, m->v, buf, known_items[number].bytes,
			 m->items[number].host_offset);
}

static int read_number(struct metadata *m, u32 number, u64 *value)
{
	u8 bytes[8] = { };
	int err = read_item(m, number, bytes);

	*value = get_le64(bytes);
	return err;
}

static int read_sizes(struct metadata *m)
{
	struct foreign *f = m->f;
	u64 parameters, sector;
	int err = read_number(m, ITEM_PARAMETERS, &parameters);

	if (!err)
		err = read_number(m, ITEM_SIZE, &f->disk.size);
	if (!err)
		err = read_number(m, ITEM_LOGICAL_SECTOR, &sector);
	if (err)
		return err;
	m->v->block = (u32)parameters;
	m->v->has_parent = parameters >> 32 & HAS_PARENT;
	m->v->is_fixed = parameters >> 32 & IS_FIXED;
	f->disk.cluster_size = m->v->block;
	if (sector != SZ_512 && sector != SZ_4K)
		return foreign_fail(f, "its metadata has sectors of %llu bytes",
				    (unsigned long long)sector);
	f->disk.sector_size = sector;
	if (m->v->block < BLOCK_MIN || m->v->block > BLOCK_MAX ||
	    m->v->block & (m->v->block - 1))
		return foreign_fail(f, "its metadata has blocks of %u bytes", m->v->block);
	if (!f->disk.size || f->disk.size % sector || f->disk.size > SIZE_MAX_BYTES)
		return foreign_fail(f, "its metadata has a disk of %llu bytes",
				    (unsigned long long)f->disk.size);
	m->v->ratio = BITMAP_SECTORS * sector / m->v->block;
	return 0;
}

static int tell_facts(struct metadata *m)
{
	char guid[FOREIGN_ID_SIZE];
	u8 bytes[VHDX_GUID_BYTES];
	u64 sector;
	int err;

	if (m->items[ITEM_DISK_ID].bytes) {
		err = read_item(m, ITEM_DISK_ID, bytes);
		if (err)
			return err;
		guid_text(guid, bytes, true);
		foreign_tell(m->f, "disk-id", guid);
	}
	if (m->items[ITEM_PHYSICAL_SECTOR].bytes) {
		err = read_number(m, ITEM_PHYSICAL_SECTOR, &sector);
		if (err)
			return err;
		foreign_tell_number(m->f, "physical-sector-size", sector);
	}
	return 0;
}

/**
 * struct locator - the item with the names of the parent
 * @item: where it is
 * @pairs: pairs of a key and a value in it
 * @parents: the names; gets them in the order of the keys that are looked for
 * @value: for bytes of a value
 */
struct locator {
	struct vhdx_range item;
	u32 pairs;
	struct parents *parents;
	u8 *value;
};

static int read_text(struct metadata *m, const struct locator *l, u64 in_item, u32 bytes,
		     u8 *text)
{
	if (in_item + bytes > l->item.bytes)
		return fail_item(m->f, ITEM_PARENT, "a text past the end of the item");
	return vhdx_read(m->f, m->v, text, bytes, l->item.host_offset + in_item);
}

/* Whether there is a key at a place; a negative errno with a message otherwise. */
static int has_key(struct metadata *m, const struct locator *l, u32 in_item, u32 bytes,
		   const char *key)
{
	char name[KEY_BYTES_MAX * 2];
	u8 text[KEY_BYTES_MAX];
	int err;

	if (bytes > KEY_BYTES_MAX)
		return 0;
	err = read_text(m, l, in_item, bytes, text);
	if (err)
		return err;
	return utf16_to_utf8(name, sizeof(name), text, bytes, false) > 0 && !strcmp(name, key);
}

/* The value of a key: its bytes are put to @l->value. Sets how many; 0: there is no such key. */
static int find_value(struct metadata *m, struct locator *l, const char *key, u32 *bytes)
{
	u8 pair[12];
	int found;
	u32 i;

	*bytes = 0;
	for (i = 0; i < l->pairs; i++) {
		found = read_text(m, l, 20 + i * sizeof(pair), sizeof(pair), pair);
		if (!found)
			found = has_key(m, l, get_le32(pair), get_le16(pair + 8), key);
		if (found < 0)
			return found;
		if (!found)
			continue;
		*bytes = get_le16(pair + 10);
		return read_text(m, l, get_le32(pair + 4), *bytes, l->value);
	}
	return 0;
}

/* An identifier as text in braces, without them and in lower case. */
static bool take_id(char *id, const char *text)
{
	u32 i;

	if (text[0] != '{' || strlen(text) != 38 || text[37] != '}')
		return false;
	for (i = 0; i < 36; i++)
		id[i] = text[i + 1] >= 'A' && text[i + 1] <= 'F' ? text[i + 1] | 0x20 : text[i + 1];
	id[36] = '\0';
	return strspn(id, "0123456789abcdef-") == 36;
}

static int find_parent_id(struct metadata *m, struct locator *l)
{
	char text[FOREIGN_ID_SIZE];
	u32 bytes;
	int err = find_value(m, l, "parent_linkage", &bytes);

	if (err)
		return err;
	if (utf16_to_utf8(text, sizeof(text), l->value, bytes, false) < 0 ||
	    !take_id(m->f->disk.parent_id, text))
		return fail_item(m->f, ITEM_PARENT, "no GUID of its data");
	foreign_tell(m->f, "parent-data-write-guid", m->f->disk.parent_id);
	return 0;
}

static int find_parent_names(struct metadata *m, struct locator *l)
{
	static const char *const keys[] = {
		"relative_path", "absolute_win32_path", "volume_path",
	};
	u32 i, bytes;
	int err;

	for (i = 0; i < ARRAY_SIZE(keys); i++) {
		err = find_value(m, l, keys[i], &bytes);
		if (err)
			return err;
		parents_add_utf16(l->parents, l->value, bytes, false);
	}
	if (!l->parents->nr)
		return fail_item(m->f, ITEM_PARENT, "no path");
	parents_tell(l->parents, m->f);
	return 0;
}

static int find_parent(struct metadata *m)
{
	struct locator l = { .item = m->items[ITEM_PARENT] };
	u8 head[20];
	int err = read_item(m, ITEM_PARENT, head);

	if (err)
		return err;
	if (memcmp(head, parent_guid, sizeof(parent_guid)))
		return foreign_unsupported(m->f, "has a parent that is no VHDX, which is not supported; convert it in Windows with Convert-VHD");
	l.pairs = get_le16(head + 18);
	l.parents = foreign_alloc(m->f, 1, sizeof(*l.parents));
	l.value = foreign_alloc(m->f, 1, VALUE_BYTES_MAX);
	if (!l.parents || !l.value)
		return -ENOMEM;
	err = find_parent_id(m, &l);
	return err ? err : find_parent_names(m, &l);
}

/**
 * vhdx_read_metadata() - read the sizes, and name the parent
 * @f: the image; gets the facts about its disk
 * @v: its numbers; gets those of blocks
 *
 * Return: 0, or a negative errno with a message.
 */
int vhdx_read_metadata(struct foreign *f, struct vhdx *v)
{
	struct metadata m = { .f = f, .v = v };
	int err = find_items(&m);

	if (!err)
		err = read_sizes(&m);
	if (!err)
		err = tell_facts(&m);
	if (!err && v->has_parent)
		err = find_parent(&m);
	return err;
}
