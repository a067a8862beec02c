// SPDX-License-Identifier: GPL-2.0
/*
 * NQNs, the names of hosts and exports in NVMe over fabrics, and identifiers of disks. The
 * same text makes the same ones at each boot.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <uuid/uuid.h>

#include "export/nqn.h"
#include "lib/memory.h"

/* The longest NQN, in bytes */
#define NQN_MAX_LEN	223

/* An NQN that ends in a UUID, as the NVMe specification has it */
#define NQN_UUID_PREFIX	"nqn.2014-08.org.nvmexpress:uuid:"

/* The kernel's own, which lists the others */
#define NQN_DISCOVERY	"nqn.2014-08.org.nvmexpress.discovery"

/* The namespace of UUIDs that are made of names; drawn for this program */
static const uuid_t namespace = {
	0x5d, 0x0b, 0x9c, 0x1e, 0x4a, 0x7f, 0x4e, 0x26,
	0x9d, 0x35, 0x81, 0xc2, 0x6e, 0x90, 0xf3, 0x47,
};

static bool is_date(const char *s)
{
	static const char form[] = "dddd-dd.";
	size_t i;

	for (i = 0; form[i]; i++)
		if (form[i] == 'd' ? !isdigit((unsigned char)s[i]) : s[i] != form[i])
			return false;
	return true;
}

/**
 * nqn_is_valid() - whether a text is the NQN of a host or an export
 * @nqn: the text
 *
 * It becomes the name of a folder in configfs, so it has no slash.
 *
 * Return: whether it is: "nqn.", year and month, a dot, and printable characters.
 */
bool nqn_is_valid(const char *nqn)
{
	const char *c;

	if (strncmp(nqn, "nqn.", 4) || !is_date(nqn + 4) || strlen(nqn) > NQN_MAX_LEN ||
	    !strcmp(nqn, NQN_DISCOVERY))
		return false;
	c = nqn + strlen("nqn.2014-08.");
	if (!isalnum((unsigned char)*c))
		return false;
	while (*c > ' ' && *c < 0x7f && !strchr("/\\\"'`$", *c))
		c++;
	return !*c;
}

static void uuid_of(const char *name, uuid_t uuid)
{
	uuid_generate_sha1(uuid, namespace, name, strlen(name));
}

/**
 * nqn_of_text() - the NQN that is made of a text
 * @text: the same text makes the same NQN
 *
 * Return: the NQN, to be freed.
 */
char *nqn_of_text(const char *text)
{
	char printed[NQN_UUID_SIZE];

	nqn_uuid(text, printed);
	return xasprintf(NQN_UUID_PREFIX "%s", printed);
}

/**
 * nqn_uuid() - the UUID of the disk of an export
 * @text: of its identity
 * @uuid: the result
 */
void nqn_uuid(const char *text, char uuid[NQN_UUID_SIZE])
{
	uuid_t bytes = { 0 };

	uuid_of(text, bytes);
	uuid_unparse_lower(bytes, uuid);
}

/**
 * nqn_serial() - the serial number of the disk of an export
 * @text: of its identity
 * @serial: the result
 */
void nqn_serial(const char *text, char serial[NQN_SERIAL_SIZE])
{
	uuid_t bytes = { 0 };
	size_t i;

	uuid_of(text, bytes);
	for (i = 0; i < NQN_SERIAL_SIZE / 2; i++)
		sprintf(serial + 2 * i, "%02x", bytes[i]);
}
