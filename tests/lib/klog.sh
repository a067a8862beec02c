# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Reports that no kernel log of a test may contain. Source it.

# Reports begin with one of these; the lines after them are details.
klog_patterns=(
	'WARNING: '
	'BUG: '
	'kernel BUG at'
	'KASAN: '
	'UBSAN: '
	'Oops'
	'general protection fault'
	'Kernel panic'
	'unable to handle'
	'scheduling while atomic'
	'sleeping function called'
	'possible circular locking'
	'possible recursive locking'
	'possible irq lock inversion'
	'inconsistent lock state'
	'bad unlock balance'
	'held lock freed'
	'suspicious RCU usage'
	'Invalid wait context'
	'blocked for more than'
	'hung_task'
	'soft lockup'
	'rcu.*(stall|kthread starved)'
	'workqueue lockup'
	'unreferenced object'
	'refcount_t: '
	'list_(add|del) corruption'
	'ODEBUG: '
	'Workqueue: .* should not be'
	'page allocation failure'
	'Out of memory: '
	'double fault'
	'segfault at'
)

# klog_problems FILE: prints the lines that report a problem; status 0 if any.
klog_problems() {
	local IFS='|'

	tr -d '\r' < "$1" | grep -aE "${klog_patterns[*]}"
}
