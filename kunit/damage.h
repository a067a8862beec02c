/* SPDX-License-Identifier: GPL-2.0 */
/* Random damage of a built image, at places that matter, and its undoing. */
#ifndef _QCOW_DAMAGE_H
#define _QCOW_DAMAGE_H

#include <linux/prandom.h>

#include "builder.h"

/**
 * struct damage - the damage of an image
 * @host_start: first byte changed
 * @host_end: byte behind the last one
 * @nr: of them
 * @size: bytes that the file has now
 */
struct damage {
	u64 host_start[4];
	u64 host_end[4];
	u32 nr;
	u64 size;
};

void damage_image(struct builder_image *b, struct damage *d,
		  struct rnd_state *rnd);
void damage_undo(struct builder_image *b, const struct damage *d, const u8 *whole);

#endif /* _QCOW_DAMAGE_H */
