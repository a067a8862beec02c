/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The state of the search for free clusters, as alloc.c goes on with it. The lower files
 * release.c and growth.c tell the search by these functions which clusters have become
 * free or were handed out.
 */
#ifndef _QCOW_SEARCH_H
#define _QCOW_SEARCH_H

#include "meta/state.h"

/* Clusters below @end were handed out. Context: under qcow_alloc.lock. */
static inline void __qcow_search_taken(struct qcow_search *s, u64 end)
{
	s->fresh = max(s->fresh, end);
}

/* A cluster has become free. Context: under qcow_alloc.lock. */
static inline void __qcow_search_freed(struct qcow_search *s, u64 cluster)
{
	WRITE_ONCE(s->hint, min(s->hint, cluster));
}

#endif /* _QCOW_SEARCH_H */
