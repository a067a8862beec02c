/* SPDX-License-Identifier: GPL-2.0 */
/* compat_blk.h for the KUnit tests: interfaces that the driver does not use. */
#ifndef _QCOW_COMPAT_BLK_TEST_H
#define _QCOW_COMPAT_BLK_TEST_H

#include "compat/compat_blk.h"

/* Since 6.13 a plug's requests, and its unused ones, are in lists with a tail. */
static inline void qcow_compat_plug_add(struct blk_plug *plug, struct request *rq)
{
#ifdef QCOW_HAVE_PLUG_CACHED_RQ
	rq_list_add(&plug->mq_list, rq);
#else
	rq_list_add_head(&plug->mq_list, rq);
#endif
}

static inline void qcow_compat_plug_cache(struct blk_plug *plug, struct request *rq)
{
#ifdef QCOW_HAVE_PLUG_CACHED_RQ
	rq_list_add(&plug->cached_rq, rq);
#else
	rq_list_add_head(&plug->cached_rqs, rq);
#endif
}

#endif /* _QCOW_COMPAT_BLK_TEST_H */
