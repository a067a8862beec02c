// SPDX-License-Identifier: GPL-2.0
/*
 * A folder as a disk: the names, sizes and places of its files become a filesystem, whose
 * own sectors are in a file without a name. The bytes of the files stay where they are, but
 * for the last ones, which do not fill a sector.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/report.h"
#include "lib/text.h"
#include "lib/unnamed.h"
#include "vvfat/dir.h"
#include "vvfat/names.h"
#include "vvfat/vvfat.h"

/* Bytes of a disk: the least, and a multiple */
#define DISK_MIN	(512ULL * SZ_1M)
#define DISK_UNIT	((u64)SZ_1M)

/* Descriptors that are left to the rest of the program. */
#define SPARE_DESCRIPTORS	64

#define BUFFER_BYTES	SZ_64K

#define DIR_ENTRIES_MAX	(FAT_DIR_BYTES_MAX / FAT_ENTRY_BYTES)

/* Bytes of the filesystem's own sectors that are kept in memory; more go to a file on disk. */
#define MEMORY_MAX	(64ULL * SZ_1M)

/**
 * struct make - the disk that is made
 * @v: the result
 * @options: of the user
 * @tree: the folder
 * @fat: the filesystem
 * @nodes: files and folders in the order of their clusters
 * @nr_nodes: of them
 * @end: bytes of the file with the filesystem's own sectors, a multiple of 512
 * @guest_end: end of the last entry of the table
 * @kind: of the last entry; file and host offset that would continue it
 * @file: the same
 * @host_end: the same
 * @buffer: for bytes of files
 */
struct make {
	struct vvfat *v;
	const struct vvfat_options *options;
	struct tree tree;
	struct fat fat;
	struct node **nodes;
	u32 nr_nodes;
	u64 end;
	u64 guest_end;
	u8 kind;
	u32 file;
	u64 host_end;
	u8 *buffer;
};

static int fail_node(const struct make *m, const struct node *n, const char *text)
{
	char *path = tree_shown_path(&m->tree, n);

	report(path, "%s", text);
	free(path);
	return -1;
}

/* --- The table --- */

static void add_entry(struct make *m, u64 start, u8 kind, u32 file, u64 host_offset)
{
	struct vvfat *v = m->v;

	if (!(v->nr_entries & (v->nr_entries - 1)))
		v->entries = xrealloc(v->entries, (v->nr_entries ? 2 * v->nr_entries : 1) *
						  sizeof(*v->entries));
	v->entries[v->nr_entries++] = (struct qcow_map_entry) {
		.start = start, .kind = kind, .file = file, .host = host_offset,
	};
	m->kind = kind;
}

/* Add a piece behind the others, and zeros before it. */
static void add_piece(struct make *m, u64 start, u64 len, u32 file, u64 host_offset)
{
	if (!len)
		return;
	if (start > m->guest_end)
		add_entry(m, m->guest_end, QCOW_MAP_ZERO, 0, 0);
	if (start > m->guest_end || m->kind != QCOW_MAP_DATA || m->file != file ||
	    m->host_end != host_offset)
		add_entry(m, start, QCOW_MAP_DATA, file, host_offset);
	m->guest_end = start + len;
	m->file = file;
	m->host_end = host_offset + len;
}

/* --- The filesystem's own sectors --- */

static int write_at(const struct make *m, const void *bytes, size_t len, u64 host_offset)
{
	int err = fd_write(m->v->files[0].fd, bytes, len, host_offset);

	if (err)
		report(m->tree.name, "the sectors of the disk cannot be kept: %s", strerror(-err));
	return err ? -1 : 0;
}

/* Put bytes on the disk, followed by zeros up to the end of a sector. */
static int put_bytes(struct make *m, u64 start, const void *buf, size_t len)
{
	u64 bytes = ROUND_UP((u64)len, (u64)SZ_512);

	if (write_at(m, buf, len, m->end))
		return -1;
	add_piece(m, start, bytes, 0, m->end);
	m->end += bytes;
	return 0;
}

static int put_boot(struct make *m)
{
	u8 sectors[FAT_BOOT_SECTORS * SZ_512] = { };
	u32 nr = m->fat.bits == 16 ? 1 : FAT_BOOT_SECTORS;

	fat_partitions(&m->fat, sectors);
	if (put_bytes(m, 0, sectors, SZ_512))
		return -1;
	memset(sectors, 0, sizeof(sectors));
	fat_boot(&m->fat, sectors);
	return put_bytes(m, fat_sector(0), sectors, nr * SZ_512);
}

/**
 * struct table - the file allocation table that is written
 * @m: the disk
 * @start: host offset of the table
 * @first: number of the first entry in the buffer
 * @nr: entries in it
 */
struct table {
	struct make *m;
	u64 start;
	u32 first;
	u32 nr;
};

static int table_flush(struct table *t)
{
	u32 bytes = t->m->fat.bits / 8;
	int err = write_at(t->m, t->m->buffer, (size_t)t->nr * bytes,
			   t->start + (u64)t->first * bytes);

	t->first += t->nr;
	t->nr = 0;
	return err;
}

static int table_put(struct table *t, u32 value)
{
	fat_entry(&t->m->fat, t->m->buffer, t->nr++, value);
	return t->nr == BUFFER_BYTES / 4 ? table_flush(t) : 0;
}

/* Files have their clusters one after the other. */
static int table_put_node(struct table *t, const struct node *n)
{
	u32 i;
	int err = 0;

	for (i = 1; !err && i <= n->clusters; i++)
		err = table_put(t, i < n->clusters ? n->cluster + i : 0);
	return err;
}

/* Both tables have the same bytes, and zeros behind them. */
static int put_tables(struct make *m)
{
	struct table t = { .m = m, .start = m->end };
	u64 bytes = ROUND_UP((u64)m->fat.next * (m->fat.bits / 8), (u64)SZ_512);
	int err = table_put(&t, 0x0ffffff8);
	u32 i;

	err = err ? err : table_put(&t, 0);
	for (i = 0; !err && i < m->nr_nodes; i++)
		err = table_put_node(&t, m->nodes[i]);
	err = err ? err : table_flush(&t);
	add_piece(m, fat_sector(m->fat.reserved), bytes, 0, t.start);
	add_piece(m, fat_sector(m->fat.reserved + (u64)m->fat.table_sectors), bytes, 0, t.start);
	m->end += bytes;
	return err;
}

/* --- The bytes of files and folders --- */

static int put_folder(struct make *m, const struct node *n, u64 start)
{
	u8 *bytes = dir_make(&m->fat, n);
	int err = put_bytes(m, start, bytes, n->dir_size);

	free(bytes);
	return err;
}

/* Copy the bytes of a file from an offset on; zeros if it ends earlier now. */
static int copy_rest(struct make *m, const struct node *n, int fd, u64 in_file)
{
	u64 start = fat_guest_offset(&m->fat, n->cluster);
	u32 len;
	ssize_t got;

	for (; in_file < n->size; in_file += len) {
		len = min(n->size - in_file, (u64)BUFFER_BYTES);
		got = pread(fd, m->buffer, len, in_file);
		if (got < 0)
			return fail_node(m, n, strerror(errno));
		memset(m->buffer + got, 0, len - got);
		if (put_bytes(m, start + in_file, m->buffer, len))
			return -1;
	}
	return 0;
}

static int put_open_file(struct make *m, const struct node *n, int fd)
{
	u64 whole = n->file ? n->size - n->size % SZ_512 : 0;
	struct stat st;

	if (fstat(fd, &st))
		return fail_node(m, n, strerror(errno));
	if ((u64)st.st_size < whole)
		return fail_node(m, n, "was made shorter just now; try again");
	add_piece(m, fat_guest_offset(&m->fat, n->cluster), whole, n->file, 0);
	return copy_rest(m, n, fd, whole);
}

/* A file that has several names is opened once. */
static int put_file(struct make *m, struct node *n)
{
	struct vvfat_file *file = n->file ? &m->v->files[n->file] : NULL;
	int fd, err;

	if (!n->size)
		return 0;
	if (file && file->fd >= 0)
		return put_open_file(m, n, file->fd);
	fd = tree_open(&m->tree, n);
	if (fd == -ESTALE || fd == -ENOENT)
		return fail_node(m, n, "was replaced just now; try again");
	if (fd < 0)
		return fail_node(m, n, strerror(-fd));
	err = put_open_file(m, n, fd);
	if (!file) {
		close(fd);
		return err;
	}
	file->fd = fd;
	file->path = tree_shown_path(&m->tree, n);
	return err;
}

static int put_nodes(struct make *m)
{
	struct node *n;
	int err = 0;
	u32 i;

	if (m->fat.bits == 16)
		err = put_folder(m, m->tree.root, fat_sector(m->fat.reserved +
							      2ULL * m->fat.table_sectors));
	for (i = 0; !err && i < m->nr_nodes; i++) {
		n = m->nodes[i];
		if (!n->is_folder)
			err = put_file(m, n);
		else if (n->clusters)
			err = put_folder(m, n, fat_guest_offset(&m->fat, n->cluster));
	}
	return err;
}

/* --- Places --- */

static int name_folder(struct make *m, struct node *folder)
{
	u32 i, entries;
	int err = 0;

	/* Names of too many files need not be chosen. */
	entries = folder->nr_children;
	if (entries <= DIR_ENTRIES_MAX) {
		names_choose(&m->tree, folder);
		entries = dir_entries(folder);
	}
	if (entries > DIR_ENTRIES_MAX)
		return fail_node(m, folder, "has more files than a directory of FAT can have; move some of them to other folders");
	folder->dir_size = entries * FAT_ENTRY_BYTES;
	for (i = 0; !err && i < folder->nr_children; i++) {
		if (folder->children[i]->is_folder)
			err = name_folder(m, folder->children[i]);
		else if (folder->children[i]->size > UINT32_MAX)
			err = fail_node(m, folder->children[i], "has 4 GiB or more, which no file on FAT can have; move it out of the folder");
	}
	return err;
}

static u64 bytes_of(const struct node *n)
{
	return n->is_folder ? n->dir_size : n->size;
}

/* Bytes of all files and folders with clusters of a size. */
static u64 bytes_below(const struct node *folder, u32 cluster_bytes)
{
	u64 bytes = ROUND_UP((u64)folder->dir_size, (u64)cluster_bytes);
	u32 i;

	for (i = 0; i < folder->nr_children; i++)
		bytes += folder->children[i]->is_folder ?
			 bytes_below(folder->children[i], cluster_bytes) :
			 ROUND_UP(folder->children[i]->size, (u64)cluster_bytes);
	return bytes;
}

/* FAT16 is for small folders: old programs know it, and tables are short. */
static int choose_fat(struct make *m)
{
	u64 used = bytes_below(m->tree.root, SZ_64K / 2), size;
	u32 bits = m->options->fat_bits, entries = dir_entries(m->tree.root);

	size = max(max(DISK_MIN, used + used / 4), m->options->size);
	size = ROUND_UP(size, DISK_UNIT);
	if (!bits)
		bits = size <= DISK_MIN && entries <= FAT_ROOT_ENTRIES ? 16 : 32;
	if (!fat_choose(&m->fat, size, bits, entries)) {
		m->v->size = size;
		return 0;
	}
	if (bits == 16)
		report(m->tree.name, "FAT16 has no room for a disk of %llu bytes with %u entries in its root directory; take FAT32",
		       (unsigned long long)size, entries);
	else
		report(m->tree.name, "FAT32 has no room for a disk of %llu bytes; take a smaller folder",
		       (unsigned long long)size);
	return -1;
}

static void place_node(struct make *m, struct node *n)
{
	m->nodes[m->nr_nodes++] = n;
	n->clusters = DIV_ROUND_UP_ULL(bytes_of(n), fat_cluster_bytes(&m->fat));
	if (!n->clusters)
		return;
	n->cluster = m->fat.next;
	m->fat.next += n->clusters;
}

static void place_below(struct make *m, struct node *folder)
{
	u32 i;

	for (i = 0; i < folder->nr_children; i++)
		place_node(m, folder->children[i]);
	for (i = 0; i < folder->nr_children; i++)
		if (folder->children[i]->is_folder)
			place_below(m, folder->children[i]);
}

/* The root directory of FAT16 is not in clusters. */
static void place_all(struct make *m)
{
	m->nodes = xcalloc(m->tree.nr_nodes, sizeof(struct node *));
	if (m->fat.bits == 32)
		place_node(m, m->tree.root);
	place_below(m, m->tree.root);
}

/* --- The files of the table --- */

static int compare_files(const void *a, const void *b)
{
	const struct node *x = *(struct node *const *)a, *y = *(struct node *const *)b;

	if (x->size != y->size)
		return x->size > y->size ? -1 : 1;
	if (x->dev != y->dev)
		return x->dev < y->dev ? -1 : 1;
	return x->ino < y->ino ? -1 : x->ino > y->ino;
}

static u32 files_max(const struct make *m)
{
	u32 most = m->options->files_max ? m->options->files_max : QCOW_MAP_FILES_MAX;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return min(most, 256U);
	limit.rlim_cur = min(limit.rlim_max, (rlim_t)QCOW_MAP_FILES_MAX + SPARE_DESCRIPTORS);
	if (!setrlimit(RLIMIT_NOFILE, &limit) && limit.rlim_cur > SPARE_DESCRIPTORS + 2)
		return min((rlim_t)most, limit.rlim_cur - SPARE_DESCRIPTORS);
	return min(most, 64U);
}

static bool same_file(const struct node *a, const struct node *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size;
}

/* The largest files are in the table. Files without a whole sector need not. */
static int number_files(struct make *m)
{
	u64 most = m->options->copy_max ? m->options->copy_max : VVFAT_COPY_MAX, copied = 0;
	u32 i, nr = 0, limit = files_max(m);
	struct node **files = xcalloc(m->nr_nodes + 1, sizeof(struct node *));

	for (i = 0; i < m->nr_nodes; i++)
		if (m->nodes[i]->size >= SZ_512)
			files[nr++] = m->nodes[i];
	qsort(files, nr, sizeof(*files), compare_files);
	for (i = 0; i < nr; i++) {
		if (i && same_file(files[i], files[i - 1]) && files[i - 1]->file)
			files[i]->file = files[i - 1]->file;
		else if (m->v->nr_files < limit)
			files[i]->file = m->v->nr_files++;
		else
			copied += files[i]->size;
	}
	free(files);
	if (copied <= most)
		return 0;
	report(m->tree.name, "has more than %u files, and the smaller ones with %llu bytes are too much to copy; take a smaller folder",
	       limit - 1, (unsigned long long)copied);
	return -1;
}

/* --- Names of the disk --- */

static u32 serial_of(const char *path)
{
	u32 sum = 2166136261u;

	while (*path)
		sum = (sum ^ (u8)*path++) * 16777619u;
	return sum ? sum : 1;
}

static char label_char(char c)
{
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 'A';
	return c >= ' ' && c < 0x7f && !strchr("\"*+,./:;<=>?[\\]|", c) ? c : '_';
}

/* The name of the folder will do, as far as it is a label. */
static int choose_label(struct make *m)
{
	const char *label = m->options->label, *name = strrchr(m->tree.path, '/');
	size_t i, len;

	if (label && strlen(label) > FAT_LABEL_BYTES) {
		report(m->tree.name, "the label has more than %u characters", FAT_LABEL_BYTES);
		return -1;
	}
	if (!label)
		label = name ? name + 1 : "";
	len = min(strlen(label), (size_t)FAT_LABEL_BYTES);
	memset(m->fat.label, ' ', FAT_LABEL_BYTES);
	for (i = 0; i < len; i++)
		m->fat.label[i] = label_char(label[i]);
	if (m->fat.label[0] == ' ')
		memcpy(m->fat.label, "NO NAME", 7);
	memcpy(m->v->label, m->fat.label, FAT_LABEL_BYTES);
	for (i = FAT_LABEL_BYTES; i && m->v->label[i - 1] == ' ';)
		m->v->label[--i] = '\0';
	return 0;
}

/* --- All of it --- */

static int plan(struct make *m)
{
	int err = choose_label(m);

	m->fat.serial = m->options->serial ? m->options->serial : serial_of(m->tree.path);
	m->v->serial = m->fat.serial;
	err = err ? err : name_folder(m, m->tree.root);
	err = err ? err : choose_fat(m);
	if (err)
		return err;
	place_all(m);
	m->v->fat_bits = m->fat.bits;
	m->v->cluster_size = fat_cluster_bytes(&m->fat);
	m->v->nr_files = 1;
	return number_files(m);
}

/* Bytes of a file or directory that the table's file for sectors gets. */
static u64 kept_bytes(const struct node *n)
{
	u64 bytes = n->file ? n->size % SZ_512 : bytes_of(n);

	return ROUND_UP(bytes, (u64)SZ_512);
}

static int open_sectors(const struct make *m)
{
	u64 bytes = (u64)m->fat.next * (m->fat.bits / 8);
	u32 i;

	for (i = 0; i < m->nr_nodes; i++)
		bytes += kept_bytes(m->nodes[i]);
	if (bytes > MEMORY_MAX)
		return unnamed_open(unnamed_folder(NULL));
	return memfd_create("qcow-vvfat", MFD_CLOEXEC | MFD_ALLOW_SEALING);
}

static int open_files(struct make *m)
{
	struct vvfat *v = m->v;
	u32 i;

	v->files = xcalloc(v->nr_files, sizeof(*v->files));
	for (i = 0; i < v->nr_files; i++)
		v->files[i].fd = -1;
	v->files[0].path = xstrdup(m->tree.name);
	v->files[0].fd = open_sectors(m);
	if (v->files[0].fd < 0) {
		report(m->tree.name, "the sectors of the disk cannot be kept: %s", strerror(errno));
		return -1;
	}
	m->buffer = xcalloc(BUFFER_BYTES, 1);
	return 0;
}

static int make_disk(struct make *m)
{
	int err = open_files(m);

	err = err ? err : put_boot(m);
	err = err ? err : put_tables(m);
	err = err ? err : put_nodes(m);
	if (err)
		return err;
	if (m->guest_end < m->v->size)
		add_entry(m, m->guest_end, QCOW_MAP_ZERO, 0, 0);
	if (ftruncate(m->v->files[0].fd, m->end)) {
		report(m->tree.name, "the sectors of the disk cannot be kept: %s", strerror(errno));
		return -1;
	}
	(void)fcntl(m->v->files[0].fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_SEAL);
	return 0;
}

/**
 * vvfat_make() - show a folder as a disk
 * @v: the result; vvfat_free() it, after a failure too
 * @folder: its path. The disk keeps the names and sizes that files have now. It shows bytes
 *	that are written into them later
 * @options: choices of the user
 *
 * Files that cannot be shown are left out with a note on stderr.
 *
 * Return: 0, or -1 after printing an error.
 */
int vvfat_make(struct vvfat *v, const char *folder, const struct vvfat_options *options)
{
	struct make m = { .v = v, .options = options };
	int err;

	memset(v, 0, sizeof(*v));
	err = tree_scan(&m.tree, folder);
	if (!err)
		err = plan(&m);
	if (!err)
		err = make_disk(&m);
	if (!err)
		tree_end_notes(&m.tree);
	free(m.nodes);
	free(m.buffer);
	tree_free(&m.tree);
	return err;
}

/**
 * vvfat_free() - forget a folder's disk, and close its files
 * @v: the disk
 */
void vvfat_free(struct vvfat *v)
{
	u32 i;

	for (i = 0; v->files && i < v->nr_files; i++) {
		if (v->files[i].fd >= 0)
			close(v->files[i].fd);
		free(v->files[i].path);
	}
	free(v->files);
	free(v->entries);
	memset(v, 0, sizeof(*v));
}
