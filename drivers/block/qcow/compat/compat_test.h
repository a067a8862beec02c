/* SPDX-License-Identifier: GPL-2.0 */
/* compat.h for the KUnit tests: interfaces that the driver does not use. */
#ifndef _QCOW_COMPAT_TEST_H
#define _QCOW_COMPAT_TEST_H

#include <linux/fs.h>

/* Since 6.12 the header of get_unaligned_be64() and the like is in linux/. */
#ifdef QCOW_HAVE_UNALIGNED
#include <linux/unaligned.h>
#else
#include <asm/unaligned.h>
#endif

/* Until 6.3 the operations of inodes took a user namespace. */
#ifdef QCOW_HAVE_FILLATTR_IDMAP
#define qcow_compat_idmap	mnt_idmap
#else
#define qcow_compat_idmap	user_namespace
#endif

/* Since 6.6 it takes the mask. */
static inline void qcow_compat_fillattr(struct qcow_compat_idmap *idmap, u32 mask,
					struct inode *inode, struct kstat *stat)
{
#ifdef QCOW_HAVE_FILLATTR_MASK
	generic_fillattr(idmap, mask, inode, stat);
#else
	generic_fillattr(idmap, inode, stat);
#endif
}

#endif /* _QCOW_COMPAT_TEST_H */
