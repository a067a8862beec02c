// SPDX-License-Identifier: GPL-2.0
/* Copying structures and messages of the ioctls from and to user space, for ctl*.c. */
#include <linux/minmax.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "dev/ctl_copy.h"

/**
 * qcow_ctl_copy_in() - read the structure of an ioctl
 * @to: the result
 * @size: bytes of the structure in this version
 * @least: bytes of its first version
 * @from: the user's structure; it begins with its size, and may be shorter or longer
 *	than @size
 *
 * Context: may sleep.
 *
 * Return: 0; -EFAULT; -EINVAL: its size is invalid; or -E2BIG: it is longer, and its
 * end is not all zeros.
 */
int qcow_ctl_copy_in(void *to, size_t size, size_t least,
		     const void __user *from)
{
	u32 user_size;

	if (get_user(user_size, (const u32 __user *)from))
		return -EFAULT;
	if (user_size < least || user_size > PAGE_SIZE)
		return -EINVAL;
	return copy_struct_from_user(to, size, from, user_size);
}

/**
 * qcow_ctl_tell() - write a message to user space, and behind its text its code
 * @to_address: address of the user's buffer; 0: there is none
 * @size: bytes of the buffer: the text is cut off, and the code left out, if they do
 *	not fit
 * @msg: the message
 *
 * Context: may sleep.
 */
void qcow_ctl_tell(u64 to_address, u32 size, const struct qcow_msg *msg)
{
	char __user *to = u64_to_user_ptr(to_address);
	size_t len = min_t(size_t, strlen(msg->text) + 1, size);

	if (!to || !len || copy_to_user(to, msg->text, len) ||
	    put_user(0, to + len - 1))
		return;
	if (len < size)
		put_user(msg->code, (u8 __user *)to + len);
}
