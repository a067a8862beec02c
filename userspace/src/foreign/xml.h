/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_XML_H
#define _QCOWCTL_XML_H

#include <expat.h>

#include "foreign/foreign.h"

/* Bytes of the names of elements, with slashes between them, and of a text; with a NUL */
#define FOREIGN_XML_PATH_SIZE	256
#define FOREIGN_XML_TEXT_SIZE	SZ_4K

/**
 * struct foreign_xml_reader - takes a small XML file
 * @begin: an element begins. @path: the names of the elements around it and its own, with
 *	slashes. @version: its attribute of that name; may be NULL
 * @end: it ends. @text: its text without the white space around it
 *
 * They return 0, or a negative errno with a message, which ends the reading.
 */
struct foreign_xml_reader {
	int (*begin)(void *arg, const char *path, const char *version);
	int (*end)(void *arg, const char *path, const char *text);
};

XML_Parser foreign_xml_parser(void);
int __must_check foreign_xml_read(struct foreign *f, const char *bytes, size_t len,
				  const struct foreign_xml_reader *reader, void *arg);

#endif /* _QCOWCTL_XML_H */
