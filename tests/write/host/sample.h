/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SAMPLE_H
#define SAMPLE_H

#include "cut.h"

/*
 * What QEMU's tools say of the image, which is saved as @name in @dir. If it is
 * sound, they have to read in it what @q has found.
 *
 * Return: whether it is sound; otherwise q->why says more.
 */
bool sample(struct qcow2 *q, const char *dir, const char *name);

/*
 * What COMMAND, which may be NULL, says of the content that sample() left, given
 * its name and the number of the last mark.
 */
bool sample_content(struct qcow2 *q, const char *dir, const char *name,
		    const char *command, uint32_t mark);

/* Whether QEMU reads in every snapshot what was in the disk when it was made */
bool sample_snapshots(struct qcow2 *q, const struct oracle *o, const char *dir,
		      const char *name);

#endif /* SAMPLE_H */
