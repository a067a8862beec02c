// SPDX-License-Identifier: GPL-2.0
/*
 * The test module sets up the driver's floors below dev/, and the suites run when it is
 * live. In a kernel where driver and tests are built in, the driver has set them up, and
 * the suites run after all initcalls.
 */
#include <linux/glob.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/umh.h>

#include "dev/init.h"

#include "codec.h"
#include "memfile.h"
#include "qtest.h"

unsigned int qtest_images = 10000;
module_param_named(images, qtest_images, uint, 0444);
MODULE_PARM_DESC(images, "damaged images to open and read");

unsigned long qtest_seed = 1;
module_param_named(seed, qtest_seed, ulong, 0444);
MODULE_PARM_DESC(seed, "seed of everything that is random");

struct workqueue_struct *qtest_wq;
struct workqueue_struct *qtest_comp_wq;
struct workqueue_struct *qtest_write_wq;
struct workqueue_struct *qtest_flush_wq;

/* Runs the shrinkers from outside, by a shell. Return: 0, or the shell's exit code. */
int qtest_ask_for_memory(void)
{
	char shell[] = "/bin/sh", option[] = "-c", path[] = "PATH=/bin";
	char command[] = "echo 2 > /proc/sys/vm/drop_caches";
	char *argv[4] = { shell, option, command };
	char *envp[2] = { path };

	return call_usermodehelper(shell, argv, envp, UMH_WAIT_PROC);
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

static int make_queues(void)
{
	qtest_wq = alloc_workqueue("qcow_kunit", WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	qtest_comp_wq = alloc_workqueue("qcow_kunit_comp",
					WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	qtest_write_wq = alloc_workqueue("qcow_kunit_write",
					 WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	qtest_flush_wq =
		alloc_workqueue("qcow_kunit_flush", WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	if (qtest_wq && qtest_comp_wq && qtest_write_wq && qtest_flush_wq)
		return 0;
	destroy_queues();
	return -ENOMEM;
}

static const struct qcow_init table[] = {
	{ make_queues, destroy_queues },
#ifdef MODULE
	{ qcow_floors_init, qcow_floors_exit },
#endif
	{ memfile_init, memfile_exit },
	{ codec_init, codec_exit },
};

#ifdef MODULE
static char *suites = "*";
module_param(suites, charp, 0444);
MODULE_PARM_DESC(suites, "glob of the suites that run");

/* KUnit runs the suites in this array once the module is live. */
static void __init select_suites(struct module *mod)
{
	int i, nr = 0;

	for (i = 0; i < mod->num_kunit_suites; i++)
		if (glob_match(suites, mod->kunit_suites[i]->name))
			mod->kunit_suites[nr++] = mod->kunit_suites[i];
	mod->num_kunit_suites = nr;
}
#else
/* KUnit has the parameter kunit.filter_glob for suites that are built in. */
static void __init select_suites(struct module *mod)
{
}
#endif

static int __init qtest_init(void)
{
	select_suites(THIS_MODULE);
	return qcow_init_all(table, ARRAY_SIZE(table));
}

static void __exit qtest_exit(void)
{
	qcow_exit_all(table, ARRAY_SIZE(table));
}

module_init(qtest_init);
module_exit(qtest_exit);

MODULE_DESCRIPTION("KUnit tests of qcow");
MODULE_LICENSE("GPL");
