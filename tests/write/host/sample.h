/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SAMPLE_H
#define SAMPLE_H

#include "cut.h"

/*
 * Saves the image as @name in @dir, and shows it to QEMU's tools. If it is sound, they
 * have to read the content that @q has found.
 *
 * Return: whether it is sound; otherwise q->why names the fault.
 */
bool sample(struct qcow2 *q, const char *dir, const char *name);

/*
 * Runs @command, which may be NULL, on the content that sample() left; it gets the
 * file's name and the number of the last mark. Return: whether it accepts the content.
 */
bool sample_content(struct qcow2 *q, const char *dir, const char *name,
		    const char *command, uint32_t mark);

/* Whether QEMU reads in every snapshot the disk's content at the time it was made */
bool sample_snapshots(struct qcow2 *q, const struct oracle *o, const char *dir,
		      const char *name);

#endif /* SAMPLE_H */
