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
 */
struct fault_knob {
	const char *dir;
	const char *name;
	size_t size;
	unsigned long want;
	unsigned long old;
};

static struct fault_knob knobs[] = {
	{ "failslab", "ignore-gfp-wait", sizeof(bool), false },
	{ "failslab", "verbose", sizeof(unsigned long), 0 },
	/* After the one that fault_arm() chose, all of a marked task fail: fault_arm_row(). */
	{ "failslab", "task-filter", sizeof(bool), true },
	{ "failslab", "probability", sizeof(unsigned long), 100 },
	{ "fail_page_alloc", "ignore-gfp-wait", sizeof(bool), false },
	{ "fail_page_alloc", "min-order", sizeof(u32), 0 },
	{ "fail_page_alloc", "verbose", sizeof(unsigned long), 0 },
};

/* Exchanges the knob's value with *@value. Return: whether it is there. */
static bool knob_exchange(const struct fault_knob *k, unsigned long *value)
{
	struct dentry *dir = debugfs_lookup(k->dir, NULL);
	struct dentry *d = dir ? debugfs_lookup(k->name, dir) : NULL;
	unsigned long old = 0;
	void *p;

	if (d) {
		p = d_inode(d)->i_private;
		memcpy(&old, p, k->size);
		memcpy(p, value, k->size);
		*value = old;
	}
	dput(d);
	dput(dir);
	return d;
}

bool fault_begin(void)
{
	bool all = IS_ENABLED(CONFIG_FAULT_INJECTION);
	u32 i;

	for (i = 0; all && i < ARRAY_SIZE(knobs); i++) {
		knobs[i].old = knobs[i].want;
		all = knob_exchange(&knobs[i], &knobs[i].old);
	}
	return all;
}

void fault_end(void)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(knobs); i++)
		knob_exchange(&knobs[i], &knobs[i].old);
}

#ifdef CONFIG_FAULT_INJECTION
void fault_arm(u32 nth)
{
	WRITE_ONCE(current->fail_nth, nth);
}

void fault_arm_row(u32 nth, u32 nr)
{
	const struct fault_knob times = { "failslab", "times", sizeof(atomic_t) };
	unsigned long value = nr;

	knob_exchange(&times, &value);
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
#endif
