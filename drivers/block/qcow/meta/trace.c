// SPDX-License-Identifier: GPL-2.0
/* The tracepoints of trace.h, which all files from here up may pass. */
#define CREATE_TRACE_POINTS
#include "meta/trace.h"
