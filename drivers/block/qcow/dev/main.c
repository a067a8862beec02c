// SPDX-License-Identifier: GPL-2.0
/* The module: the order of set-up and removal. */
#include <linux/module.h>

#include "data/subreq.h"
#include "dev/job.h"
#include "dev/ctl.h"
#include "dev/device.h"
#include "file/cache.h"
#include "file/space.h"

static int __init qcow_init(void)
{
	int err;

	err = qcow_cache_init();
	if (err)
		return err;
	err = qcow_space_init();
	if (err)
		goto cache;
	err = qcow_subreq_init();
	if (err)
		goto space;
	err = qcow_device_init();
	if (err)
		goto part;
	err = qcow_job_init();
	if (err)
		goto device;
	err = qcow_ctl_init();
	if (err)
		goto change;
	return 0;

change:
	qcow_job_exit();
device:
	qcow_device_exit();
part:
	qcow_subreq_exit();
space:
	qcow_space_exit();
cache:
	qcow_cache_exit();
	return err;
}

static void __exit qcow_exit(void)
{
	qcow_ctl_exit();
	qcow_job_exit();
	qcow_device_exit();
	qcow_subreq_exit();
	qcow_space_exit();
	qcow_cache_exit();
}

module_init(qcow_init);
module_exit(qcow_exit);

MODULE_DESCRIPTION("Block devices backed by QEMU disk images");
MODULE_LICENSE("GPL");
