// SPDX-License-Identifier: GPL-2.0
/*
 * Devices that show a snapshot of an attached image: children of the device that has the
 * image, their parent. device.c, ctl_child.c, job.c,
 * device_file.c and sysfs.c call this.
 *
 * A child opens all images of the chain once more, with the parent's open files, and so
 * with their locks, and with caches of its own. The snapshot has a reference to each
 * cluster that the child reads, so the parent neither writes such a cluster in place nor
 * frees it, until the snapshot is deleted: that is refused meanwhile.
 *
 * The parent is not detached before its children, except by force: then they stay, with
 * the files that they share, and nobody else can write the image.
 */
#include <linux/blkdev.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>

#include "dev/child.h"
#include "dev/device_state.h"

/* Protects the lists of children; innermost. */
static DEFINE_SPINLOCK(children_lock);

/**
 * qcow_child_join() - make a device the child of another one
 * @child: shows a snapshot of @parent's image, and is not live yet
 * @parent: the caller holds its job_mutex
 *
 * Context: may sleep.
 *
 * Return: 0; -ENODEV: the parent is being detached; -EINTR: the task is to be killed.
 */
int qcow_child_join(struct qcow_device *child, struct qcow_device *parent)
{
	int err = 0;

	lockdep_assert_held(&parent->job_mutex);
	if (mutex_lock_killable(&parent->disk->open_mutex))
		return -EINTR;
	/* A detach looks for children under this mutex, unless it is by force. */
	if (READ_ONCE(parent->state) != QCOW_DEVICE_LIVE) {
		err = -ENODEV;
	} else {
		kref_get(&parent->ref);
		spin_lock(&children_lock);
		child->parent = parent;
		list_add_tail(&child->sibling, &parent->children);
		spin_unlock(&children_lock);
	}
	mutex_unlock(&parent->disk->open_mutex);
	return err;
}

/**
 * qcow_child_leave() - end the relation of a device to its parent
 * @child: has closed its images; or no child
 *
 * Context: any.
 *
 * Return: the parent, whose reference is the caller's now; or NULL.
 */
struct qcow_device *qcow_child_leave(struct qcow_device *child)
{
	struct qcow_device *parent;

	spin_lock(&children_lock);
	parent = child->parent;
	child->parent = NULL;
	list_del_init(&child->sibling);
	spin_unlock(&children_lock);
	return parent;
}

/**
 * qcow_child_abandon() - let the children of a device be devices of their own
 * @parent: is gone, and its number is about to be free
 *
 * Context: any.
 */
void qcow_child_abandon(struct qcow_device *parent)
{
	struct qcow_device *child, *next;

	spin_lock(&children_lock);
	list_for_each_entry_safe(child, next, &parent->children, sibling)
		list_del_init(&child->sibling);
	spin_unlock(&children_lock);
}

/* Name a child that keeps the parent from being changed. Return: -EBUSY. */
static int child_say(const struct qcow_device *child, struct qcow_msg *msg)
{
	return qcow_advise(msg, -EBUSY, "is used by /dev/%s, which shows a snapshot of it; detach that first",
			   child->name);
}

/**
 * qcow_child_refuse() - refuse what a device with children must not do
 * @parent: the device
 * @msg: names a child; or NULL
 *
 * Context: any.
 *
 * Return: 0: it has no children; or -EBUSY.
 */
int qcow_child_refuse(struct qcow_device *parent, struct qcow_msg *msg)
{
	struct qcow_device *child;
	int err = 0;

	spin_lock(&children_lock);
	child = list_first_entry_or_null(&parent->children, struct qcow_device, sibling);
	if (child)
		err = child_say(child, msg);
	spin_unlock(&children_lock);
	return err;
}

/**
 * qcow_child_refuse_change() - refuse to delete a snapshot that a child shows
 * @parent: the device; a job runs on it, so it gets no more children
 * @snapshot_l1: host offset of the snapshot's L1 table
 * @msg: names the child
 *
 * Context: may sleep.
 *
 * Return: 0: no child shows it; or -EBUSY.
 */
int qcow_child_refuse_change(struct qcow_device *parent, u64 snapshot_l1,
			     struct qcow_msg *msg)
{
	struct qcow_device *child;
	int err = 0;

	spin_lock(&children_lock);
	list_for_each_entry(child, &parent->children, sibling) {
		if (child->snapshot_l1 != snapshot_l1)
			continue;
		err = qcow_advise(msg, -EBUSY, "the snapshot is in use by /dev/%s, which shows it; detach that first",
				  child->name);
		break;
	}
	spin_unlock(&children_lock);
	return err;
}

/**
 * qcow_child_parent() - number of the device whose snapshot a device shows
 * @child: the device
 *
 * Context: any.
 *
 * Return: the number; or -1: it shows no snapshot of another device, or that is gone.
 */
int qcow_child_parent(struct qcow_device *child)
{
	int index = -1;

	spin_lock(&children_lock);
	if (child->parent && !list_empty(&child->sibling))
		index = child->parent->index;
	spin_unlock(&children_lock);
	return index;
}
