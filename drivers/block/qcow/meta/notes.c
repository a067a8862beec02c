// SPDX-License-Identifier: GPL-2.0
/*
 * Sets of notes, which release.c and reclaim.c use. The caller protects a set; it has
 * no lock.
 *
 * A note is a run of clusters that lost the same number of references. Notes that touch
 * are joined, so clusters that are released in any order end up as few runs, and a
 * cluster that is released twice is counted twice.
 */
#include <linux/limits.h>
#include <linux/minmax.h>
#include <linux/slab.h>

#include "meta/notes.h"

/**
 * qcow_notes_init() - make an empty set
 * @set: the set
 * @count: count of notes in all sets of the image
 */
void qcow_notes_init(struct qcow_notes *set, struct qcow_notes_count *count)
{
	set->root = RB_ROOT;
	set->nr = 0;
	set->count = count;
}

static struct qcow_note *note_of(struct rb_node *node)
{
	return rb_entry_safe(node, struct qcow_note, node);
}

/* Return: the note that holds @cluster, or else the next one; or NULL. */
static struct qcow_note *note_at(const struct qcow_notes *set, u64 cluster)
{
	struct rb_node *node = set->root.rb_node;
	struct qcow_note *found = NULL;

	while (node) {
		struct qcow_note *note = note_of(node);

		if (note->end > cluster) {
			found = note;
			node = node->rb_left;
		} else {
			node = node->rb_right;
		}
	}
	return found;
}

static void note_insert(struct qcow_notes *set, struct qcow_note *note)
{
	struct rb_node **link = &set->root.rb_node, *parent = NULL;

	while (*link) {
		parent = *link;
		link = note->first < note_of(parent)->first ? &parent->rb_left :
							      &parent->rb_right;
	}
	rb_link_node(&note->node, parent, link);
	rb_insert_color(&note->node, &set->root);
	WRITE_ONCE(set->nr, set->nr + 1);
}

static void note_erase(struct qcow_notes *set, struct qcow_note *note)
{
	rb_erase(&note->node, &set->root);
	WRITE_ONCE(set->nr, set->nr - 1);
}

/* Give a note other clusters. The order of the notes stays as it is. */
static void note_span(struct qcow_notes *set, struct qcow_note *note, u64 first, u64 end)
{
	set->count->clusters += (end - first) - (note->end - note->first);
	note->first = first;
	note->end = end;
}

static struct qcow_note *note_new(struct qcow_notes *set, u64 first, u64 end,
				  u32 times)
{
	struct qcow_note *note;

	if (set->count->nr >= set->count->max)
		return NULL;
	note = kzalloc(sizeof(*note), GFP_NOIO);
	if (!note)
		return NULL;
	note_span(set, note, first, end);
	note->times = times;
	note_insert(set, note);
	WRITE_ONCE(set->count->nr, set->count->nr + 1);
	return note;
}

static void note_free(struct qcow_notes *set, struct qcow_note *note)
{
	note_erase(set, note);
	note_span(set, note, 0, 0);
	WRITE_ONCE(set->count->nr, set->count->nr - 1);
	kfree(note);
}

/* Join a note with the one before it, if they touch. Return: the note that is left. */
static struct qcow_note *note_join(struct qcow_notes *set, struct qcow_note *note)
{
	struct qcow_note *before = note_of(rb_prev(&note->node));

	if (!before || before->end != note->first || before->times != note->times)
		return note;
	note_span(set, before, before->first, note->end);
	note_free(set, note);
	return before;
}

/* Join a note with both neighbours. */
static void note_settle(struct qcow_notes *set, struct qcow_note *note)
{
	struct qcow_note *next;

	note = note_join(set, note);
	next = note_of(rb_next(&note->node));
	if (next)
		note_join(set, next);
}

/* Cut a note in two at @cluster. Return: its second half, or NULL. */
static struct qcow_note *note_split(struct qcow_notes *set, struct qcow_note *note,
				    u64 cluster)
{
	struct qcow_note *rest = note_new(set, cluster, note->end, note->times);

	if (rest)
		note_span(set, note, note->first, cluster);
	return rest;
}

/*
 * Split a note that holds @first, so that the part in [@first, @end) is a note of its
 * own.
 */
static struct qcow_note *note_middle(struct qcow_notes *set, struct qcow_note *note,
				     u64 first, u64 end)
{
	if (note->first < first)
		note = note_split(set, note, first);
	if (note && note->end > end && !note_split(set, note, end))
		return NULL;
	return note;
}

/* Note clusters that no note holds: make a neighbour longer, or make a new note. */
static int note_gap(struct qcow_notes *set, struct qcow_note *next, u64 first,
		    u64 end, u32 times)
{
	struct qcow_note *before = note_of(next ? rb_prev(&next->node) :
						  rb_last(&set->root));

	if (before && before->end == first && before->times == times) {
		note_span(set, before, before->first, end);
		note_settle(set, before);
		return 0;
	}
	if (next && next->first == end && next->times == times) {
		note_span(set, next, first, next->end);
		return 0;
	}
	return note_new(set, first, end, times) ? 0 : -ENOMEM;
}

/**
 * qcow_notes_add() - note that clusters lost references
 * @set: the set
 * @first: number of the first cluster
 * @end: behind the last cluster
 * @times: references that each of them lost
 *
 * Context: may sleep.
 *
 * Return: 0; or -ENOMEM: some of them are not in the set.
 */
int qcow_notes_add(struct qcow_notes *set, u64 first, u64 end, u32 times)
{
	struct qcow_note *note;
	u64 stop;
	int err = 0;

	for (; !err && first < end; first = stop) {
		note = note_at(set, first);
		if (!note || note->first > first) {
			stop = note ? min(end, note->first) : end;
			err = note_gap(set, note, first, stop, times);
			continue;
		}
		stop = min(end, note->end);
		if (note->times > U32_MAX - times)
			return -ENOMEM;
		note = note_middle(set, note, first, stop);
		if (!note)
			return -ENOMEM;
		note->times += times;
		note_settle(set, note);
	}
	return err;
}

/**
 * qcow_notes_first() - the note with the lowest clusters
 * @set: the set
 *
 * Return: the note, or NULL.
 */
struct qcow_note *qcow_notes_first(const struct qcow_notes *set)
{
	return note_of(rb_first(&set->root));
}

/**
 * qcow_notes_have() - tell whether a set has any cluster of a run
 * @set: the set
 * @first: number of the first cluster
 * @end: behind the last cluster
 *
 * Return: whether any is.
 */
bool qcow_notes_have(const struct qcow_notes *set, u64 first, u64 end)
{
	const struct qcow_note *note = note_at(set, first);

	return note && note->first < end;
}

/**
 * qcow_notes_cut() - forget the first clusters of a note
 * @set: the set
 * @note: one of its notes; it is gone if no cluster is left
 * @first: number of the first cluster that stays
 */
void qcow_notes_cut(struct qcow_notes *set, struct qcow_note *note, u64 first)
{
	note_span(set, note, first, note->end);
	if (note->first >= note->end)
		note_free(set, note);
}

/**
 * qcow_notes_move() - move notes from one set to another
 * @to: the other set
 * @from: the set
 * @most: most notes to move
 *
 * Without memory for a note its clusters are leaked.
 *
 * Context: may sleep.
 */
void qcow_notes_move(struct qcow_notes *to, struct qcow_notes *from, u32 most)
{
	struct qcow_note *note;

	while (most-- && (note = qcow_notes_first(from))) {
		if (!qcow_notes_have(to, note->first, note->end)) {
			note_erase(from, note);
			note_insert(to, note);
			note_settle(to, note);
			continue;
		}
		/* Clusters that are forgotten here stay counted: they are leaked. */
		if (qcow_notes_add(to, note->first, note->end, note->times))
			pr_debug("qcow: no memory for notes\n");
		note_free(from, note);
	}
}

/**
 * qcow_notes_forget() - make a set empty
 * @set: the set
 */
void qcow_notes_forget(struct qcow_notes *set)
{
	struct qcow_note *note;

	while ((note = qcow_notes_first(set)))
		note_free(set, note);
}
