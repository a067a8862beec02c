/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_MAP_TABLE_H
#define _QCOW_MAP_TABLE_H

#include "ondisk/pure.h"

#ifdef __KERNEL__
#include <uapi/linux/qcow_map.h>
#else
#include <linux/qcow_map.h>
#endif

int __must_check qcow_map_table_check_header(const struct qcow_map_header *h,
					     struct qcow_msg *msg);
const char *qcow_map_table_fault(const struct qcow_map_header *h,
				 const struct qcow_map_entry *e, u64 guest_end);
const char *qcow_map_table_codec_name(u32 codec);

#endif /* _QCOW_MAP_TABLE_H */
