// SPDX-License-Identifier: GPL-2.0
/*
 * Whether a number still belongs to the same device: another image may be attached with
 * the number as soon as the device has gone.
 * The command attach, ready.c and sectors.c call this.
 */
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "device/device.h"
#include "device/still.h"
#include "lib/report.h"
#include "lib/sysfs.h"

/* Where sysfs is not mounted, the driver is asked. */
static bool driver_has(const struct device *d)
{
	int control = device_control_quiet();
	struct qcow_ioc_status status;
	int err;

	if (control < 0)
		return true;
	err = device_status(control, d->index, &status);
	close(control);
	if (err == -ENODEV || err == -ENXIO || err == -ENOENT)
		return false;
	return err || !d->diskseq || !status.diskseq || status.diskseq == d->diskseq;
}

/**
 * still_attached() - whether a device is attached with the number that it had
 * @d: the device
 *
 * Return: whether it is; also true if neither sysfs nor the driver can be asked.
 */
bool still_attached(const struct device *d)
{
	return sysfs_is_there() ? sysfs_is_disk(d->index, d->diskseq) : driver_has(d);
}

/**
 * still_opened() - whether an open file is the node of a device
 * @fd: a block device that was opened by the number of @d
 * @d: the device
 *
 * Return: whether it is; also true if neither the kernel nor sysfs tells its diskseq.
 */
bool still_opened(int fd, const struct device *d)
{
	__u64 diskseq;

	if (!d->diskseq || ioctl(fd, BLKGETDISKSEQ, &diskseq))
		return still_attached(d);
	return diskseq == d->diskseq;
}
