// SPDX-License-Identifier: GPL-2.0
/*
 * The keys of a chain's images: unlocked with key files or typed passphrases, and
 * handed to the driver through a keyring that is this process's alone, by names
 * that nobody can guess.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/random.h>
#include <sys/resource.h>

#include "image/keys.h"
#include "lib/report.h"

/* --- Keyring --- */

static int publish(struct key_slot *slot, const struct image *img,
		   const struct unlock_key *key)
{
	u64 name[2];

	if (getrandom(name, sizeof(name), 0) != sizeof(name)) {
		report(img->file.name, "no random numbers for its key's name: %s",
		       strerror(errno));
		return -1;
	}
	snprintf(slot->name, sizeof(slot->name), "qcow:%016llx%016llx",
		 (unsigned long long)name[0], (unsigned long long)name[1]);
	slot->id = add_key("logon", slot->name, key->bytes, key->len,
			   KEY_SPEC_PROCESS_KEYRING);
	if (slot->id < 0) {
		report(img->file.name, "its key cannot be put into a keyring: %s",
		       strerror(errno));
		return -1;
	}
	memcpy(slot->cipher, key->cipher, sizeof(slot->cipher));
	return 0;
}

/**
 * keys_close() - take keys out of the keyring
 * @slots: from keys_open(), or NULL
 * @nr: how many
 */
void keys_close(struct key_slot *slots, u32 nr)
{
	u32 i;

	for (i = 0; slots && i < nr; i++) {
		if (slots[i].id <= 0)
			continue;
		/* At once; the kernel wipes its memory. */
		if (keyctl_invalidate(slots[i].id))
			keyctl_unlink(slots[i].id, KEY_SPEC_PROCESS_KEYRING);
	}
	free(slots);
}

/* --- Passphrases --- */

/* Of AES-256 in XTS, which has two keys. */
#define RANDOM_KEY_BYTES	64

/* How often somebody may type a wrong one, as with cryptsetup. */
#define TYPING_TRIES	3

/**
 * keys_add_file() - note an argument of --key-file
 * @o: where to; its files are to be freed
 * @name: the file; "-": standard input
 *
 * Return: 0, or -1 after printing the error.
 */
int keys_add_file(struct keys_options *o, const char *name)
{
	u32 i;

	for (i = 0; i < o->nr; i++) {
		if (!strcmp(name, "-") && !strcmp(o->files[i], "-")) {
			report("--key-file", "standard input can be read only once");
			return -1;
		}
	}
	o->files = xrealloc(o->files, (o->nr + 1) * sizeof(*o->files));
	o->files[o->nr++] = name;
	return 0;
}

/**
 * struct unlocking - a chain that is being unlocked
 * @o: where passphrases come from
 * @nr: of encrypted images so far
 * @last: the latest passphrase
 */
struct unlocking {
	const struct keys_options *o;
	u32 nr;
	struct secret last;
};

/* The next passphrase: the next file's, or the last file's again. */
static int next_file(struct unlocking *u)
{
	if (u->nr > u->o->nr)
		return 0;
	secret_wipe(&u->last);
	return secret_read_file(&u->last, u->o->files[u->nr - 1]);
}

static void report_wrong(const struct image *img, const struct unlocking *u)
{
	const struct secret *s = &u->last;
	bool newline = s->len && s->bytes[s->len - 1] == '\n';

	report(img->file.name, "wrong passphrase%s", u->o->nr && newline ?
	       "; the key file ends in a newline, which counts" : "");
}

/* Several images often have one passphrase: nobody has to type it again. */
static enum unlock_result try_last(const struct unlocking *u,
				   const struct image *img,
				   struct unlock_key *key)
{
	if (u->o->nr || !u->last.bytes || !unlock_can_tell(img))
		return UNLOCK_WRONG;
	return unlock_image(img, &u->last, key);
}

/* Unlock with the next file, or with a typed passphrase. */
static enum unlock_result try_next(struct unlocking *u, const struct image *img,
				   struct unlock_key *key)
{
	enum unlock_result result;
	int err;

	if (u->o->nr) {
		err = next_file(u);
	} else {
		secret_wipe(&u->last);
		err = u->o->agents ? secret_ask_agents(&u->last, img->file.name) :
				     secret_prompt(&u->last, img->file.name);
	}
	if (err)
		return UNLOCK_FAILED;
	result = unlock_image(img, &u->last, key);
	if (result == UNLOCK_WRONG)
		report_wrong(img, u);
	return result;
}

static int unlock_one(struct unlocking *u, const struct image *img,
		      struct unlock_key *key)
{
	int tries = u->o->nr ? 1 : TYPING_TRIES;
	enum unlock_result result;

	u->nr++;
	result = try_last(u, img, key);
	while (result == UNLOCK_WRONG && tries--)
		result = try_next(u, img, key);
	return result == UNLOCK_DONE ? 0 : -1;
}

/* More key files than encrypted images: one would be taken for another's. */
static int check_count(const struct chain *c, const struct keys_options *o)
{
	u32 encrypted = 0, i;

	for (i = 0; i < c->nr; i++)
		encrypted += unlock_needed(&c->images[i]);
	if (o->nr <= encrypted)
		return 0;
	if (!encrypted)
		report(c->images->file.name, "is not encrypted; leave out --key-file");
	else
		report(c->images->file.name, "%u key files were given, but only %u images of its chain are encrypted",
		       o->nr, encrypted);
	return -1;
}

static int draw_key(const struct image *img, struct unlock_key *key)
{
	snprintf(key->cipher, sizeof(key->cipher), "aes-xts-plain64");
	key->len = RANDOM_KEY_BYTES;
	if (getrandom(key->bytes, key->len, 0) == (ssize_t)key->len)
		return 0;
	report(img->file.name, "no random numbers for its key: %s", strerror(errno));
	return -1;
}

static int open_one(struct unlocking *u, const struct image *img,
		    struct key_slot *slot)
{
	struct unlock_key key = { };
	int err;

	if (!unlock_needed(img) && !img->random_key)
		return 0;
	err = img->random_key ? draw_key(img, &key) : unlock_one(u, img, &key);
	if (!err)
		err = publish(slot, img, &key);
	explicit_bzero(&key, sizeof(key));
	return err;
}

/**
 * keys_open() - unlock all images of a chain
 * @c: open and checked
 * @o: where passphrases come from
 *
 * Return: an entry for each image, for keys_close(); or NULL after printing the
 * error.
 */
struct key_slot *keys_open(const struct chain *c, const struct keys_options *o)
{
	struct key_slot *slots = xcalloc(c->nr, sizeof(*slots));
	const struct rlimit no_core = { };
	struct unlocking u = { .o = o };
	int err = check_count(c, o);
	u32 i;

	/* No core file shall hold a key. */
	setrlimit(RLIMIT_CORE, &no_core);
	for (i = 0; !err && i < c->nr; i++)
		err = open_one(&u, &c->images[i], &slots[i]);
	secret_wipe(&u.last);
	if (!err)
		return slots;
	keys_close(slots, c->nr);
	return NULL;
}
