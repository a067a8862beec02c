/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_ADDRESS_H
#define _QCOWCTL_ADDRESS_H

#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>

/* In place of an interface of another host, whose name is not known here */
#define ADDRESS_INTERFACE	"INTERFACE"

/**
 * struct address - where other hosts connect
 * @host: an IP address in the one spelling that it has here; IPv6 perhaps with the
 *	interface behind a "%"
 * @port: a TCP port in decimal
 * @ipv6: whether @host is of IPv6
 */
struct address {
	char host[INET6_ADDRSTRLEN + IF_NAMESIZE];
	char port[6];
	bool ipv6;
};

bool address_parse(struct address *a, const char *text);
char *address_text(const struct address *a);
void address_to_connect(const struct address *a, struct address *to);

#endif /* _QCOWCTL_ADDRESS_H */
