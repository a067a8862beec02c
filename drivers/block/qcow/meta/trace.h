/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The tracepoints of the driver, one for each kind of event. Documentation/abi.rst
 * describes them. They take no structures of the driver, so that all files from
 * meta/ up can include this one.
 *
 * A field "image" is the device and the name of the image, as in messages. Offsets and
 * lengths are in bytes.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM qcow

#if !defined(_QCOW_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _QCOW_TRACE_H

#include <linux/tracepoint.h>

#include "compat/compat.h"
#include "file/request.h"
#include "ondisk/entry.h"

TRACE_DEFINE_ENUM(QCOW_OP_READ);
TRACE_DEFINE_ENUM(QCOW_OP_WRITE);
TRACE_DEFINE_ENUM(QCOW_OP_ZERO);
TRACE_DEFINE_ENUM(QCOW_OP_UNMAP);
TRACE_DEFINE_ENUM(QCOW_OP_DISCARD);

TRACE_DEFINE_ENUM(QCOW_EXTENT_HOLE);
TRACE_DEFINE_ENUM(QCOW_EXTENT_ZERO);
TRACE_DEFINE_ENUM(QCOW_EXTENT_DATA);
TRACE_DEFINE_ENUM(QCOW_EXTENT_COMPRESSED);

#define qcow_show_op(op)						\
	__print_symbolic(op,						\
			 { QCOW_OP_READ, "read" },			\
			 { QCOW_OP_WRITE, "write" },			\
			 { QCOW_OP_ZERO, "zero" },			\
			 { QCOW_OP_UNMAP, "unmap" },			\
			 { QCOW_OP_DISCARD, "discard" })

#define qcow_show_extent(type)						\
	__print_symbolic(type,						\
			 { QCOW_EXTENT_HOLE, "hole" },			\
			 { QCOW_EXTENT_ZERO, "zero" },			\
			 { QCOW_EXTENT_DATA, "data" },			\
			 { QCOW_EXTENT_COMPRESSED, "compressed" })

/* A request has ended, but for the flush that FUA asks for. */
TRACE_EVENT(qcow_request,
	    TP_PROTO(const char *disk, u32 op, u64 guest_offset, u32 len, bool slow, int error),
	    TP_ARGS(disk, op, guest_offset, len, slow, error),
	    TP_STRUCT__entry(__string(disk, disk)
			     __field(u32, op)
			     __field(u64, guest_offset)
			     __field(u32, len)
			     __field(bool, slow)
			     __field(int, error)),
	    TP_fast_assign(qcow_compat_assign_str(disk, disk);
			   __entry->op = op;
			   __entry->guest_offset = guest_offset;
			   __entry->len = len;
			   __entry->slow = slow;
			   __entry->error = error;),
	    TP_printk("%s %s guest_offset=%llu len=%u %s error=%d", __get_str(disk),
		      qcow_show_op(__entry->op), __entry->guest_offset, __entry->len,
		      __entry->slow ? "slow" : "fast", __entry->error));

/* A part of an image's disk was mapped. */
TRACE_EVENT(qcow_map,
	    TP_PROTO(const char *image, u64 guest_offset, u64 len, u32 type, u64 host_offset),
	    TP_ARGS(image, guest_offset, len, type, host_offset),
	    TP_STRUCT__entry(__string(image, image)
			     __field(u64, guest_offset)
			     __field(u64, len)
			     __field(u32, type)
			     __field(u64, host_offset)),
	    TP_fast_assign(qcow_compat_assign_str(image, image);
			   __entry->guest_offset = guest_offset;
			   __entry->len = len;
			   __entry->type = type;
			   __entry->host_offset = host_offset;),
	    TP_printk("%s guest_offset=%llu len=%llu %s host_offset=%llu", __get_str(image),
		      __entry->guest_offset, __entry->len, qcow_show_extent(__entry->type),
		      __entry->host_offset));

DECLARE_EVENT_CLASS(qcow_clusters,
		    TP_PROTO(const char *image, u64 host_offset, u64 len),
		    TP_ARGS(image, host_offset, len),
		    TP_STRUCT__entry(__string(image, image)
				     __field(u64, host_offset)
				     __field(u64, len)),
		    TP_fast_assign(qcow_compat_assign_str(image, image);
				   __entry->host_offset = host_offset;
				   __entry->len = len;),
		    TP_printk("%s host_offset=%llu len=%llu", __get_str(image),
			      __entry->host_offset, __entry->len));

/* Clusters were allocated. */
DEFINE_EVENT(qcow_clusters, qcow_allocate,
	     TP_PROTO(const char *image, u64 host_offset, u64 len),
	     TP_ARGS(image, host_offset, len));

/* Clusters lost a reference. */
DEFINE_EVENT(qcow_clusters, qcow_release,
	     TP_PROTO(const char *image, u64 host_offset, u64 len),
	     TP_ARGS(image, host_offset, len));

/* A write copied old data of its clusters: so many bytes before and behind its own. */
TRACE_EVENT(qcow_cow,
	    TP_PROTO(const char *image, u64 guest_offset, u32 len, u32 before, u32 behind),
	    TP_ARGS(image, guest_offset, len, before, behind),
	    TP_STRUCT__entry(__string(image, image)
			     __field(u64, guest_offset)
			     __field(u32, len)
			     __field(u32, before)
			     __field(u32, behind)),
	    TP_fast_assign(qcow_compat_assign_str(image, image);
			   __entry->guest_offset = guest_offset;
			   __entry->len = len;
			   __entry->before = before;
			   __entry->behind = behind;),
	    TP_printk("%s guest_offset=%llu len=%u before=%u behind=%u", __get_str(image),
		      __entry->guest_offset, __entry->len, __entry->before, __entry->behind));

/* A flush of data and metadata has ended, and took so long. */
TRACE_EVENT(qcow_flush,
	    TP_PROTO(const char *image, u64 ns, int error),
	    TP_ARGS(image, ns, error),
	    TP_STRUCT__entry(__string(image, image)
			     __field(u64, ns)
			     __field(int, error)),
	    TP_fast_assign(qcow_compat_assign_str(image, image);
			   __entry->ns = ns;
			   __entry->error = error;),
	    TP_printk("%s ns=%llu error=%d", __get_str(image), __entry->ns, __entry->error));

/* Damage was met, each time that it is met. */
TRACE_EVENT(qcow_corrupt,
	    TP_PROTO(const char *image, u64 guest_offset, const char *fault),
	    TP_ARGS(image, guest_offset, fault),
	    TP_STRUCT__entry(__string(image, image)
			     __field(u64, guest_offset)
			     __string(fault, fault)),
	    TP_fast_assign(qcow_compat_assign_str(image, image);
			   __entry->guest_offset = guest_offset;
			   qcow_compat_assign_str(fault, fault);),
	    TP_printk("%s guest_offset=%llu %s", __get_str(image), __entry->guest_offset,
		      __get_str(fault)));

#endif /* _QCOW_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH meta
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
