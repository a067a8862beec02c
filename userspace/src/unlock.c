// SPDX-License-Identifier: GPL-2.0
/*
 * Unlocking encrypted images: a passphrase into the key of the guest's data,
 * and that into a keyring where the driver finds it.
 *
 * The key's type, "logon", cannot be read back; its description cannot be
 * guessed, and it is gone as soon as the driver has it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <keyutils.h>
#include <libcryptsetup.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "passphrase.h"
#include "report.h"
#include "unlock.h"

/* Longest key of a cipher in bytes, and that of QEMU's old AES. */
#define KEY_MAX		512
#define KEY_AES		16

/**
 * struct volume_key - key of an image's guest data; to be wiped
 * @bytes: the key
 * @len: bytes of it
 */
struct volume_key {
	char bytes[KEY_MAX];
	size_t len;
};

/* --- LUKS --- */

static void luks_quiet(int level, const char *text, void *data)
{
	(void)level;
	(void)text;
	(void)data;
}

/* The LUKS header as a file of its own; nothing of it is secret. */
static int luks_copy_header(const struct image *img)
{
	u64 len = img->header.luks_bytes, done;
	int fd = memfd_create("qcow-luks", MFD_CLOEXEC);
	char buf[65536];
	size_t n;

	for (done = 0; fd >= 0 && done < len; done += n) {
		n = len - done < sizeof(buf) ? len - done : sizeof(buf);
		if (file_read(&img->file, buf, n,
			      img->header.luks_host + done, NULL))
			goto failed;
		if (write(fd, buf, n) != (ssize_t)n) {
			report(img->file.name, "no memory for its LUKS header: %s",
			       strerror(errno));
			goto failed;
		}
	}
	if (fd < 0)
		report(img->file.name, "no memory for its LUKS header: %s",
		       strerror(errno));
	return fd;
failed:
	close(fd);
	return -1;
}

static int luks_unlock(struct crypt_device *cd, const struct image *img,
		       const struct passphrase *p, struct volume_key *key,
		       struct unlocked *u)
{
	int err;

	err = crypt_load(cd, CRYPT_LUKS1, NULL);
	if (err) {
		report(img->file.name, "its LUKS header is damaged or not supported (%s); restore it from a copy",
		       strerror(-err));
		return -1;
	}
	key->len = sizeof(key->bytes);
	err = crypt_volume_key_get(cd, CRYPT_ANY_SLOT, key->bytes, &key->len,
				   p->bytes, p->len);
	if (err == -EPERM) {
		report(img->file.name, "the passphrase is wrong");
		return -1;
	}
	if (err < 0) {
		report(img->file.name, "cannot be unlocked: %s; the kernel may lack its cipher %s-%s, or CONFIG_CRYPTO_USER_API_SKCIPHER",
		       strerror(-err), crypt_get_cipher(cd),
		       crypt_get_cipher_mode(cd));
		return -1;
	}
	u->cipher = xasprintf("%s-%s", crypt_get_cipher(cd),
			      crypt_get_cipher_mode(cd));
	return 0;
}

static int luks_get_key(const struct image *img, const struct passphrase *p,
			struct volume_key *key, struct unlocked *u)
{
	struct crypt_device *cd = NULL;
	int fd = luks_copy_header(img);
	char *path;
	int err;

	if (fd < 0)
		return -1;
	path = xasprintf("/proc/self/fd/%d", fd);
	crypt_set_log_callback(NULL, luks_quiet, NULL);
	err = crypt_init(&cd, path);
	if (err)
		report(img->file.name, "its LUKS header cannot be read: %s",
		       strerror(-err));
	else
		err = luks_unlock(cd, img, p, key, u);
	crypt_free(cd);
	free(path);
	close(fd);
	return err ? -1 : 0;
}

/* --- Keys --- */

/* QEMU's old AES: the passphrase is the key, cut or filled up with zeros. */
static void aes_get_key(const struct passphrase *p, struct volume_key *key,
			struct unlocked *u)
{
	key->len = KEY_AES;
	memset(key->bytes, 0, KEY_AES);
	memcpy(key->bytes, p->bytes, p->len < KEY_AES ? p->len : KEY_AES);
	u->cipher = xstrdup("aes-cbc-plain64");
}

static int add_to_keyring(const struct image *img, const struct volume_key *key,
			  struct unlocked *u)
{
	u64 random[2];

	if (getrandom(random, sizeof(random), 0) != sizeof(random)) {
		report(img->file.name, "no random number for its key: %s",
		       strerror(errno));
		return -1;
	}
	u->description = xasprintf("qcow:%016llx%016llx",
				   (unsigned long long)random[0],
				   (unsigned long long)random[1]);
	u->key = add_key("logon", u->description, key->bytes, key->len,
			 KEY_SPEC_PROCESS_KEYRING);
	if (u->key >= 0)
		return 0;
	report(img->file.name, "its key cannot be given to the kernel: %s",
	       strerror(errno));
	return -1;
}

static int unlock_image(const struct image *img, const char *file,
			struct unlocked *u)
{
	struct passphrase *p = xcalloc(1, sizeof(*p));
	struct volume_key key = { };
	int err;

	/* Not into a swap file, if that can be helped. */
	mlock(p, sizeof(*p));
	mlock(&key, sizeof(key));
	err = file ? passphrase_read(p, file) : passphrase_ask(p, img->file.name);
	if (!err && img->header.crypt_method == QCOW_DISK_CRYPT_AES)
		aes_get_key(p, &key, u);
	else if (!err)
		err = luks_get_key(img, p, &key, u);
	if (!err)
		err = add_to_keyring(img, &key, u);
	explicit_bzero(&key, sizeof(key));
	explicit_bzero(p, sizeof(*p));
	munlock(&key, sizeof(key));
	munlock(p, sizeof(*p));
	free(p);
	return err;
}

static bool is_encrypted(const struct image *img)
{
	return img->format == QCOW_FORMAT_QCOW2 && img->header.crypt_method;
}

static int check_key_files(const struct chain *c, const struct key_files *files)
{
	u32 i, nr = 0;

	for (i = 0; i < c->nr; i++)
		nr += is_encrypted(&c->images[i]);
	if (!files->nr || files->nr == nr)
		return 0;
	if (!nr)
		report(c->images[0].file.name, "is not encrypted; leave out --key-file");
	else
		report(c->images[0].file.name, "has %u encrypted images in its chain, and %u --key-file were given; give one for each, or none",
		       nr, files->nr);
	return -1;
}

/**
 * unlock_chain() - get the keys of a chain's encrypted images
 * @c: the open chain
 * @files: their passphrases in the order of the chain; none: ask for each
 *
 * Return: an entry for each image, for unlock_forget(); or NULL after saying what
 * is wrong.
 */
struct unlocked *unlock_chain(const struct chain *c,
			      const struct key_files *files)
{
	struct unlocked *u;
	u32 i, next = 0;
	int err = 0;

	if (check_key_files(c, files))
		return NULL;
	u = xcalloc(c->nr, sizeof(*u));
	for (i = 0; !err && i < c->nr; i++)
		if (is_encrypted(&c->images[i]))
			err = unlock_image(&c->images[i], files->nr ?
					   files->names[next++] : NULL, &u[i]);
	if (!err)
		return u;
	unlock_forget(u, c->nr);
	return NULL;
}

/**
 * unlock_forget() - take keys out of the keyring
 * @u: from unlock_chain(), or NULL
 * @nr: images of the chain
 */
void unlock_forget(struct unlocked *u, u32 nr)
{
	u32 i;

	for (i = 0; u && i < nr; i++) {
		if (u[i].description && u[i].key >= 0) {
			/* Gone at once, not when the garbage is collected. */
			keyctl_revoke(u[i].key);
			keyctl_unlink(u[i].key, KEY_SPEC_PROCESS_KEYRING);
		}
		free(u[i].description);
		free(u[i].cipher);
	}
	free(u);
}
