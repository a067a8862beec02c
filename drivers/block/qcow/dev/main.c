// SPDX-License-Identifier: GPL-2.0
/* The module: the order of set-up and removal. */
#include <linux/kernel.h>
#include <linux/module.h>

#include "dev/job.h"
#include "dev/ctl.h"
#include "dev/debugfs.h"
#include "dev/device.h"
#include "dev/init.h"
#include "dev/uevent.h"

static const struct qcow_init table[] = {
	{ qcow_floors_init, qcow_floors_exit },
	{ qcow_uevent_init, qcow_uevent_exit },
	{ qcow_debugfs_init, qcow_debugfs_exit },
	{ qcow_device_init, qcow_device_exit },
	{ qcow_job_init, qcow_job_exit },
	{ qcow_ctl_init, qcow_ctl_exit },
};

static int __init qcow_init(void)
{
	return qcow_init_all(table, ARRAY_SIZE(table));
}

static void __exit qcow_exit(void)
{
	qcow_exit_all(table, ARRAY_SIZE(table));
}

module_init(qcow_init);
module_exit(qcow_exit);

MODULE_DESCRIPTION("Block devices backed by QEMU disk images");
MODULE_LICENSE("GPL");
