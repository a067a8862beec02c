// SPDX-License-Identifier: GPL-2.0
/*
 * Failing allocations. The knobs are those in debugfs: the value that a user would write
 * to one is put where it points to.
 */
#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/kernel.h>
#include <linux/sched.h>

#include "fault.h"

/**
 * struct fault_knob - a value to be set
 * @dir: its folder in debugfs
 * @name: and its name there
 * @size: bytes of it
 * @want: the value
 * @old: its value before
 * @at: where it is
 */
struct fault_knob {
	const char *dir;
	const char *name;
	size_t size;
	unsigned long want;
	unsigned long old;
	void *at;
};

/* Those that change between fault_begin() and fault_end(). */
enum {
	SLAB_FILTER,
	SLAB_TIMES,
	PAGE_FILTER,
	PAGE_TIMES,
};

static struct fault_knob knobs[] = {
	/* After the one that fault_arm() chose, all of a marked task fail: fault_arm_row(). */
	[SLAB_FILTER] = { "failslab", "task-filter", sizeof(bool), true },
	[SLAB_TIMES] = { "failslab", "times", sizeof(atomic_t), 0 },
	[PAGE_FILTER] = { "fail_page_alloc", "task-filter", sizeof(bool), true },
	[PAGE_TIMES] = { "fail_page_alloc", "times", sizeof(atomic_t), 0 },
	{ "failslab", "ignore-gfp-wait", sizeof(bool), false },
	{ "failslab", "verbose", sizeof(unsigned long), 0 },
	{ "failslab", "probability", sizeof(unsigned long), 100 },
	{ "fail_page_alloc", "ignore-gfp-wait", sizeof(bool), false },
	{ "fail_page_alloc", "min-order", sizeof(u32), 0 },
	{ "fail_page_alloc", "verbose", sizeof(unsigned long), 0 },
	{ "fail_page_alloc", "probability", sizeof(unsigned long), 100 },
};

static bool knob_find(struct fault_knob *k)
{
	struct dentry *dir = debugfs_lookup(k->dir, NULL);
	struct dentry *d = dir ? debugfs_lookup(k->name, dir) : NULL;

	k->at = d ? d_inode(d)->i_private : NULL;
	dput(d);
	dput(dir);
	return k->at;
}

/* Return: the value before. */
static unsigned long knob_set(const struct fault_knob *k, unsigned long value)
{
	unsigned long old = 0;

	memcpy(&old, k->at, k->size);
	memcpy(k->at, &value, k->size);
	return old;
}

bool fault_begin(void)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(knobs); i++)
		if (!IS_ENABLED(CONFIG_FAULT_INJECTION) || !knob_find(&knobs[i]))
			return false;
	for (i = 0; i < ARRAY_SIZE(knobs); i++)
		knobs[i].old = knob_set(&knobs[i], knobs[i].want);
	return true;
}

void fault_end(void)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(knobs); i++)
		knob_set(&knobs[i], knobs[i].old);
}

#ifdef CONFIG_FAULT_INJECTION
void fault_arm(u32 nth)
{
	WRITE_ONCE(current->fail_nth, nth);
}

void fault_arm_row(u32 nth, u32 nr)
{
	knob_set(&knobs[SLAB_TIMES], nr);
	current->make_it_fail = 1;
	fault_arm(nth);
}

bool fault_disarm(void)
{
	bool failed = !READ_ONCE(current->fail_nth);

	current->make_it_fail = 0;
	WRITE_ONCE(current->fail_nth, 0);
	return failed;
}

void fault_starve(bool all_tasks)
{
	knob_set(&knobs[SLAB_TIMES], INT_MAX);
	knob_set(&knobs[PAGE_TIMES], INT_MAX);
	current->make_it_fail = 1;
	knob_set(&knobs[SLAB_FILTER], !all_tasks);
	knob_set(&knobs[PAGE_FILTER], !all_tasks);
}

u32 fault_feed(void)
{
	knob_set(&knobs[SLAB_FILTER], true);
	knob_set(&knobs[PAGE_FILTER], true);
	current->make_it_fail = 0;
	return INT_MAX - (u32)knob_set(&knobs[SLAB_TIMES], 0) +
	       INT_MAX - (u32)knob_set(&knobs[PAGE_TIMES], 0);
}
#else
void fault_arm(u32 nth)
{
}

void fault_arm_row(u32 nth, u32 nr)
{
}

bool fault_disarm(void)
{
	return false;
}

void fault_starve(bool all_tasks)
{
}

u32 fault_feed(void)
{
	return 0;
}
#endif
