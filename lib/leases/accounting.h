/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Accounting records of RADIUS (RFC 2866, RFC 2869, RFC 3162, RFC 4818, RFC 4679), by the names of their attributes, to
 * lines of leases. What a server wrote down and what came in a packet go through the same. Pure.
 */
#ifndef DETNAT_ACCOUNTING_H
#define DETNAT_ACCOUNTING_H

#include "leases/lease_line.h"

/* Of Acct-Status-Type. */
enum accounting_status {
	ACCOUNTING_START = 1,
	ACCOUNTING_STOP = 2,
	ACCOUNTING_INTERIM = 3,
	ACCOUNTING_ON = 7,
	ACCOUNTING_OFF = 8,
};

/* Texts are printable, "": absent. */
struct accounting {
	unsigned status;	   /* 0: absent */
	char tenant[LEASE_TENANT]; /* of the source */
	char user[LEASE_ID];
	char server[LEASE_ID]; /* NAS-IP-Address, else NAS-Identifier, else who sent it */
	char session[LEASE_ID];
	char calling[LEASE_ID];
	char port[LEASE_ID];			      /* NAS-Port-Id */
	char circuit[LEASE_ID];			      /* Agent-Circuit-Id */
	struct lease_addr address, delegated, framed; /* IPv4, Delegated-IPv6-Prefix, Framed-IPv6-Prefix */
	uint32_t session_time;			      /* seconds */
	uint32_t delay;				      /* Acct-Delay-Time, seconds */
	uint32_t interval;			      /* Acct-Interim-Interval, seconds; 0: absent */
};

typedef int (*lease_take)(void *arg, const struct lease_line *l);

/*
 * Gives the lines of a record that was received at a time: one for each address, or one `off`. The event was
 * Acct-Delay-Time before. *ret_n is their number, 0 if the record is about no address. Returns 0, or what take
 * returned.
 */
int accounting_lines(const struct accounting *a, int64_t received, lease_take take, void *arg, unsigned *ret_n);

/* Writes a MAC address in a text as "02:00:00:00:00:01"; "" if it is none. */
#define MAC_TEXT 18
const char *mac_text(const char *text, char ret[static MAC_TEXT]);

#endif
