// SPDX-License-Identifier: GPL-2.0
/*
 * The LUKS header of a new image: libcryptsetup makes it in a file that is in memory, with
 * a random key for the data.
 *
 * As in QEMU, the header is followed by all eight areas for key slots, of which the first
 * is in use, and the data would begin behind them if it were not in the image's clusters.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "create/new_luks.h"
#include "image/cryptsetup.h"
#include "lib/report.h"

/* Fields of the header that are changed once libcryptsetup has written it. */
#define MODE_OFFSET	40
#define MODE_BYTES	32
#define PAYLOAD_OFFSET	104

#define KEY_SLOTS	8
#define STRIPES		4000U
/* libcryptsetup wants some room for data. */
#define SPARE_BYTES	SZ_1M

/* The ciphers that QEMU knows in LUKS, as both name them, and the bytes of their keys. */
static const struct {
	const char *qemu;
	const char *name;
	u32 key_bytes;
} ciphers[] = {
	{ "aes-128", "aes", 16 },
	{ "aes-192", "aes", 24 },
	{ "aes-256", "aes", 32 },
	{ "cast5-128", "cast5", 16 },
	{ "serpent-128", "serpent", 16 },
	{ "serpent-192", "serpent", 24 },
	{ "serpent-256", "serpent", 32 },
	{ "twofish-128", "twofish", 16 },
	{ "twofish-192", "twofish", 24 },
	{ "twofish-256", "twofish", 32 },
};

/**
 * struct format - a LUKS header that is being made
 * @name: the image, for messages
 * @c: libcryptsetup
 * @cd: its handle
 * @how: the properties of the header that were chosen
 * @cipher: the cipher, as libcryptsetup names it
 * @mode: the mode with its initialisation vectors, as it goes into the header
 * @key_bytes: bytes of the key for the data
 */
struct format {
	const char *name;
	const struct cryptsetup *c;
	struct crypt_device *cd;
	const struct create_luks *how;
	const char *cipher;
	char *mode;
	u32 key_bytes;
};

/* Bytes of the part of a key slot's area that is used. */
static u64 material_bytes(const struct format *f)
{
	return (u64)f->key_bytes * STRIPES;
}

static int choose_cipher(struct format *f)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ciphers); i++)
		if (!strcmp(ciphers[i].qemu, f->how->cipher))
			break;
	if (i == ARRAY_SIZE(ciphers)) {
		report(f->name, "LUKS does not know that encrypt.cipher-alg; use aes-256");
		return -1;
	}
	f->cipher = ciphers[i].name;
	/* In XTS there are two keys. */
	f->key_bytes = ciphers[i].key_bytes << !strcmp(f->how->mode, "xts");
	/* QEMU stops at such a header. */
	if (material_bytes(f) % SZ_512) {
		report(f->name, "such a key does not fill whole sectors of a LUKS header; use encrypt.cipher-alg=aes-256");
		return -1;
	}
	return 0;
}

static void choose_mode(struct format *f)
{
	const char *hash = f->how->ivgen_hash;

	if (!hash && !strcmp(f->how->ivgen, "essiv"))
		hash = "sha256";
	f->mode = xasprintf("%s-%s%s%s", f->how->mode, f->how->ivgen, hash ? ":" : "",
			    hash ? hash : "");
}

/* Bytes up to the end of the last key slot's area. */
static u64 header_bytes(const struct format *f)
{
	return SZ_4K + KEY_SLOTS * ROUND_UP(material_bytes(f), (u64)SZ_4K);
}

/* The mode for libcryptsetup, which does not know vectors for ecb, or a hash for plain ones. */
static char *plain_mode(const struct format *f)
{
	if (!strcmp(f->how->mode, "ecb"))
		return xstrdup("ecb");
	if (strcmp(f->how->ivgen, "essiv"))
		return xasprintf("%s-%s", f->how->mode, f->how->ivgen);
	return xstrdup(f->mode);
}

static int refuse(const struct format *f, int err)
{
	report(f->name, "its LUKS header cannot be made: %s; its cipher or hash may be missing here, or the modules loop and dm-crypt, which libcryptsetup uses for some: modprobe -a loop dm-crypt",
	       strerror(-err));
	return -1;
}

static int format(struct format *f, const struct secret *passphrase)
{
	struct crypt_params_luks1 params = {
		.hash = f->how->hash,
		.data_alignment = SZ_4K / SZ_512,
	};
	char *mode = plain_mode(f);
	int err;

	f->c->set_iteration_time(f->cd, f->how->iter_time ? f->how->iter_time : 1);
	err = f->c->format(f->cd, CRYPT_LUKS1, f->cipher, mode, NULL, NULL, f->key_bytes,
			   &params);
	free(mode);
	if (err < 0)
		return refuse(f, err);
	err = f->c->keyslot_add_by_volume_key(f->cd, 0, NULL, 0, passphrase->bytes,
					      passphrase->len);
	return err < 0 ? refuse(f, err) : 0;
}

/* Take the header out of the file in memory. Areas that are not used hold random bytes there. */
static int take(const struct format *f, struct new_luks *luks, int fd)
{
	const __be32 payload = cpu_to_be32(header_bytes(f) / SZ_512);
	u64 used = SZ_4K + material_bytes(f);

	luks->len = header_bytes(f);
	luks->buf = xcalloc(1, luks->len);
	if (pread(fd, luks->buf, luks->len, 0) != (ssize_t)luks->len) {
		report(f->name, "cannot copy its LUKS header: %s", strerror(errno));
		return -1;
	}
	memset(luks->buf + MODE_OFFSET, 0, MODE_BYTES);
	memcpy(luks->buf + MODE_OFFSET, f->mode, min(strlen(f->mode), (size_t)MODE_BYTES - 1));
	memcpy(luks->buf + PAYLOAD_OFFSET, &payload, sizeof(payload));
	memset(luks->buf + used, 0, luks->len - used);
	return 0;
}

static int make_in(struct format *f, struct new_luks *luks, const struct secret *passphrase,
		   int fd)
{
	char *path = xasprintf("/proc/self/fd/%d", fd);
	int err;

	err = ftruncate(fd, header_bytes(f) + SPARE_BYTES) ? -errno : f->c->init(&f->cd, path);
	free(path);
	if (err)
		return refuse(f, err);
	err = format(f, passphrase);
	return err ? err : take(f, luks, fd);
}

static void be_silent(int level, const char *msg, void *data)
{
	(void)level;
	(void)msg;
	(void)data;
}

/**
 * new_luks_make() - make the LUKS header of a new image
 * @luks: the result; new_luks_free() it, after a failure too
 * @name: the image, for messages
 * @how: the properties of the header that were chosen
 * @passphrase: for its key
 *
 * Return: 0, or -1 after printing the error.
 */
int new_luks_make(struct new_luks *luks, const char *name, const struct create_luks *how,
		  const struct secret *passphrase)
{
	struct format f = { .name = name, .how = how };
	int fd, err;

	if (choose_cipher(&f))
		return -1;
	f.c = cryptsetup_load();
	if (!f.c)
		return -1;
	f.c->set_log_callback(NULL, be_silent, NULL);
	choose_mode(&f);
	fd = memfd_create("luks", MFD_CLOEXEC);
	err = fd < 0 ? refuse(&f, -errno) : make_in(&f, luks, passphrase, fd);
	f.c->free(f.cd);
	free(f.mode);
	if (fd >= 0)
		close(fd);
	return err;
}

/**
 * new_luks_make_empty() - make a LUKS header that leads to no key
 * @luks: the result; new_luks_free() it
 */
void new_luks_make_empty(struct new_luks *luks)
{
	luks->len = SZ_4K;
	luks->buf = xcalloc(1, luks->len);
}

/**
 * new_luks_free() - free the memory of a LUKS header
 * @luks: the header
 */
void new_luks_free(struct new_luks *luks)
{
	free(luks->buf);
}
