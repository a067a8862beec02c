// SPDX-License-Identifier: GPL-2.0
/*
 * From a passphrase to the key to an image's data.
 *
 * libcryptsetup reads LUKS headers at the start of a file or device only, so it
 * is given a copy of the header, in a file that is in memory.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "image/cryptsetup.h"
#include "image/unlock.h"
#include "lib/report.h"
#include "lib/text.h"

#define AES_KEY_BYTES	16

/* The fields of a LUKS header, version 1, that unlock_describe() looks at. */
#define LUKS_MAGIC		"LUKS\xba\xbe\0\1"
#define LUKS_MAGIC_BYTES	8
#define LUKS_NAME_BYTES		32

struct luks_start {
	char magic[LUKS_MAGIC_BYTES];
	char cipher[LUKS_NAME_BYTES];
	char mode[LUKS_NAME_BYTES];
	char hash[LUKS_NAME_BYTES];
	__be32 payload;
	__be32 key_bytes;
};

/**
 * unlock_needed() - whether an image needs a passphrase
 * @img: a loaded image
 *
 * Return: whether it is encrypted, with a key that a passphrase gives.
 */
bool unlock_needed(const struct image *img)
{
	return img->format != QCOW_FORMAT_RAW && img->header.crypt_method && !img->random_key;
}

/**
 * unlock_can_tell() - whether unlocking fails for a wrong passphrase
 * @img: an encrypted image
 *
 * Return: whether it does; else the disk is garbage.
 */
bool unlock_can_tell(const struct image *img)
{
	return img->header.crypt_method == QCOW_DISK_CRYPT_LUKS;
}

/* --- AES --- */

/* As in QEMU, the passphrase itself is the key. */
static enum unlock_result unlock_aes(const struct secret *s,
				     struct unlock_key *key)
{
	snprintf(key->cipher, sizeof(key->cipher), "aes-cbc-plain64");
	memset(key->bytes, 0, AES_KEY_BYTES);
	memcpy(key->bytes, s->bytes, min(s->len, (size_t)AES_KEY_BYTES));
	key->len = AES_KEY_BYTES;
	return UNLOCK_DONE;
}

/* --- LUKS --- */

static void be_silent(int level, const char *msg, void *data)
{
	(void)level;
	(void)msg;
	(void)data;
}

/*
 * QEMU names a vector for the mode ecb, which has none, and libcryptsetup takes
 * offence.
 */
static void luks_mend(char *buf, size_t len)
{
	struct luks_start *start = (struct luks_start *)buf;

	if (len >= sizeof(*start) && !strncmp(start->mode, "ecb-", 4))
		start->mode[3] = 0;
}

/* Write the driver's name of the cipher. Return: its length. */
static int luks_cipher(const struct cryptsetup *c, struct crypt_device *cd,
		       char *name, size_t size)
{
	const char *mode = c->get_cipher_mode(cd);

	return snprintf(name, size, "%s-%s%s", c->get_cipher(cd), mode,
			strcmp(mode, "ecb") ? "" : "-plain64");
}

/* Return: a file in memory that is a copy of the header, or -1. */
static int luks_copy(const struct image *img)
{
	const struct qcow_header *h = &img->header;
	char *buf;
	int fd = -1;

	if (h->crypto_host_offset + h->crypto_length > img->file.size) {
		report(img->file.name, "file is truncated: its LUKS header at %#llx lies past its end; restore it from a copy",
		       (unsigned long long)h->crypto_host_offset);
		return -1;
	}
	buf = xcalloc(1, h->crypto_length);
	if (!file_read(&img->file, buf, h->crypto_length, h->crypto_host_offset,
		       NULL)) {
		luks_mend(buf, h->crypto_length);
		fd = memfd_create("luks", MFD_CLOEXEC);
		if (fd < 0 || pwrite(fd, buf, h->crypto_length, 0) !=
			      (ssize_t)h->crypto_length) {
			report(img->file.name, "cannot copy its LUKS header: %s",
			       strerror(errno));
			if (fd >= 0)
				close(fd);
			fd = -1;
		}
	}
	free(buf);
	return fd;
}

static enum unlock_result luks_refuse(const struct image *img, int err)
{
	switch (err) {
	case -EPERM:
		return UNLOCK_WRONG;
	case -ENOENT:
		report(img->file.name, "none of the key slots of its LUKS header is in use; restore it from a copy");
		break;
	case -ENOTSUP:
		report(img->file.name, "its LUKS header needs a cipher or hash that libcryptsetup does not offer here");
		break;
	default:
		report(img->file.name, "its LUKS header cannot be unlocked: %s; its cipher may be missing, or the modules loop and dm-crypt, which libcryptsetup uses for some: modprobe -a loop dm-crypt",
		       strerror(-err));
	}
	return UNLOCK_FAILED;
}

static enum unlock_result luks_open(const struct image *img,
				    const struct cryptsetup *c,
				    struct crypt_device *cd,
				    const struct secret *s,
				    struct unlock_key *key)
{
	int err = c->load(cd, CRYPT_LUKS1, NULL), len;

	if (err) {
		report(img->file.name, "its LUKS header is damaged; restore it from a copy");
		return UNLOCK_FAILED;
	}
	len = luks_cipher(c, cd, key->cipher, sizeof(key->cipher));
	key->len = c->get_volume_key_size(cd);
	if (len >= (int)sizeof(key->cipher) || key->len > sizeof(key->bytes)) {
		report(img->file.name, "its LUKS header names a cipher that is not supported; convert it with qemu-img convert -O qcow2");
		return UNLOCK_FAILED;
	}
	err = c->volume_key_get(cd, CRYPT_ANY_SLOT, key->bytes, &key->len,
				s->bytes, s->len);
	return err < 0 ? luks_refuse(img, err) : UNLOCK_DONE;
}

static enum unlock_result unlock_luks(const struct image *img,
				      const struct secret *s,
				      struct unlock_key *key)
{
	const struct cryptsetup *c = cryptsetup_load();
	enum unlock_result result = UNLOCK_FAILED;
	struct crypt_device *cd = NULL;
	int fd = c ? luks_copy(img) : -1;
	char *path;
	int err;

	if (fd < 0)
		return result;
	c->set_log_callback(NULL, be_silent, NULL);
	path = xasprintf("/proc/self/fd/%d", fd);
	err = c->init(&cd, path);
	if (err) {
		report(img->file.name, "libcryptsetup does not start: %s",
		       strerror(-err));
	} else {
		c->set_log_callback(cd, be_silent, NULL);
		result = luks_open(img, c, cd, s, key);
	}
	c->free(cd);
	free(path);
	close(fd);
	return result;
}

/**
 * unlock_image() - find the key to an image's data
 * @img: an encrypted image that chain_check() found to be supported
 * @s: its passphrase
 * @key: the result; to be wiped in any case
 *
 * Return: &enum unlock_result.
 */
enum unlock_result unlock_image(const struct image *img,
				const struct secret *s, struct unlock_key *key)
{
	return unlock_can_tell(img) ? unlock_luks(img, s, key) :
				      unlock_aes(s, key);
}

/* --- Description --- */

/* A name in a LUKS header: up to the first NUL, if there is one. */
static char *luks_name(const char *field)
{
	char *name = xstrndup(field, LUKS_NAME_BYTES);
	char *shown = text_escape(name);

	free(name);
	return shown;
}

/**
 * unlock_describe() - say how an image is encrypted
 * @img: an encrypted image
 *
 * Return: a cipher such as aes-xts-plain64, to free; NULL if its LUKS header
 * cannot be read.
 */
char *unlock_describe(const struct image *img)
{
	const struct qcow_header *h = &img->header;
	char *cipher, *mode, *text;
	struct luks_start start;
	struct qcow_msg msg = { };

	if (!unlock_can_tell(img))
		return xstrdup("aes-cbc-plain64");
	if (qcow_header_supported(h, &msg) ||
	    h->crypto_host_offset + sizeof(start) > img->file.size ||
	    file_read(&img->file, &start, sizeof(start), h->crypto_host_offset, NULL) ||
	    memcmp(start.magic, LUKS_MAGIC, LUKS_MAGIC_BYTES))
		return NULL;
	cipher = luks_name(start.cipher);
	mode = luks_name(start.mode);
	text = xasprintf("%s-%s", cipher, mode);
	free(cipher);
	free(mode);
	return text;
}
