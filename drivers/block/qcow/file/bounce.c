// SPDX-License-Identifier: GPL-2.0
/*
 * Bounce buffers that are kept for when there is no memory for one. file.c has one for each
 * file with direct I/O, or one for several files of an image.
 */
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "file/bounce.h"

/**
 * qcow_bounce_create() - make a bounce buffer
 * @bytes: bytes of it, a power of two of pages
 *
 * Context: may sleep.
 *
 * Return: a buffer with one reference, or NULL without memory.
 */
struct qcow_bounce *qcow_bounce_create(size_t bytes)
{
	struct qcow_bounce *bounce = kzalloc(sizeof(*bounce), GFP_KERNEL);

	if (!bounce)
		return NULL;
	refcount_set(&bounce->ref, 1);
	mutex_init(&bounce->lock);
	bounce->bytes = bytes;
	bounce->mem = (void *)__get_free_pages(GFP_KERNEL, get_order(bytes));
	if (bounce->mem)
		return bounce;
	kfree(bounce);
	return NULL;
}

/**
 * qcow_bounce_put() - drop a reference
 * @bounce: the buffer, or NULL
 *
 * Context: may sleep.
 */
void qcow_bounce_put(struct qcow_bounce *bounce)
{
	if (!bounce || !refcount_dec_and_test(&bounce->ref))
		return;
	free_pages((unsigned long)bounce->mem, get_order(bounce->bytes));
	kfree(bounce);
}

/**
 * qcow_bounce_share() - let files of an image use one bounce buffer
 * @bounce: the buffer of a file that was just opened, or NULL. The result: @largest, if
 *	that is as large
 * @largest: the largest buffer of the files before, which stay open; or NULL. The result:
 *	the largest one now
 *
 * Transfers of these files wait for each other then, when there is no memory for a buffer.
 *
 * Context: may sleep.
 */
void qcow_bounce_share(struct qcow_bounce **bounce, struct qcow_bounce **largest)
{
	if (!*bounce)
		return;
	if (!*largest || (*largest)->bytes < (*bounce)->bytes) {
		*largest = *bounce;
		return;
	}
	qcow_bounce_put(*bounce);
	refcount_inc(&(*largest)->ref);
	*bounce = *largest;
}
