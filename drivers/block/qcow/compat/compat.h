/* SPDX-License-Identifier: GPL-2.0 */
/*
 * All conditions on the kernel (with compat_blk.h for the block layer's interface,
 * which only dev/ may include). The driver is written against the newest kernel's
 * interfaces, which this header gives to older kernels. Kbuild.include probes the
 * kernel's headers for each feature and defines QCOW_HAVE_*: stable kernels backport,
 * so versions tell little.
 */
#ifndef _QCOW_COMPAT_H
#define _QCOW_COMPAT_H

#ifndef CONFIG_64BIT
#error "qcow needs a 64-bit kernel: offsets of 56 bits index its tables"
#endif

#include <keys/user-type.h>
#include <linux/blk-cgroup.h>
#include <linux/blkdev.h>
#include <linux/cgroup.h>
#include <linux/err.h>
#include <linux/fadvise.h>
#include <linux/fs.h>
#include <linux/ioprio.h>
#include <linux/file.h>
#include <linux/key.h>
#include <linux/kthread.h>
#include <linux/list_lru.h>
#include <linux/memcontrol.h>
#include <linux/pagemap.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/shrinker.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/uio.h>

/*
 * Take the task's plug away from it; give it back by setting current->plug.
 *
 * Since 6.9 a plug keeps the time, and PF_BLOCK_TS makes the scheduler look for it in
 * the plug: the flag goes first.
 */
static inline struct blk_plug *qcow_compat_take_plug(void)
{
	struct blk_plug *plug = current->plug;

#ifdef PF_BLOCK_TS
	if (plug)
		plug->cur_ktime = 0;
	current->flags &= ~PF_BLOCK_TS;
	barrier();
#endif
	current->plug = NULL;
	return plug;
}

/* Since 6.10 a tracepoint's string is named once, where its field is declared. */
#ifdef QCOW_HAVE_ASSIGN_STR_ALONE
#define qcow_compat_assign_str(field, string) __assign_str(field)
#else
#define qcow_compat_assign_str(field, string) __assign_str(field, string)
#endif

/**
 * struct qcow_charge - the account on which a worker does I/O
 * @blkcg: the worker was given a control group for I/O
 * @memcg: the control group for memory that it was given, referenced; or NULL
 * @before: its control group for memory before
 * @prio: its I/O priority was changed
 */
struct qcow_charge {
	bool blkcg;
	struct cgroup_subsys_state *memcg;
	struct mem_cgroup *before;
	bool prio;
};

#ifdef CONFIG_BLK_CGROUP
static inline void qcow_charge_groups(struct qcow_charge *c, struct bio *bio)
{
	struct cgroup_subsys_state *css = bio_blkcg_css(bio);

	if (!css || css == blkcg_root_css)
		return;
	kthread_associate_blkcg(css);
	c->blkcg = true;
#ifdef CONFIG_MEMCG
	c->memcg = cgroup_get_e_css(css->cgroup, &memory_cgrp_subsys);
	if (c->memcg)
		c->before = set_active_memcg(mem_cgroup_from_css(c->memcg));
#endif
}
#else
static inline void qcow_charge_groups(struct qcow_charge *c, struct bio *bio)
{
}
#endif

/**
 * qcow_charge_begin() - have a worker do I/O on the account of a request's submitter
 * @c: the result
 * @bio: of the request, which is not complete yet; NULL: on nobody's account
 *
 * The worker gets the control groups for I/O and memory, and the I/O priority.
 *
 * Context: a worker.
 */
static inline void qcow_charge_begin(struct qcow_charge *c, struct bio *bio)
{
	*c = (struct qcow_charge) { };
	if (!bio)
		return;
	qcow_charge_groups(c, bio);
	if (unlikely(bio->bi_ioprio != get_current_ioprio()))
		c->prio = !set_task_ioprio(current, bio->bi_ioprio);
}

/**
 * qcow_charge_end() - have a worker do I/O on its own account again
 * @c: from qcow_charge_begin(); the request may be complete by now
 */
static inline void qcow_charge_end(struct qcow_charge *c)
{
	if (unlikely(c->prio) && set_task_ioprio(current, IOPRIO_DEFAULT))
		pr_warn_once("qcow: a worker keeps an I/O priority\n");
	if (c->memcg) {
		set_active_memcg(c->before);
		css_put(c->memcg);
	}
	if (c->blkcg)
		kthread_associate_blkcg(NULL);
}

/*
 * Have a worker allocate memory on its own account from now on, as a limit on the
 * submitter's memory must not fail the I/O of a disk. Return: whether it was on another
 * account.
 */
static inline bool qcow_charge_forgo_memory(void)
{
	return set_active_memcg(NULL);
}

/*
 * Claim a block device for @holder, which may do so several times. Return: a claim for
 * qcow_compat_unclaim(), or an ERR_PTR: -EBUSY: another holder has it. May sleep.
 *
 * Since 6.9 an opened block device is a file.
 */
#ifdef QCOW_HAVE_BDEV_FILE
static inline void *qcow_compat_claim(dev_t dev, void *holder)
{
	return bdev_file_open_by_dev(dev, BLK_OPEN_READ, holder, NULL);
}

static inline void qcow_compat_unclaim(void *claim, void *holder)
{
	if (current->flags & PF_KTHREAD)
		__fput_sync(claim);
	else
		fput(claim);
}
#else
static inline void *qcow_compat_claim(dev_t dev, void *holder)
{
	return blkdev_get_by_dev(dev, FMODE_READ | FMODE_EXCL, holder);
}

static inline void qcow_compat_unclaim(void *claim, void *holder)
{
	blkdev_put(claim, FMODE_READ | FMODE_EXCL);
}
#endif

/*
 * Drop a file's clean pages from the page cache. The first pages were read a moment ago and
 * are in a CPU's list yet, where invalidate_mapping_pages() leaves them. Only their dirty
 * neighbours begin to be written. May sleep.
 */
static inline void qcow_compat_drop_pages(struct file *file)
{
#ifdef CONFIG_ADVISE_SYSCALLS
	vfs_fadvise(file, 0, SZ_2M, POSIX_FADV_DONTNEED);
#endif
	invalidate_mapping_pages(file->f_mapping, 0, -1);
}

#ifndef ITER_DEST
#define ITER_DEST	READ
#define ITER_SOURCE	WRITE
#endif

/* Since 6.8 list_lru_add() takes node and memcg. */
#ifndef QCOW_HAVE_LIST_LRU_ADD_OBJ
#define list_lru_add_obj(lru, item)	list_lru_add(lru, item)
#define list_lru_del_obj(lru, item)	list_lru_del(lru, item)
#endif

/* Since 6.13 the walk's callback does not get the list's lock. */
#ifdef QCOW_HAVE_LIST_LRU_WALK_LOCK
#define qcow_compat_lru_isolate(name, item, lru, arg)			\
	name(struct list_head *item, struct list_lru_one *lru,		\
	     spinlock_t *lock, void *arg)
#else
#define qcow_compat_lru_isolate(name, item, lru, arg)			\
	name(struct list_head *item, struct list_lru_one *lru, void *arg)
#endif

/*
 * Make a shrinker, and start it, for shrinker_free(). Since 6.7 shrinkers are allocated.
 * Starting can fail before; then the memory stays until its own limit frees it. May
 * sleep. Return: it, or NULL without memory.
 */
#ifdef QCOW_HAVE_SHRINKER_ALLOC
#define qcow_compat_shrinker_alloc(flags, name)	shrinker_alloc(flags, name)
#define qcow_compat_shrinker_register(s, name)	shrinker_register(s)
#else
static inline struct shrinker *
qcow_compat_shrinker_alloc(unsigned int flags, const char *name)
{
	struct shrinker *s = kzalloc(sizeof(*s), GFP_KERNEL);

	if (s) {
		s->flags = flags;
		s->seeks = DEFAULT_SEEKS;
	}
	return s;
}

static inline void qcow_compat_shrinker_register(struct shrinker *s, const char *name)
{
	if (register_shrinker(s, "%s", name))
		pr_warn("qcow: no memory for a shrinker\n");
}

static inline void shrinker_free(struct shrinker *s)
{
	if (s && (s->flags & SHRINKER_REGISTERED))
		unregister_shrinker(s);
	kfree(s);
}
#endif

static inline struct shrinker *
qcow_compat_shrinker(unsigned int flags, const char *name,
		     unsigned long (*count)(struct shrinker *, struct shrink_control *),
		     unsigned long (*scan)(struct shrinker *, struct shrink_control *))
{
	struct shrinker *s = qcow_compat_shrinker_alloc(flags, name);

	if (!s)
		return NULL;
	s->count_objects = count;
	s->scan_objects = scan;
	qcow_compat_shrinker_register(s, name);
	return s;
}

/*
 * Copy the payload of a logon key out of the caller's keyrings. Return: its length;
 * -EMSGSIZE: it is longer than @size; -EOPNOTSUPP: there are no keyrings; or an error
 * of the look-up. May sleep.
 */
#ifdef CONFIG_KEYS
static inline int qcow_compat_logon_key(const char *description, u8 *buf,
					size_t size)
{
	const struct user_key_payload *payload;
	int len = -EKEYREVOKED;
	struct key *key;

	key = request_key(&key_type_logon, description, NULL);
	if (IS_ERR(key))
		return PTR_ERR(key);
	down_read(&key->sem);
	payload = user_key_payload_locked(key);
	if (payload)
		len = payload->datalen > size ? -EMSGSIZE : payload->datalen;
	if (len > 0)
		memcpy(buf, payload->data, len);
	up_read(&key->sem);
	key_put(key);
	return len;
}
#else
static inline int qcow_compat_logon_key(const char *description, u8 *buf,
					size_t size)
{
	return -EOPNOTSUPP;
}
#endif

#endif /* _QCOW_COMPAT_H */
