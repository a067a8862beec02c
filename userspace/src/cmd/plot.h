/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A picture of a disk: a grid of cells, each of as many bytes, whose look tells what is
 * stored there. map.c fills it in, and plot.c draws it on a terminal or as SVG.
 */
#ifndef _QCOWCTL_PLOT_H
#define _QCOWCTL_PLOT_H

#include "qcow/ondisk/pure.h"

/**
 * enum plot_kind - content of a part of a disk
 * @PLOT_DATA: stored in the image
 * @PLOT_COMPRESSED: stored compressed, in the image or a backing file
 * @PLOT_BACKING: stored in a backing file
 * @PLOT_UNWRITTEN: preallocated
 * @PLOT_ZERO: zeros
 * @PLOT_NONE: stored nowhere
 */
enum plot_kind {
	PLOT_DATA,
	PLOT_COMPRESSED,
	PLOT_BACKING,
	PLOT_UNWRITTEN,
	PLOT_ZERO,
	PLOT_NONE,
};

#define PLOT_KINDS (PLOT_NONE + 1)

struct plot;

struct plot *plot_new(const char *name, u64 size, const char *file);
void plot_add(struct plot *p, u64 start, u64 length, enum plot_kind kind);
int plot_draw(const struct plot *p);
void plot_free(struct plot *p);

#endif /* _QCOWCTL_PLOT_H */
