// SPDX-License-Identifier: GPL-2.0
/*
 * The snapshot table of an image, read from its file. Only the driver changes it.
 */
#include <stdlib.h>

#include "image/snapshots.h"
#include "lib/report.h"

static int table_damaged(const struct image *img)
{
	report(img->file.name, "its snapshot table is damaged; see qcowctl check");
	return -1;
}

static char *read_string(const struct image *img, u64 host_offset, u32 len)
{
	char *s = xcalloc(len + 1, 1);

	if (!file_read(&img->file, s, len, host_offset, NULL))
		return s;
	free(s);
	return NULL;
}

static int read_one(const struct image *img, const struct qcow_layout *lay,
		    u64 host_offset, struct snapshot *snap)
{
	struct {
		struct qcow_disk_snapshot fixed;
		struct qcow_disk_snapshot_extra extra;
	} disk = { };
	u64 id;

	if (file_read(&img->file, &disk, sizeof(disk), host_offset, NULL))
		return -1;
	if (qcow_entry_snapshot(lay, &disk.fixed, &disk.extra, &snap->s))
		return table_damaged(img);
	id = host_offset + snap->s.id_in_entry;
	snap->id = read_string(img, id, snap->s.id_len);
	snap->name = read_string(img, id + snap->s.id_len, snap->s.name_len);
	return snap->id && snap->name ? 0 : -1;
}

/**
 * snapshot_read_all() - read an image's snapshot table
 * @img: a loaded qcow2 image
 * @list: the result: as many as its header says, for snapshot_free_all()
 *
 * Return: 0, or -1 after printing the error.
 */
int snapshot_read_all(const struct image *img, struct snapshot **list)
{
	u64 start = img->header.snapshots_offset, host_offset = start;
	u32 nr = img->header.nr_snapshots, i;
	struct snapshot *snaps = xcalloc(nr + 1, sizeof(*snaps));
	struct qcow_layout lay;
	int err = 0;

	qcow_layout_init(&lay, &img->header);
	for (i = 0; !err && i < nr; i++) {
		err = read_one(img, &lay, host_offset, &snaps[i]);
		host_offset += snaps[i].s.entry_bytes;
		if (!err && host_offset - start > QCOW_DISK_MAX_SNAPSHOT_TABLE)
			err = table_damaged(img);
	}
	if (err) {
		snapshot_free_all(snaps, nr);
		return -1;
	}
	*list = snaps;
	return 0;
}

/**
 * snapshot_free_all() - free the result of snapshot_read_all()
 * @list: the snapshots
 * @nr: of them
 */
void snapshot_free_all(struct snapshot *list, u32 nr)
{
	u32 i;

	for (i = 0; i < nr; i++) {
		free(list[i].id);
		free(list[i].name);
	}
	free(list);
}

/**
 * snapshot_find() - find a snapshot by its id, or else by its name
 * @list: the snapshots
 * @nr: of them
 * @wanted: the id or name
 *
 * Return: the snapshot, or NULL.
 */
const struct snapshot *snapshot_find(const struct snapshot *list, u32 nr, const char *wanted)
{
	u32 i;

	for (i = 0; i < nr; i++)
		if (!strcmp(list[i].id, wanted))
			return &list[i];
	for (i = 0; i < nr; i++)
		if (!strcmp(list[i].name, wanted))
			return &list[i];
	return NULL;
}
