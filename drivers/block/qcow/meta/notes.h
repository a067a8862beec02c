/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_NOTES_H
#define _QCOW_NOTES_H

#include <linux/compiler.h>
#include <linux/rbtree.h>
#include <linux/types.h>

/**
 * struct qcow_notes_count - notes in all sets of one image
 * @nr: number of notes; read without a lock, too
 * @max: most notes
 * @clusters: number of their clusters
 */
struct qcow_notes_count {
	u32 nr;
	u32 max;
	u64 clusters;
};

/**
 * struct qcow_notes - a set of notes: clusters that lost references
 * @root: the notes by cluster; no two have a cluster in common
 * @nr: number of notes; read without a lock, too
 * @count: count of notes in all sets of the image
 */
struct qcow_notes {
	struct rb_root root;
	u32 nr;
	struct qcow_notes_count *count;
};

/**
 * struct qcow_note - clusters in a row that lost the same number of references
 * @node: in the set
 * @first: number of the first cluster
 * @end: behind the last cluster
 * @times: references that each of them lost
 */
struct qcow_note {
	struct rb_node node;
	u64 first;
	u64 end;
	u32 times;
};

static inline bool qcow_notes_empty(const struct qcow_notes *set)
{
	return !READ_ONCE(set->nr);
}

/* Return: true if so many notes wait for a flush that one is due. */
static inline bool qcow_notes_crowded(const struct qcow_notes *set)
{
	return READ_ONCE(set->nr) > set->count->max / 4;
}

/* Return: true if there are so many notes that tasks which make notes have to wait. */
static inline bool qcow_notes_full(const struct qcow_notes_count *count)
{
	return READ_ONCE(count->nr) > count->max / 2;
}

void qcow_notes_init(struct qcow_notes *set, struct qcow_notes_count *count);
int __must_check qcow_notes_add(struct qcow_notes *set, u64 first, u64 end,
				u32 times);
struct qcow_note *qcow_notes_first(const struct qcow_notes *set);
bool qcow_notes_have(const struct qcow_notes *set, u64 first, u64 end);
void qcow_notes_cut(struct qcow_notes *set, struct qcow_note *note, u64 first);
void qcow_notes_move(struct qcow_notes *to, struct qcow_notes *from, u32 most);
void qcow_notes_forget(struct qcow_notes *set);

#endif /* _QCOW_NOTES_H */
