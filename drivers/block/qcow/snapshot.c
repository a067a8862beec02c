// SPDX-License-Identifier: GPL-2.0
/*
 * Internal snapshots of an image that is written: where their tables lie.
 *
 * Section "Snapshots" of the specification.
 */
#include <linux/sched.h>
#include <linux/sched/signal.h>

#include "snapshot.h"

/*
 * Bytes of L1 tables that all snapshots may have together: 16 bytes a GiB of
 * disk for each with 64 KiB clusters.
 */
#define SNAPSHOT_MAX_L1_BYTES	BIT_ULL(30)

static int snapshot_read(struct qcow_alloc *a, u64 offset,
			 struct qcow_snapshot *s)
{
	struct qcow_disk_snapshot disk;
	int err;

	err = qcow_file_pread(&a->img->file, offset, &disk, sizeof(disk));
	if (err)
		return err;
	return qcow_entry_snapshot(&a->img->layout, &disk, s);
}

/**
 * qcow_snapshot_add_meta() - note where the snapshots' tables lie
 * @a: of the image
 * @h: its header
 *
 * May sleep. Return: 0; -EUCLEAN: a table is damaged or overlaps; -EINTR: the
 * task is to be killed; or another error.
 */
int qcow_snapshot_add_meta(struct qcow_alloc *a, const struct qcow_header *h)
{
	u64 offset = h->snapshots_offset, l1_bytes = 0;
	struct qcow_snapshot s;
	u32 i;
	int err;

	for (i = 0; i < h->nr_snapshots; i++) {
		err = snapshot_read(a, offset, &s);
		if (err)
			return err;
		offset += s.entry_bytes;
		l1_bytes += s.l1_size * sizeof(u64);
		if (l1_bytes > SNAPSHOT_MAX_L1_BYTES ||
		    offset - h->snapshots_offset > QCOW_DISK_MAX_SNAPSHOT_TABLE)
			return -EUCLEAN;
		err = qcow_alloc_claim_meta(a, QCOW_META_INACTIVE_L1,
					    s.l1_offset,
					    s.l1_size * sizeof(u64));
		if (err)
			return err;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return qcow_alloc_claim_meta(a, QCOW_META_SNAPSHOTS,
				     h->snapshots_offset,
				     offset - h->snapshots_offset);
}
