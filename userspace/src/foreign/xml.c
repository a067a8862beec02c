// SPDX-License-Identifier: GPL-2.0
/*
 * XML by expat, which opens no files here. Entities are refused, for they make much text of
 * little.
 */
#include <ctype.h>
#include <sys/auxv.h>

#include "foreign/xml.h"

/**
 * struct xml - a file that is being read
 * @f: the image
 * @reader: takes the elements
 * @arg: its first argument
 * @parser: expat's
 * @path: names of the open elements, with slashes
 * @text: of the innermost one, without a NUL
 * @text_bytes: of it
 * @err: the first failure
 */
struct xml {
	struct foreign *f;
	const struct foreign_xml_reader *reader;
	void *arg;
	XML_Parser parser;
	char path[FOREIGN_XML_PATH_SIZE];
	char text[FOREIGN_XML_TEXT_SIZE];
	size_t text_bytes;
	int err;
};

static void stop(struct xml *x, int err)
{
	if (!err || x->err)
		return;
	x->err = err;
	XML_StopParser(x->parser, XML_FALSE);
}

static const char *version_of(const char **attributes)
{
	for (; *attributes; attributes += 2)
		if (!strcmp(attributes[0], "Version"))
			return attributes[1];
	return NULL;
}

static void begin(void *arg, const char *element, const char **attributes)
{
	struct xml *x = arg;
	size_t len = strlen(x->path);

	if (len + 1 + strlen(element) >= sizeof(x->path)) {
		stop(x, foreign_fail(x->f, "has XML of many levels"));
		return;
	}
	sprintf(x->path + len, "%s%s", len ? "/" : "", element);
	x->text_bytes = 0;
	stop(x, x->reader->begin(x->arg, x->path, version_of(attributes)));
}

static char *trimmed(char *text, size_t len)
{
	while (len && isspace((unsigned char)text[len - 1]))
		len--;
	text[len] = '\0';
	return text + strspn(text, " \t\r\n");
}

static void end(void *arg, const char *element)
{
	struct xml *x = arg;
	char *slash;

	(void)element;
	if (x->err)
		return;
	stop(x, x->reader->end(x->arg, x->path, trimmed(x->text, x->text_bytes)));
	x->text_bytes = 0;
	slash = strrchr(x->path, '/');
	*(slash ? slash : x->path) = '\0';
}

static void take_text(void *arg, const char *text, int len)
{
	struct xml *x = arg;

	if (x->err)
		return;
	if (x->text_bytes + len >= sizeof(x->text)) {
		stop(x, foreign_fail(x->f, "has a long text in XML"));
		return;
	}
	memcpy(x->text + x->text_bytes, text, len);
	x->text_bytes += len;
}

static void refuse_entity(void *arg, const char *name, int is_parameter, const char *value,
			  int value_bytes, const char *base, const char *system_id,
			  const char *public_id, const char *notation)
{
	struct xml *x = arg;

	(void)name, (void)is_parameter, (void)value, (void)value_bytes, (void)base;
	(void)system_id, (void)public_id, (void)notation;
	stop(x, foreign_fail(x->f, "has XML that declares entities"));
}

/* Expat would open a file for random numbers, which the process may not do. */
static unsigned long salt(void)
{
	const void *random = (const void *)getauxval(AT_RANDOM);
	unsigned long n = 1;

	if (random)
		memcpy(&n, random, sizeof(n));
	return n ? n : 1;
}

/**
 * foreign_xml_parser() - make a parser of expat that opens no files
 *
 * Return: it, for XML_ParserFree(); or NULL.
 */
XML_Parser foreign_xml_parser(void)
{
	XML_Parser parser = XML_ParserCreate(NULL);

	if (parser)
		XML_SetHashSalt(parser, salt());
	return parser;
}

static int parse(struct xml *x, const char *bytes, size_t len)
{
	enum XML_Status status = XML_Parse(x->parser, bytes, len, XML_TRUE);

	if (x->err || status == XML_STATUS_OK)
		return x->err;
	return foreign_fail(x->f, "has wrong XML in line %lu: %s",
			    (unsigned long)XML_GetCurrentLineNumber(x->parser),
			    XML_ErrorString(XML_GetErrorCode(x->parser)));
}

/**
 * foreign_xml_read() - read a small XML file
 * @f: the image
 * @bytes: the file
 * @len: of it, below SZ_1G
 * @reader: takes the elements
 * @arg: its first argument
 *
 * Return: 0, or a negative errno with a message.
 */
int foreign_xml_read(struct foreign *f, const char *bytes, size_t len,
		     const struct foreign_xml_reader *reader, void *arg)
{
	struct xml x = { .f = f, .reader = reader, .arg = arg };
	int err;

	x.parser = foreign_xml_parser();
	if (!x.parser)
		return qcow_fail(&f->msg, -ENOMEM, "has XML, for which there is no memory");
	XML_SetUserData(x.parser, &x);
	XML_SetElementHandler(x.parser, begin, end);
	XML_SetCharacterDataHandler(x.parser, take_text);
	XML_SetEntityDeclHandler(x.parser, refuse_entity);
	err = parse(&x, bytes, len);
	XML_ParserFree(x.parser);
	return err;
}
