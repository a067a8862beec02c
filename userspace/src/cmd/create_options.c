// SPDX-License-Identifier: GPL-2.0
/*
 * The properties of a new image, as -o of qcowctl create and of qemu-img create names them.
 */
#define _GNU_SOURCE
#include <stdlib.h>

#include "cmd/create_options.h"
#include "lib/report.h"
#include "lib/text.h"

/**
 * struct word - an option
 * @name: its name
 * @value: its value, for the list of options
 * @help: a description of it
 * @parse: stores a value. Return: 0; or -1: it is not allowed
 * @values: the values that are allowed, for the error message
 */
struct word {
	const char *name;
	const char *value;
	const char *help;
	int (*parse)(struct create_words *w, const char *value);
	const char *values;
};

/* --- Values --- */

static const char on_off[] = "on or off";
static const char a_size[] = "a size, such as 64K";
static const char a_name[] = "the name of a file";

static int parse_bool(bool *to, const char *value)
{
	static const char *const on[] = { "on", "yes", "true", "y" };
	static const char *const off[] = { "off", "no", "false", "n" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(on); i++) {
		*to = !strcmp(value, on[i]);
		if (*to || !strcmp(value, off[i]))
			return 0;
	}
	return -1;
}

static int parse_number(u64 *number, const char *value)
{
	char *end;

	errno = 0;
	*number = strtoull(value, &end, 0);
	return errno || *end || end == value || *value == '-' ? -1 : 0;
}

/* Return: the index of a value, or -1. */
static int parse_choice(const char *const *choices, size_t nr, const char *value)
{
	size_t i;

	for (i = 0; i < nr; i++)
		if (!strcmp(choices[i], value))
			return i;
	return -1;
}

static int parse_text(const char **to, const char *value)
{
	*to = value;
	return *value ? 0 : -1;
}

static int parse_size(struct create_words *w, const char *value)
{
	w->has_size = true;
	return text_parse_size(value, &w->p.size);
}

static int parse_cluster_size(struct create_words *w, const char *value)
{
	return text_parse_size(value, &w->p.cluster_size);
}

static int parse_refcount_bits(struct create_words *w, const char *value)
{
	return parse_number(&w->p.refcount_bits, value);
}

static int parse_compat(struct create_words *w, const char *value)
{
	static const char *const compat[] = { "0.10", "v2", "1.1", "v3" };
	int i = parse_choice(compat, ARRAY_SIZE(compat), value);

	w->p.version = i < 2 ? 2 : 3;
	return i < 0 ? -1 : 0;
}

static const char compression_types[] = "one of"
#define QCOW_COMPRESSION(number, name) " " #name
#include "qcow/ondisk/compression.h"
;

static int parse_compression(struct create_words *w, const char *value)
{
	u32 i;

	for (i = 0; qcow_header_compression_name(i); i++) {
		w->p.compression = i;
		if (!strcmp(qcow_header_compression_name(i), value))
			return 0;
	}
	return -1;
}

static int parse_preallocation(struct create_words *w, const char *value)
{
	static const char *const modes[] = {
		[PREALLOCATION_OFF] = "off",
		[PREALLOCATION_METADATA] = "metadata",
		[PREALLOCATION_FALLOC] = "falloc",
		[PREALLOCATION_FULL] = "full",
	};
	int i = parse_choice(modes, ARRAY_SIZE(modes), value);

	w->p.preallocation = i < 0 ? PREALLOCATION_OFF : i;
	return i < 0 ? -1 : 0;
}

static int parse_backing_file(struct create_words *w, const char *value)
{
	return parse_text(&w->p.backing, value);
}

static int parse_backing_fmt(struct create_words *w, const char *value)
{
	return parse_text(&w->p.backing_format, value);
}

static int parse_data_file(struct create_words *w, const char *value)
{
	return parse_text(&w->p.data_file, value);
}

static int parse_data_file_raw(struct create_words *w, const char *value)
{
	return parse_bool(&w->p.data_file_raw, value);
}

static int parse_extended_l2(struct create_words *w, const char *value)
{
	return parse_bool(&w->p.extended_l2, value);
}

static int parse_lazy_refcounts(struct create_words *w, const char *value)
{
	return parse_bool(&w->p.lazy_refcounts, value);
}

static int parse_encryption(struct create_words *w, const char *value)
{
	bool on;
	int err = parse_bool(&on, value);

	w->p.crypt_method = on ? QCOW_DISK_CRYPT_AES : QCOW_DISK_CRYPT_NONE;
	return err;
}

static int parse_encrypt_format(struct create_words *w, const char *value)
{
	w->p.crypt_method = strcmp(value, "luks") ? QCOW_DISK_CRYPT_AES : QCOW_DISK_CRYPT_LUKS;
	return strcmp(value, "luks") && strcmp(value, "aes") ? -1 : 0;
}

static int parse_cipher(struct create_words *w, const char *value)
{
	return parse_text(&w->p.luks.cipher, value);
}

static int parse_mode(struct create_words *w, const char *value)
{
	static const char *const modes[] = { "ecb", "cbc", "xts", "ctr" };

	w->p.luks.mode = value;
	return parse_choice(modes, ARRAY_SIZE(modes), value) < 0 ? -1 : 0;
}

static int parse_ivgen(struct create_words *w, const char *value)
{
	static const char *const ivgens[] = { "plain", "plain64", "essiv" };

	w->p.luks.ivgen = value;
	return parse_choice(ivgens, ARRAY_SIZE(ivgens), value) < 0 ? -1 : 0;
}

static const char hashes[] = "md5, sha1, sha224, sha256, sha384, sha512 or ripemd160";

static int parse_hash(const char **to, const char *value)
{
	static const char *const known[] = {
		"md5", "sha1", "sha224", "sha256", "sha384", "sha512", "ripemd160",
	};

	*to = value;
	return parse_choice(known, ARRAY_SIZE(known), value) < 0 ? -1 : 0;
}

static int parse_hash_alg(struct create_words *w, const char *value)
{
	return parse_hash(&w->p.luks.hash, value);
}

static int parse_ivgen_hash(struct create_words *w, const char *value)
{
	return parse_hash(&w->p.luks.ivgen_hash, value);
}

static int parse_iter_time(struct create_words *w, const char *value)
{
	return parse_number(&w->p.luks.iter_time, value);
}

static int refuse_secret(struct create_words *w, const char *value)
{
	(void)w;
	(void)value;
	return -1;
}

/* --- Options --- */

static const struct word words[] = {
	{ "backing_file", "FILE", "the backing file, as -b", parse_backing_file, a_name },
	{ "backing_fmt", "FORMAT", "its format, as -F", parse_backing_fmt, "a format" },
	{ "cluster_size", "SIZE", "bytes of a cluster, 512 to 2M: 64K",
	  parse_cluster_size, a_size },
	{ "compat", "VERSION", "1.1 (version 3) or 0.10 (version 2): 1.1",
	  parse_compat, "1.1 or 0.10" },
	{ "compression_type", "NAME", "of compressed clusters: zlib",
	  parse_compression, compression_types },
	{ "data_file", "FILE", "an external data file, which is made as well",
	  parse_data_file, a_name },
	{ "data_file_raw", "on|off", "keep it valid as a raw image: off",
	  parse_data_file_raw, on_off },
	{ "encrypt.cipher-alg", "NAME", "the cipher: aes-256",
	  parse_cipher, "a cipher, such as aes-256" },
	{ "encrypt.cipher-mode", "NAME", "its mode: xts", parse_mode, "ecb, cbc, xts or ctr" },
	{ "encrypt.format", "NAME", "encrypt the disk, with luks or the old aes",
	  parse_encrypt_format, "luks or aes" },
	{ "encrypt.hash-alg", "NAME", "the hash for the passphrase: sha256",
	  parse_hash_alg, hashes },
	{ "encrypt.iter-time", "MS", "milliseconds to derive a key from it: 2000",
	  parse_iter_time, "a number of milliseconds" },
	{ "encrypt.ivgen-alg", "NAME", "initialisation vectors: plain64",
	  parse_ivgen, "plain, plain64 or essiv" },
	{ "encrypt.ivgen-hash-alg", "NAME", "the hash for essiv: sha256",
	  parse_ivgen_hash, hashes },
	{ "encrypt.key-secret", NULL, NULL, refuse_secret,
	  "the passphrase with --key-file instead" },
	{ "encryption", "on|off", "as encrypt.format=aes: off", parse_encryption, on_off },
	{ "extended_l2", "on|off", "clusters of 32 subclusters: off", parse_extended_l2, on_off },
	{ "lazy_refcounts", "on|off", "refcounts may be updated late: off",
	  parse_lazy_refcounts, on_off },
	{ "preallocation", "MODE", "off, metadata, falloc or full: off",
	  parse_preallocation, "off, metadata, falloc or full" },
	{ "refcount_bits", "BITS", "bits of a refcount, 1 to 64: 16",
	  parse_refcount_bits, "a number" },
	{ "size", "SIZE", "bytes of the disk, as the operand SIZE", parse_size, a_size },
};

static const struct word *find(const char *name, size_t len)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(words); i++)
		if (strlen(words[i].name) == len && !memcmp(words[i].name, name, len))
			return &words[i];
	return NULL;
}

static bool is_given(const struct create_words *w, const char *name)
{
	return w->given >> (find(name, strlen(name)) - words) & 1;
}

/* Store "name=value". An option of its name alone is on. */
static int parse_one(struct create_words *w, const char *text)
{
	size_t len = strcspn(text, "=");
	const struct word *word = find(text, len);
	char *shown;

	if (word) {
		w->given |= 1U << (word - words);
		if (!word->parse(w, text[len] ? text + len + 1 : "on"))
			return 0;
	}
	shown = text_escape(text);
	if (word)
		report("-o", "bad value in \"%s\"; give %s", shown, word->values);
	else
		report("-o", "unknown option \"%s\"; see qcowctl create -o help", shown);
	free(shown);
	return -1;
}

/* The text up to a comma, in which two of them stand for one. Return: behind it. */
static const char *next_text(struct create_words *w, const char *arg)
{
	char *text = xcalloc(1, strlen(arg) + 1), *to = text;

	for (; *arg && (*arg != ',' || arg[1] == ','); arg++) {
		if (*arg == ',')
			arg++;
		*to++ = *arg;
	}
	w->texts = xrealloc(w->texts, (w->nr_texts + 1) * sizeof(*w->texts));
	w->texts[w->nr_texts++] = text;
	return arg;
}

/**
 * create_options_parse() - store the value of -o
 * @w: where to
 * @arg: options with commas between them
 *
 * Return: 0, or -1 after printing the error.
 */
int create_options_parse(struct create_words *w, const char *arg)
{
	const char *text;

	while (*arg) {
		arg = next_text(w, arg);
		arg += *arg == ',';
		text = w->texts[w->nr_texts - 1];
		if (!strcmp(text, "help") || !strcmp(text, "?"))
			w->help = true;
		else if (*text && parse_one(w, text))
			return -1;
	}
	return 0;
}

/**
 * create_options_size() - store the size of the disk that is an operand
 * @w: where to
 * @arg: the operand
 *
 * Return: 0, or -1 after printing the error.
 */
int create_options_size(struct create_words *w, const char *arg)
{
	char *shown;

	if (w->has_size) {
		report("create", "takes the size once, behind the name or as -o size");
		return -1;
	}
	if (!parse_size(w, arg))
		return 0;
	shown = text_escape(arg);
	report("create", "bad size \"%s\"; give bytes, such as 20G", shown);
	free(shown);
	return -1;
}

/**
 * create_options_check() - refuse options about encryption that do not go together
 * @w: the options
 *
 * Return: 0, or -1 after printing the error.
 */
int create_options_check(const struct create_words *w)
{
	static const char luks[] = "encrypt.";
	size_t i;

	if (is_given(w, "encryption") && is_given(w, "encrypt.format")) {
		report("-o", "encryption and encrypt.format exclude each other");
		return -1;
	}
	if (w->p.crypt_method == QCOW_DISK_CRYPT_LUKS)
		return 0;
	for (i = 0; i < ARRAY_SIZE(words); i++) {
		if (w->given >> i & 1 && !strncmp(words[i].name, luks, strlen(luks)) &&
		    strcmp(words[i].name, "encrypt.format")) {
			report("-o", "%s needs encrypt.format=luks", words[i].name);
			return -1;
		}
	}
	return 0;
}

static bool is_one_of(const struct word *word, const char *const *names)
{
	while (*names && strcmp(word->name, *names))
		names++;
	return *names;
}

/* The first option that was given and is none of those, or NULL. */
static const struct word *given_beside(const struct create_words *w, const char *const *names)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(words); i++)
		if (w->given >> i & 1 && !is_one_of(&words[i], names))
			return &words[i];
	return NULL;
}

/**
 * create_options_for_raw() - refuse options that a raw image does not have
 * @w: the options
 *
 * Return: 0, or -1 after printing the error.
 */
int create_options_for_raw(const struct create_words *w)
{
	static const char *const names[] = { "size", "preallocation", NULL };
	const struct word *other = given_beside(w, names);

	if (other) {
		report("-o", "a raw image has no %s; use -f qcow2", other->name);
		return -1;
	}
	if (w->p.backing || w->p.backing_format) {
		report("create", "a raw image has no backing file; use -f qcow2");
		return -1;
	}
	if (w->p.preallocation != PREALLOCATION_METADATA)
		return 0;
	report("-o", "a raw image has no metadata; use preallocation=falloc or full");
	return -1;
}

/* Those of the new image of a conversion. */
static const char *const convert_names[] = { "cluster_size", "compression_type", NULL };

/**
 * create_options_for_convert() - refuse options that a conversion does not take
 * @w: the options
 *
 * Return: 0, or -1 after printing the error.
 */
int create_options_for_convert(const struct create_words *w)
{
	const struct word *other = given_beside(w, convert_names);

	if (other)
		report("-o", "convert takes cluster_size and compression_type, not %s; make an overlay with qcowctl create -b, and use qcowctl stream",
		       other->name);
	return other ? -1 : 0;
}

static void print_option(FILE *to, const struct word *word)
{
	int n;

	if (!word->help)
		return;
	n = fprintf(to, "  %s=%s", word->name, word->value);
	fprintf(to, "%*s%s\n", n < 32 ? 32 - n : 1, "", word->help);
}

static const char print_title[] = "Options of -o, and their values if not given:\n";

/**
 * create_options_print() - print the list of options
 * @to: where to
 */
void create_options_print(FILE *to)
{
	size_t i;

	fputs(print_title, to);
	for (i = 0; i < ARRAY_SIZE(words); i++)
		print_option(to, &words[i]);
}

/**
 * create_options_print_for_convert() - print the list of those that a conversion takes
 * @to: where to
 */
void create_options_print_for_convert(FILE *to)
{
	size_t i;

	fputs(print_title, to);
	for (i = 0; i < ARRAY_SIZE(words); i++)
		if (is_one_of(&words[i], convert_names))
			print_option(to, &words[i]);
}

/**
 * create_options_print_words() - print the names of options for the shell's completion
 * @to: where to
 */
void create_options_print_words(FILE *to)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(words); i++)
		if (words[i].help)
			fprintf(to, " %s=", words[i].name);
	fputs(" help", to);
}

/**
 * create_options_free() - free the memory of values
 * @w: the options
 */
void create_options_free(struct create_words *w)
{
	u32 i;

	for (i = 0; i < w->nr_texts; i++)
		free(w->texts[i]);
	free(w->texts);
}
