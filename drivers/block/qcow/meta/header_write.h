/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_HEADER_WRITE_H
#define _QCOW_HEADER_WRITE_H

#include "meta/state.h"

/**
 * enum qcow_feature_field - the fields of feature bits in a header of version 3
 * @QCOW_FEATURES_INCOMPATIBLE: QCOW_DISK_INCOMPAT_*
 * @QCOW_FEATURES_COMPATIBLE: QCOW_DISK_COMPAT_*
 * @QCOW_FEATURES_AUTOCLEAR: QCOW_DISK_AUTOCLEAR_*
 */
enum qcow_feature_field {
	QCOW_FEATURES_INCOMPATIBLE,
	QCOW_FEATURES_COMPATIBLE,
	QCOW_FEATURES_AUTOCLEAR,
};

int __must_check __qcow_header_set_l1(struct qcow_alloc *a, u32 entries,
				      u64 host_offset, u64 disk_size);
int __must_check __qcow_header_set_refcount_table(struct qcow_alloc *a,
						  u64 host_offset, u32 clusters);
int __must_check qcow_header_set_size(struct qcow_alloc *a, u64 disk_size);
int __must_check qcow_header_set_snapshots(struct qcow_alloc *a, u32 nr,
					   u64 host_offset);
int __must_check qcow_header_drop_backing(struct qcow_alloc *a);

int __must_check __qcow_header_set_features(struct qcow_alloc *a,
					    enum qcow_feature_field field,
					    u64 set, u64 clear);
int __must_check qcow_header_set_features(struct qcow_alloc *a,
					  enum qcow_feature_field field,
					  u64 set, u64 clear);
int __must_check __qcow_header_put_extension(struct qcow_alloc *a, u32 type,
					     const void *data, u32 len,
					     u32 *host_offset);
int __must_check __qcow_header_drop_extension(struct qcow_alloc *a, u32 len,
					      u32 *host_offset);

/**
 * qcow_header_torn() - tell whether a power cut can tear the data of an extension
 * @host_offset: of the data, bytes into the file
 * @len: bytes of it
 *
 * Return: whether the data lies in two sectors.
 */
static inline bool qcow_header_torn(u32 host_offset, u32 len)
{
	return host_offset % SECTOR_SIZE + len > SECTOR_SIZE;
}

#endif /* _QCOW_HEADER_WRITE_H */
