// SPDX-License-Identifier: GPL-2.0
/*
 * Keys to encrypted images, out of the keyrings of the task that attaches them. ctl.c
 * calls it during an attach.
 *
 * Only the kernel can read a key of type "logon". Its bytes are in no ioctl structure,
 * and the copy made here is wiped when the attach ends; after that only the crypto API
 * has the key.
 */
#include <linux/err.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <uapi/linux/qcow.h>

#include "compat/compat.h"
#include "dev/key.h"

/*
 * Copy a string from user space, which has no NUL there, neither inside nor at its end.
 */
static int key_copy_string(char *to, u32 len, u64 address)
{
	if (copy_from_user(to, u64_to_user_ptr(address), len))
		return -EFAULT;
	to[len] = 0;
	return strlen(to) == len ? 0 : -EINVAL;
}

static int key_find(struct qcow_crypt_key *key, const char *description,
		    struct qcow_msg *msg)
{
	int len = qcow_compat_logon_key(description, key->bytes,
					sizeof(key->bytes));

	if (len == -EOPNOTSUPP)
		return qcow_fail(msg, len, "the kernel has no keyrings (CONFIG_KEYS)");
	if (len == -EMSGSIZE)
		return qcow_fail(msg, -EINVAL, "was given a key of more than %u bytes",
				 QCOW_CRYPT_KEY_MAX);
	if (len < 0)
		return qcow_fail(msg, -ENOKEY, "the key that was given for it is not in the keyrings (error %d)",
				 -len);
	key->len = len;
	return 0;
}

/**
 * qcow_key_get() - get the key of an image, if it has one
 * @image: from user space; only its key and cipher matter
 * @msg: says why it failed
 *
 * Context: may sleep.
 *
 * Return: a key for qcow_key_put(); NULL: there is none; or an ERR_PTR.
 */
struct qcow_crypt_key *qcow_key_get(const struct qcow_ioc_image *image,
				    struct qcow_msg *msg)
{
	char description[QCOW_KEY_NAME_MAX + 1];
	struct qcow_crypt_key *key;
	int err;

	if (!image->key && !image->key_len && !image->cipher &&
	    !image->cipher_len)
		return NULL;
	if (!image->key_len || image->key_len > QCOW_KEY_NAME_MAX ||
	    !image->cipher_len || image->cipher_len > QCOW_CRYPT_CIPHER_MAX)
		return ERR_PTR(-EINVAL);
	key = kzalloc(sizeof(*key), GFP_KERNEL);
	if (!key)
		return ERR_PTR(-ENOMEM);
	err = key_copy_string(key->cipher, image->cipher_len, image->cipher);
	if (!err)
		err = key_copy_string(description, image->key_len, image->key);
	if (!err)
		err = key_find(key, description, msg);
	if (!err)
		return key;
	qcow_key_put(key);
	return ERR_PTR(err);
}

/**
 * qcow_key_put() - wipe a key
 * @key: from qcow_key_get(), or NULL
 */
void qcow_key_put(const struct qcow_crypt_key *key)
{
	kfree_sensitive(key);
}
