/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Accounting records of RADIUS (RFC 2866, RFC 2869, RFC 3162, RFC 4818, RFC 6911, RFC 4679), to lines of leases. What a
 * server wrote down and what came in a packet go through the same: attributes are read, the record is dated by
 * accounting_servers.h, and becomes lines. Pure.
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

/* Names of a server, the best first; it has those that its records had. */
enum server_name { NAME_IPV4, NAME_IDENTIFIER, NAME_IPV6, SERVER_NAMES };

/* The most addresses of a session: what is more is not read. */
#define ACCOUNTING_ADDRESSES 8U

/* Texts are printable, "": absent. */
struct accounting {
	uint32_t status;	   /* 0: absent */
	char tenant[LEASE_TENANT]; /* of the source */
	char user[LEASE_ID];
	char name[SERVER_NAMES][LEASE_ID];
	char from[LEASE_ID]; /* who sent it, which names a server without a name */
	char session[LEASE_ID];
	char calling[LEASE_ID];
	char port[LEASE_ID];				 /* NAS-Port-Id */
	char circuit[LEASE_ID];				 /* Agent-Circuit-Id */
	struct lease_addr address[ACCOUNTING_ADDRESSES]; /* each once: IPv4, IPv6, prefixes */
	unsigned n_addresses;
	uint32_t session_time; /* seconds */
	uint32_t delay;	       /* Acct-Delay-Time, seconds */
	uint32_t interval;     /* Acct-Interim-Interval, seconds; 0: absent */
	int64_t event;	       /* Event-Timestamp; 0: absent */
	uint64_t packet;       /* names the request; 0: unknown */

	/* Of accounting_date(): */
	int64_t time, early, late;	     /* the event was between; TIME_NONE: as time */
	bool stale;			     /* it is too old to become lines */
	char server[SERVER_NAMES][LEASE_ID]; /* what its sessions are named for; of a restart, all that they were */
	unsigned n_servers;
};

typedef int (*lease_take)(void *arg, const struct lease_line *l);

/* Whether the value of an attribute of a packet has a length that its type can have. */
bool accounting_fits(uint8_t type, const uint8_t *value, size_t size);

/* Takes an attribute of a packet; values that mean nothing are passed over. */
void accounting_take(struct accounting *a, uint8_t type, const uint8_t *value, size_t size);

/* Takes an attribute that is written down, but for its times; size: octets of the value. */
void accounting_take_text(struct accounting *a, const char *name, const char *value, size_t size);

/*
 * Gives the lines of a record that was dated: one for each address, an `off` for each name of a server, or a `stop`
 * without an address. *ret_n is their number, 0 if the record is about no address. Returns 0, or what take returned.
 */
int accounting_lines(const struct accounting *a, lease_take take, void *arg, unsigned *ret_n);

/* Writes a MAC address in a text as "02:00:00:00:00:01"; "" if it is none. */
#define MAC_TEXT 18
const char *mac_text(const char *text, char ret[static MAC_TEXT]);

#endif
