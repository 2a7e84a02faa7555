/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a configuration says of the services beside translation: IPFIX, syslog, alarms, PCP, replication, leases.
 */
#ifndef DETNAT_CONFIG_SERVICES_H
#define DETNAT_CONFIG_SERVICES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/address.h"
#include "base/notice.h"
#include "proto/collector_endpoint.h"
#include "proto/label.h"
#include "proto/words.h"

enum ipfix_event {
	IPFIX_QUOTA = 1,
	IPFIX_PORTS = 2,
	IPFIX_SESSIONS = 4,
	IPFIX_FRAGMENTS = 8,
	IPFIX_ADDRESSES = 16,
	IPFIX_PORTMAPS = 32,
	IPFIX_BLOCKS = 64
};
extern const struct word ipfix_event_words[];

struct config_ipfix {
	bool enabled;
	uint32_t n_collectors; /* at least 1 if enabled, without duplicates */
	struct collector_endpoint collectors[MAX_COLLECTORS];
	struct endpoint source; /* addr 0: the kernel's choice; port 0: any */
	uint32_t domain_id;
	uint32_t path_mtu;
	uint32_t template_interval; /* seconds */
	uint8_t events;		    /* enum ipfix_event, or-ed */
	bool tenants;		    /* no key: there are tenants; see config_number_tenants() */
};

enum syslog_transport { SYSLOG_LOCAL, SYSLOG_UDP };

/* Where events go as messages of RFC 5424. */
struct config_syslog {
	bool enabled;
	enum syslog_transport transport;
	struct endpoint to; /* SYSLOG_UDP */
	uint32_t events;    /* enum notice_kind, or-ed */
	uint8_t facility;   /* RFC 5424 section 6.2.1 */
};

#define CONFIG_EXEC_PATH 256U

/* Pool addresses that get more packets of strangers than this are attacked. */
struct config_attack {
	bool enabled;
	uint32_t packets_per_second;
	uint32_t hold;		     /* seconds below it, after which an attack is over */
	char exec[CONFIG_EXEC_PATH]; /* program to run at the beginning of each; "": none */
};

/* Subscribers that reach one of these are suspects; 0: no threshold. */
struct config_suspects {
	bool enabled;
	uint32_t half_open;    /* TCP sessions */
	uint32_t destinations; /* external addresses */
	uint32_t rate;	       /* sessions opened a second */
	uint32_t inbound;      /* packets of strangers a second; unless 0, the datapath counts them */
};

/* Fragments that arrive before the first one of their datagram. */
struct config_fragments {
	uint32_t max_parked; /* number that may wait for it; 0: none */
	uint32_t max_bytes;  /* of memory that they may take */
	uint32_t timeout;    /* seconds that each waits */
	uint32_t per_subscriber;
};

#define PCP_MAX_LISTEN	       16U
#define PCP_MAX_MAPPINGS       64U
#define PCP_MAX_THIRD_PARTY    16U
#define PCP_MAX_PER_SUBSCRIBER 1024U

/* The server of the Port Control Protocol. */
struct config_pcp {
	bool enabled;
	bool announce; /* whether to announce that leases were lost */
	bool confirm_neighbours;
	uint32_t n_listen;
	uint32_t listen[PCP_MAX_LISTEN]; /* addresses, host byte order */
	uint32_t n_mappings;		 /* 0: all mappings */
	char mappings[PCP_MAX_MAPPINGS][LABEL_TEXT];
	uint32_t max_per_subscriber;
	uint32_t max_leases;   /* of all subscribers; 0: config_pcp_leases() computes it */
	uint32_t lifetime_min; /* seconds */
	uint32_t lifetime_max;
	uint32_t n_third_party; /* 0: clients act only for themselves */
	struct prefix third_party[PCP_MAX_THIRD_PARTY];
};

#define REPLICATION_MAX_PEERS	 7U
#define REPLICATION_MAX_MAPPINGS 64U
#define REPLICATION_KEY_FILE	 256U

/* Copies of sessions, to and from other gateways. */
struct config_replication {
	bool enabled;
	struct endpoint listen; /* also this gateway's address for its peers */
	uint32_t n_peers;	/* at least 1 if enabled, without duplicates */
	struct endpoint peers[REPLICATION_MAX_PEERS];
	char key_file[REPLICATION_KEY_FILE]; /* "": without authentication */
	uint32_t min_age;		     /* seconds; younger sessions are not sent */
	uint32_t interval;		     /* seconds between two passes over the sessions */
	uint32_t n_mappings;		     /* mappings whose sessions are sent; 0: all */
	char mappings[REPLICATION_MAX_MAPPINGS][LABEL_TEXT];
};

#define CONFIG_MAX_LEASE_SOURCES  16U
#define CONFIG_MAX_RADIUS_CLIENTS 32U
#define CONFIG_LEASE_PATH	  256U

enum lease_source_type { SOURCE_RADIUS, SOURCE_KEA, SOURCE_DNSMASQ, SOURCE_ISC_DHCPD, SOURCE_ACCEL_PPP };
extern const struct word lease_source_words[];

/* Who may send RADIUS to a source. */
struct config_radius_client {
	struct prefix from;
	char secret_file[CONFIG_LEASE_PATH];
};

/* Where leases come from. */
struct config_lease_source {
	uint8_t type;			     /* enum lease_source_type */
	char tenant[LABEL_TEXT];	     /* whose subscribers have the leases; "": not known */
	bool passive;			     /* SOURCE_RADIUS: copies of packets, which are not answered */
	struct endpoint listen;		     /* SOURCE_RADIUS */
	struct endpoint forward;	     /* SOURCE_RADIUS: a further server; addr 0: none */
	char secret_file[CONFIG_LEASE_PATH]; /* SOURCE_RADIUS: of all but the clients; "": there are no others */
	char forward_secret_file[CONFIG_LEASE_PATH]; /* of the further server; "": secret_file */
	uint32_t n_clients;
	struct config_radius_client client[CONFIG_MAX_RADIUS_CLIENTS];
	char path[CONFIG_LEASE_PATH]; /* of the file of any other type */
};

/* The path of the n-th file with a secret of a source, and the key that names it. Returns NULL if there are fewer. */
const char *config_lease_secret(const struct config_lease_source *s, uint32_t n, const char **ret_key);

struct config_leases {
	uint32_t n;
	struct config_lease_source source[CONFIG_MAX_LEASE_SOURCES];
	uint32_t retention; /* days; 0: for ever */
};

#endif
