// SPDX-License-Identifier: GPL-2.0
/*
 * IP addresses and TCP ports that exports are reached at. The command export and the
 * parser of qcowtab take them from the user, and say so if one is wrong.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "export/address.h"
#include "lib/memory.h"

/* The port that IANA has given NVMe over TCP */
#define DEFAULT_PORT	"4420"

/* --- Parsing --- */

static bool take_port(struct address *a, const char *text)
{
	unsigned long port = strtoul(text, NULL, 10);

	if (!*text || strlen(text) > 5 || text[strspn(text, "0123456789")] || !port ||
	    port > UINT16_MAX)
		return false;
	snprintf(a->port, sizeof(a->port), "%lu", port);
	return true;
}

/* An interface may follow, which link-local addresses need. */
static bool take_ipv6(struct address *a, char *text)
{
	char *interface = strchr(text, '%');
	struct in6_addr bytes;
	char plain[INET6_ADDRSTRLEN];

	if (interface)
		*interface++ = 0;
	if (inet_pton(AF_INET6, text, &bytes) != 1 ||
	    (interface && (!*interface || strlen(interface) >= IF_NAMESIZE ||
			   strpbrk(interface, " \t\n/%"))))
		return false;
	inet_ntop(AF_INET6, &bytes, plain, sizeof(plain));
	snprintf(a->host, sizeof(a->host), "%s%s%s", plain, interface ? "%" : "",
		 interface ? interface : "");
	a->ipv6 = true;
	return true;
}

static bool take_ipv4(struct address *a, const char *text)
{
	struct in_addr bytes;

	if (inet_pton(AF_INET, text, &bytes) != 1)
		return false;
	inet_ntop(AF_INET, &bytes, a->host, sizeof(a->host));
	a->ipv6 = false;
	return true;
}

/* "[IPv6]:PORT", "IPv6", or "IPv4:PORT". @text is changed. */
static bool take_text(struct address *a, char *text)
{
	char *colon = strchr(text, ':');
	char *end;

	snprintf(a->port, sizeof(a->port), DEFAULT_PORT);
	if (*text == '[') {
		end = strchr(text, ']');
		if (!end || (end[1] && (end[1] != ':' || !take_port(a, end + 2))))
			return false;
		*end = 0;
		return take_ipv6(a, text + 1);
	}
	if (colon && strchr(colon + 1, ':'))
		return take_ipv6(a, text);
	if (colon)
		*colon = 0;
	return (!colon || take_port(a, colon + 1)) && take_ipv4(a, text);
}

/**
 * address_parse() - parse an address that the user gave
 * @a: the result
 * @text: ADDR or ADDR:PORT; IPv6 with a port is in brackets
 *
 * Return: whether it is one.
 */
bool address_parse(struct address *a, const char *text)
{
	char *copy = xstrdup(text);
	bool ok = take_text(a, copy);

	free(copy);
	return ok;
}

/* --- Printing --- */

/**
 * address_text() - the spelling that address_parse() takes
 * @a: the address
 *
 * Return: a string to free.
 */
char *address_text(const struct address *a)
{
	return xasprintf(a->ipv6 ? "[%s]:%s" : "%s:%s", a->host, a->port);
}

/* Whether other hosts may reach an interface's address, and it is of the family. */
static bool is_usable(const struct ifaddrs *i, bool ipv6)
{
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)i->ifa_addr;

	if (!in6 || in6->sin6_family != (ipv6 ? AF_INET6 : AF_INET) ||
	    i->ifa_flags & IFF_LOOPBACK || !(i->ifa_flags & IFF_UP))
		return false;
	return !ipv6 || !IN6_IS_ADDR_LINKLOCAL(&in6->sin6_addr);
}

static void take_host(struct address *to, const struct sockaddr *from)
{
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)from;
	const struct sockaddr_in *in = (const struct sockaddr_in *)from;
	const void *bytes = to->ipv6 ? (const void *)&in6->sin6_addr : &in->sin_addr;

	inet_ntop(from->sa_family, bytes, to->host, sizeof(to->host));
}

/**
 * address_to_connect() - the address that other hosts connect to
 * @a: an address, which may stand for all of this host
 * @to: the result: then, the first one that other hosts may reach. Behind a link-local
 *	address, ADDRESS_INTERFACE stands for the other host's interface
 */
void address_to_connect(const struct address *a, struct address *to)
{
	struct ifaddrs *all, *i;
	char *interface;

	*to = *a;
	/* Behind the "%" is an interface of this host. */
	interface = strchr(to->host, '%');
	if (interface)
		snprintf(interface, to->host + sizeof(to->host) - interface, "%%" ADDRESS_INTERFACE);
	if ((strcmp(a->host, "0.0.0.0") && strcmp(a->host, "::")) || getifaddrs(&all))
		return;
	for (i = all; i && !is_usable(i, a->ipv6); i = i->ifa_next)
		;
	if (i)
		take_host(to, i->ifa_addr);
	freeifaddrs(all);
}
