/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_PAUSE_H
#define _QCOW_PAUSE_H

/**
 * struct qcow_pause - how the I/O of an image is held up, for layers without a queue
 * @stop: returns 0 when none is under way, and none begins; or an error: it goes on
 * @go: undo @stop
 */
struct qcow_pause {
	int (*stop)(struct qcow_pause *p);
	void (*go)(struct qcow_pause *p);
};

#endif /* _QCOW_PAUSE_H */
