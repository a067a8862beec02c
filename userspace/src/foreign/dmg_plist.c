// SPDX-License-Identifier: GPL-2.0
/*
 * The property list of a dmg: XML, in which the dictionary "resource-fork" has an array "blkx"
 * of dictionaries, each with a block table under "Data", in base64. Expat gets the text in
 * parts and keeps none of it; it opens no files, and entities are refused.
 */
#include <stdlib.h>

#include "foreign/dmg.h"
#include "foreign/xml.h"

/* Bytes of a tag, a comment or another piece of XML that expat has to see at once */
#define TOKEN_MAX		SZ_1M

/* Bytes of a key, with its NUL */
#define KEY_SIZE		16

/* The elements around the data of a table, and the keys before them. */
static const struct plist_step {
	const char *element;
	const char *key;
} path[] = {
	{ "plist", NULL },
	{ "dict", NULL },
	{ "dict", "resource-fork" },
	{ "array", "blkx" },
	{ "dict", NULL },
	{ "data", "Data" },
};

/**
 * struct plist - a property list that is being read
 * @t: the tables
 * @parser: expat's
 * @depth: elements that are open
 * @matched: of them, those that are the first ones of path[]
 * @key: the last key
 * @key_bytes: of it, also more than fit
 * @in_key: the text of a key comes
 * @bits: of base64, that are no whole byte yet
 * @nr_bits: of them
 * @ended: the list is complete
 * @err: the first failure
 */
struct plist {
	struct dmg_tables *t;
	XML_Parser parser;
	u32 depth;
	u32 matched;
	char key[KEY_SIZE];
	size_t key_bytes;
	bool in_key;
	u32 bits;
	u32 nr_bits;
	bool ended;
	int err;
};

static void plist_stop(struct plist *p, int err)
{
	p->err = err;
	XML_StopParser(p->parser, XML_FALSE);
}

static bool is_step(const struct plist *p, const char *element)
{
	const struct plist_step *s = &path[p->matched];

	return p->matched == p->depth && p->matched < ARRAY_SIZE(path) &&
	       !strcmp(s->element, element) &&
	       (!s->key || (p->key_bytes < KEY_SIZE && !strcmp(s->key, p->key)));
}

static void plist_start(void *arg, const char *element, const char **attributes)
{
	struct plist *p = arg;

	(void)attributes;
	if (is_step(p, element))
		p->matched++;
	p->depth++;
	p->in_key = !strcmp(element, "key");
	p->key_bytes = 0;
	p->key[0] = '\0';
}

static void plist_element_end(void *arg, const char *element)
{
	struct plist *p = arg;
	bool table = p->matched == ARRAY_SIZE(path) && p->depth == p->matched;

	(void)element;
	p->in_key = false;
	p->depth--;
	p->matched = min(p->matched, p->depth);
	p->ended = !p->depth;
	if (!table || p->err)
		return;
	p->nr_bits = 0;
	p->err = dmg_table_end(p->t);
	if (p->err)
		plist_stop(p, p->err);
}

static void take_key(struct plist *p, const char *text, size_t len)
{
	size_t room = KEY_SIZE - 1 - min(p->key_bytes, (size_t)KEY_SIZE - 1);

	memcpy(p->key + min(p->key_bytes, (size_t)KEY_SIZE - 1), text, min(len, room));
	p->key_bytes += len;
	p->key[min(p->key_bytes, (size_t)KEY_SIZE - 1)] = '\0';
}

/* The six bits of a character of base64; -1: it is none */
static int base64_bits(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static void take_data(struct plist *p, const char *text, size_t len)
{
	u8 bytes[SZ_512];
	size_t nr = 0;

	for (; len && !p->err; text++, len--) {
		int bits = base64_bits(*text);

		if (bits < 0)
			continue;
		p->bits = p->bits << 6 | bits;
		p->nr_bits += 6;
		if (p->nr_bits >= 8) {
			p->nr_bits -= 8;
			bytes[nr++] = p->bits >> p->nr_bits;
		}
		if (nr == sizeof(bytes)) {
			p->err = dmg_table_bytes(p->t, bytes, nr);
			nr = 0;
		}
	}
	if (!p->err && nr)
		p->err = dmg_table_bytes(p->t, bytes, nr);
	if (p->err)
		plist_stop(p, p->err);
}

static void plist_text(void *arg, const char *text, int len)
{
	struct plist *p = arg;

	if (p->err)
		return;
	if (p->in_key)
		take_key(p, text, len);
	else if (p->matched == ARRAY_SIZE(path) && p->depth == p->matched)
		take_data(p, text, len);
}

static void plist_entity(void *arg, const char *name, int is_parameter, const char *value,
			 int value_bytes, const char *base, const char *system_id,
			 const char *public_id, const char *notation)
{
	struct plist *p = arg;

	(void)name, (void)is_parameter, (void)value, (void)value_bytes, (void)base;
	(void)system_id, (void)public_id, (void)notation;
	plist_stop(p, foreign_fail(p->t->f, "has a property list that declares entities"));
}

static int fail_xml(struct plist *p)
{
	return foreign_fail(p->t->f, "has a property list with wrong XML in line %lu: %s",
			    (unsigned long)XML_GetCurrentLineNumber(p->parser),
			    XML_ErrorString(XML_GetErrorCode(p->parser)));
}

/* Expat looks at an incomplete piece again with each part, which takes long for a long one. */
static int check_progress(struct plist *p, u64 bytes_done)
{
	s64 behind = bytes_done - XML_GetCurrentByteIndex(p->parser);

	if (behind > TOKEN_MAX)
		return foreign_fail(p->t->f, "has a property list with a piece of XML of %lld bytes",
				    (long long)behind);
	return 0;
}

/* Text behind the end of the list is ignored. */
static int parse(struct plist *p, u64 host_offset, u64 bytes)
{
	struct dmg_tables *t = p->t;
	u64 done = 0;
	int err = 0;

	while (done < bytes && !p->ended && !err) {
		size_t available;
		const char *part = foreign_peek(t->f, t->window, 0, host_offset + done, 1,
						&available);
		bool parsed;

		if (!part)
			return -EINVAL;
		available = min((u64)available, bytes - done);
		done += available;
		parsed = XML_Parse(p->parser, part, available, done == bytes) == XML_STATUS_OK;
		if (p->err)
			return p->err;
		if (!parsed && !p->ended)
			return fail_xml(p);
		err = check_progress(p, done);
	}
	return err;
}

/**
 * dmg_read_plist() - read the block tables of a property list
 * @t: the tables
 *
 * Return: 0, or a negative errno with a message.
 */
int dmg_read_plist(struct dmg_tables *t)
{
	struct plist p = { .t = t, .parser = foreign_xml_parser() };
	int err;

	if (!p.parser)
		return -ENOMEM;
	XML_SetUserData(p.parser, &p);
	XML_SetElementHandler(p.parser, plist_start, plist_element_end);
	XML_SetCharacterDataHandler(p.parser, plist_text);
	XML_SetEntityDeclHandler(p.parser, plist_entity);
	err = parse(&p, t->trailer->xml_host_offset, t->trailer->xml_bytes);
	XML_ParserFree(p.parser);
	return err;
}
