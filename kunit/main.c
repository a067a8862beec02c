// SPDX-License-Identifier: GPL-2.0
/*
 * The test module: sets the driver's layers up as its own main.c does, up to
 * the data path. The suites run when the module is live.
 */
#include <linux/glob.h>
#include <linux/module.h>

#include "data/subreq.h"
#include "data/read.h"
#include "file/cache.h"
#include "file/space.h"

#include "codec.h"
#include "memfile.h"
#include "qtest.h"

unsigned int qtest_images = 10000;
module_param_named(images, qtest_images, uint, 0444);
MODULE_PARM_DESC(images, "damaged images to open and read");

unsigned long qtest_seed = 1;
module_param_named(seed, qtest_seed, ulong, 0444);
MODULE_PARM_DESC(seed, "seed of everything that is random");

static char *suites = "*";
module_param(suites, charp, 0444);
MODULE_PARM_DESC(suites, "glob of the suites that run");

struct workqueue_struct *qtest_wq;
struct workqueue_struct *qtest_comp_wq;
struct workqueue_struct *qtest_write_wq;
struct workqueue_struct *qtest_flush_wq;

static int __init make_queues(void)
{
	qtest_wq = alloc_workqueue("qcow_kunit", WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	qtest_comp_wq = alloc_workqueue("qcow_kunit_comp",
					WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	qtest_write_wq = alloc_workqueue("qcow_kunit_write",
					 WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	qtest_flush_wq =
		alloc_workqueue("qcow_kunit_commit", WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	return qtest_wq && qtest_comp_wq && qtest_write_wq && qtest_flush_wq ? 0 :
									       -ENOMEM;
}

static void destroy_queues(void)
{
	if (qtest_flush_wq)
		destroy_workqueue(qtest_flush_wq);
	if (qtest_write_wq)
		destroy_workqueue(qtest_write_wq);
	if (qtest_comp_wq)
		destroy_workqueue(qtest_comp_wq);
	if (qtest_wq)
		destroy_workqueue(qtest_wq);
}

/* KUnit runs the suites in this array once the module is live. */
static void __init select_suites(struct module *mod)
{
	int i, nr = 0;

	for (i = 0; i < mod->num_kunit_suites; i++)
		if (glob_match(suites, mod->kunit_suites[i]->name))
			mod->kunit_suites[nr++] = mod->kunit_suites[i];
	mod->num_kunit_suites = nr;
}

static int __init qtest_init(void)
{
	int err = make_queues();

	select_suites(THIS_MODULE);
	if (err)
		goto queues;
	err = qcow_cache_init();
	if (err)
		goto queues;
	err = qcow_space_init();
	if (err)
		goto cache;
	err = qcow_subreq_init();
	if (err)
		goto space;
	err = memfile_init();
	if (err)
		goto part;
	err = codec_init();
	if (err)
		goto memfile;
	return 0;

memfile:
	memfile_exit();
part:
	qcow_subreq_exit();
space:
	qcow_space_exit();
cache:
	qcow_cache_exit();
queues:
	destroy_queues();
	return err;
}

static void __exit qtest_exit(void)
{
	codec_exit();
	memfile_exit();
	qcow_subreq_exit();
	qcow_space_exit();
	qcow_cache_exit();
	destroy_queues();
}

module_init(qtest_init);
module_exit(qtest_exit);

MODULE_DESCRIPTION("KUnit tests of qcow");
MODULE_LICENSE("GPL");
