// SPDX-License-Identifier: GPL-2.0
/*
 * The list of devices: their numbers and names. The ioctls (ctl*.c), jobs (job*.c) and
 * device.c find devices here.
 *
 * A device's number is in the idr from the start of an attach until its disk is gone,
 * so that no number is used twice; it leads to NULL unless the device is live.
 */
#include <linux/blk-mq.h>
#include <linux/idr.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <uapi/linux/qcow.h>

#include "dev/device_end.h"
#include "dev/device_list.h"
#include "dev/device_status.h"

static DEFINE_IDR(devices);
/* All devices, those that are being attached or detached among them */
static LIST_HEAD(all_devices);
static u32 nr_devices;
/*
 * Protects the idr, the list and its length, and the devices found in them from being
 * taken apart.
 */
static DEFINE_MUTEX(qcow_devices_lock);

static void device_release(struct kref *ref)
{
	struct qcow_device *dev = container_of(ref, struct qcow_device, ref);

	if (dev->disk)
		put_disk(dev->disk);
	kfree(dev->alias);
	kfree(dev->snapshot);
	kfree(dev);
}

/**
 * qcow_device_put() - drop a reference to a device
 * @dev: the device
 *
 * Context: may sleep.
 */
void qcow_device_put(struct qcow_device *dev)
{
	kref_put(&dev->ref, device_release);
}

/**
 * qcow_device_list_remove() - give the number of a device back
 * @dev: the device, from qcow_device_list_add()
 *
 * Context: may sleep.
 */
void qcow_device_list_remove(struct qcow_device *dev)
{
	mutex_lock(&qcow_devices_lock);
	list_del_init(&dev->node);
	WRITE_ONCE(nr_devices, nr_devices - 1);
	idr_remove(&devices, dev->index);
	mutex_unlock(&qcow_devices_lock);
}

/* Return: the device that has an alias, or NULL. */
static const struct qcow_device *__device_with_alias(const char *alias)
{
	const struct qcow_device *dev;

	lockdep_assert_held(&qcow_devices_lock);
	list_for_each_entry(dev, &all_devices, node)
		if (dev->alias && !strcmp(dev->alias, alias))
			return dev;
	return NULL;
}

/* Return: the number, or a negative errno. */
static int __device_take_index(struct qcow_device *dev, int want, struct qcow_msg *msg)
{
	const struct qcow_device *other = NULL;
	int index;

	if (dev->alias)
		other = __device_with_alias(dev->alias);
	if (other)
		return qcow_advise(msg, -EEXIST, "/dev/%s has the name %s already; give another one, or detach that",
				   other->name, dev->alias);
	index = idr_alloc(&devices, NULL, want < 0 ? 0 : want,
			  want < 0 ? 0 : want + 1, GFP_KERNEL);
	if (index < 0)
		return index;
	dev->index = index;
	snprintf(dev->name, sizeof(dev->name), "qcow%d", index);
	list_add(&dev->node, &all_devices);
	WRITE_ONCE(nr_devices, nr_devices + 1);
	return index;
}

/**
 * qcow_device_list_count() - number of devices
 *
 * Context: any.
 *
 * Return: the number, also of those that are being attached or detached.
 */
u32 qcow_device_list_count(void)
{
	return READ_ONCE(nr_devices);
}

/**
 * qcow_device_list_add() - give a device a number and a name
 * @dev: the device, with its alias if it has one
 * @want: the number; negative: the first that is free
 * @msg: says why it failed
 *
 * No task finds the device yet.
 *
 * Context: may sleep.
 *
 * Return: 0; -EBUSY: the number is taken; -EEXIST: another device has the alias; or another
 * negative errno.
 */
int qcow_device_list_add(struct qcow_device *dev, int want, struct qcow_msg *msg)
{
	int index;

	mutex_lock(&qcow_devices_lock);
	index = __device_take_index(dev, want, msg);
	mutex_unlock(&qcow_devices_lock);
	if (index == -ENOSPC)
		return qcow_fail(msg, -EBUSY, "/dev/qcow%d is taken", want);
	return min(index, 0);
}

/**
 * qcow_device_list_publish() - let other tasks find a device, or no longer
 * @dev: the device, which has a number
 * @ptr: the device, or NULL: no longer
 *
 * Context: may sleep.
 */
void qcow_device_list_publish(struct qcow_device *dev, struct qcow_device *ptr)
{
	mutex_lock(&qcow_devices_lock);
	idr_replace(&devices, ptr, dev->index);
	mutex_unlock(&qcow_devices_lock);
}

static struct qcow_device *__device_find(int index, const struct file *by)
{
	struct qcow_device *dev = idr_find(&devices, index);

	return dev && dev->owner && dev->owner != by ? NULL : dev;
}

/**
 * qcow_device_get() - find a device
 * @index: its number
 * @by: the open file of the control node that the caller uses; hidden devices of other
 *	ones are not found
 *
 * Context: may sleep.
 *
 * Return: the device, for qcow_device_put(), or NULL; it may be detached at any time.
 */
struct qcow_device *qcow_device_get(int index, const struct file *by)
{
	struct qcow_device *dev;

	mutex_lock(&qcow_devices_lock);
	dev = __device_find(index, by);
	if (dev)
		kref_get(&dev->ref);
	mutex_unlock(&qcow_devices_lock);
	return dev;
}

/**
 * qcow_device_visit() - call a function for each device
 * @index: the lowest number
 * @visit: the function; it must not sleep for long, nor look for devices. Return: 0 to
 *	go on, or a result that ends the walk
 * @arg: for @visit
 *
 * Goes in ascending order of numbers. No device is taken apart while @visit looks at
 * it.
 *
 * Context: may sleep.
 *
 * Return: the result that ended the walk, or 0.
 */
int qcow_device_visit(int index, int (*visit)(struct qcow_device *dev, void *arg), void *arg)
{
	struct qcow_device *dev;
	int ret = 0;

	mutex_lock(&qcow_devices_lock);
	idr_for_each_entry_continue(&devices, dev, index) {
		ret = visit(dev, arg);
		if (ret)
			break;
	}
	mutex_unlock(&qcow_devices_lock);
	return ret;
}

/**
 * qcow_device_list_get_leaving() - find a device that is being detached
 * @index: its number, which may lead to nothing any more
 * @by: as for qcow_device_get()
 *
 * Context: may sleep.
 *
 * Return: the device, for qcow_device_put(), or NULL.
 */
struct qcow_device *qcow_device_list_get_leaving(int index, const struct file *by)
{
	struct qcow_device *dev, *found = NULL;

	mutex_lock(&qcow_devices_lock);
	list_for_each_entry(dev, &all_devices, node)
		if (dev->index == index && (!dev->owner || dev->owner == by) &&
		    READ_ONCE(dev->state) == QCOW_DEVICE_GOING)
			found = dev;
	if (found)
		kref_get(&found->ref);
	mutex_unlock(&qcow_devices_lock);
	return found;
}

/**
 * qcow_device_list_next_of() - find a device that belongs to an open file, or is kept by it
 * @file: the open file of the control node
 * @index: in: the lowest number; out: the number of the device
 *
 * Context: may sleep.
 *
 * Return: the device, for qcow_device_put(), or NULL: there are no more.
 */
struct qcow_device *qcow_device_list_next_of(const struct file *file, int *index)
{
	struct qcow_device *dev;

	mutex_lock(&qcow_devices_lock);
	idr_for_each_entry_continue(&devices, dev, *index)
		if (dev->owner == file || dev->holder == file)
			break;
	if (dev)
		kref_get(&dev->ref);
	mutex_unlock(&qcow_devices_lock);
	return dev;
}

/**
 * qcow_device_list_say_going() - name the file that a detach waits for
 * @dev: the device, which is being detached
 * @msg: names the file, unless the images are being closed already
 *
 * Context: may sleep.
 *
 * Return: -EINPROGRESS.
 */
int qcow_device_list_say_going(struct qcow_device *dev, struct qcow_msg *msg)
{
	int err;

	mutex_lock(&qcow_devices_lock);
	if (idr_find(&devices, dev->index) == dev)
		err = qcow_device_say(dev, msg);
	else
		err = qcow_fail(msg, -EINPROGRESS, "waits for its files to be closed");
	mutex_unlock(&qcow_devices_lock);
	return err;
}

/**
 * qcow_device_status() - describe a device and count its work
 * @index: its number
 * @by: as for qcow_device_get()
 * @st: zeroed; the result
 *
 * Context: may sleep.
 *
 * Return: 0 or -ENODEV.
 */
int qcow_device_status(int index, const struct file *by,
		       struct qcow_ioc_status *st)
{
	struct qcow_device *dev;

	mutex_lock(&qcow_devices_lock);
	dev = __device_find(index, by);
	if (dev)
		qcow_device_fill_status(dev, by, st);
	mutex_unlock(&qcow_devices_lock);
	return dev ? 0 : -ENODEV;
}

void qcow_device_list_exit(void)
{
	idr_destroy(&devices);
}
