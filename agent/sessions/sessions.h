/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sessions as the agent handles them: walked, listed, swept, counted and closed, in slices between other events. All of
 * this works on memory that the datapath changes at the same time, by the rules of <detnat/session.h>.
 */
#ifndef DETNAT_SESSIONS_H
#define DETNAT_SESSIONS_H

#include <stddef.h>

#include <detnat/drains.h>

#include "base/inside_runs.h"
#include "tables/mapping_drains.h"
#include "tables/mappings.h"

/* A session, in host byte order. */
struct session {
	uint32_t in_addr;
	uint32_t out_addr;
	uint32_t ext_addr;
	uint16_t in_port;
	uint16_t out_port;
	uint16_t ext_port;
	uint8_t proto;
	uint8_t state;	      /* enum session_state with SESSION_RESET */
	uint32_t expires;     /* whole seconds left; 0 for an expired one */
	bool counts;	      /* neither expired nor in time-wait */
	uint8_t tenant;	      /* number of the tenant whose subscriber has it; 0: none */
	uint8_t host_number;  /* of an IPv6 subscriber: of the line that has its host; else 0 */
	struct address6 host; /* of an IPv6 subscriber: its address inside; else all 0 */
	struct address6 ext6; /* likewise: the external address as the host knows it */
	uint64_t ended_ns;    /* CLOCK_REALTIME at which its mapping ended; 0: it did not */
};

/* The name of a state in JSON, such as "tcp-established". */
const char *session_state_name(uint8_t state);

/* Called for each session; a non-zero value ends the walk and is returned. */
typedef int (*session_visit)(const struct session *s, void *arg);

/*
 * Subscribers are told apart by inside_place() of base/inside_runs.h: the number of their tenant and their address, the
 * address alone where there are no tenants. An address alone also stands for the subscriber of the only tenant that
 * has it.
 */

/*
 * Walks through the sessions of one subscriber, or of all in order of tenant and inside address: for each subscriber
 * its own slots, then those of its extent. Sessions opened or closed meanwhile may or may not be visited; none is
 * visited twice.
 */
struct session_walk;
int session_walk_new(struct mappings *m, struct session_walk **ret); /* all */
int session_walk_new_subscriber(struct mappings *m, uint64_t place,
				struct session_walk **ret); /* -ENOENT: no mapping */
/* Continues for about budget_us microseconds: 1: more to do, 0: done, or the result of visit. */
int session_walk_step(struct session_walk *w, unsigned budget_us, session_visit visit, void *arg);
void session_walk_free(struct session_walk *w);
/* Before its first step: skips subscribers without a session that counts. */
void session_walk_skip_idle(struct session_walk *w);
/* In a visit: 0: the session belongs to a mapping in use; n: to drain n - 1. They are visited in this order. */
unsigned session_walk_kind(const struct session_walk *w);

/*
 * Sweeps: frees expired sessions and corrects counts, in slices like a walk. `closed`, unless
 * NULL, is called for each session freed (IPFIX session events).
 */
struct session_sweep;
int session_sweep_new(struct mappings *m, struct session_sweep **ret);
int session_sweep_step(struct session_sweep *s, unsigned budget_us, session_visit closed, void *arg);
void session_sweep_free(struct session_sweep *s);

/*
 * Calls `closed` (NULL: no call) for each session that the two functions below close, and for each that ends with its
 * mapping (IPFIX session events).
 */
void sessions_on_close(struct mappings *m, session_visit closed, void *arg);

/*
 * Calls `closed` (NULL: no call) with the mapping's number, the inside address, the key and the state word of each
 * session that the functions below close: an operator's act, of which peers must learn.
 */
void sessions_on_act(struct mappings *m,
		     void (*closed)(void *arg, int number, uint32_t in_addr, uint64_t key, uint64_t word), void *arg);

/* Reports as sessions_on_close() says a session that was in a slot of a mapping, by number. */
void sessions_ended(struct mappings *m, int number, uint32_t in_addr, uint64_t key, uint64_t word);

/*
 * Closes sessions by their inside or outside endpoint and their external endpoint; proto 0 means any protocol. Returns
 * the number closed, or -errno.
 */
int sessions_close_in(struct mappings *m, uint8_t tenant, struct endpoint in, struct endpoint ext, uint8_t proto);
int sessions_close_out(struct mappings *m, struct endpoint out, struct endpoint ext, uint8_t proto);

/* The same for the inside endpoint of a host of an IPv6 subscriber, whose virtual address `in` has. */
int sessions_close_host(struct mappings *m, const struct address6 *host, struct endpoint in, struct endpoint ext,
			uint8_t proto);

/* The same for an outside endpoint that is granted to this inside address. */
int sessions_close_granted(struct mappings *m, uint32_t in_addr, struct endpoint out, struct endpoint ext,
			   uint8_t proto);

/*
 * Refreshes the session of an inside endpoint with an external one, also in a draining mapping, unless it is closing,
 * and describes it. -ENOENT: there is none.
 */
int sessions_refresh(struct mappings *m, uint8_t tenant, struct endpoint in, struct endpoint ext, uint8_t proto,
		     struct session *ret);

/* The figures of one subscriber. */
struct subscriber_figures {
	uint32_t sessions;
	uint32_t quota;
	uint64_t quota_exceeded;
};

/* 0, or -ENOENT if no mapping has the address. */
int subscriber_figures_read(struct mappings *m, uint64_t place, struct subscriber_figures *ret);

/*
 * Counts sessions per mapping number, in slices; subscribers without sessions cost one load. Each session is in one
 * count: one that drains from a mapping in use counts for the drain, not for the mapping.
 */
struct session_count {
	uint64_t total;
	uint64_t by_mapping[MAX_MAPPINGS];
	struct drain_count {
		struct prefix in;
		int number;
		uint64_t sessions;
	} by_drain[MAX_DRAINS];
	size_t n_drains;
};

/* The sessions of a drain. */
uint64_t session_count_of_drain(const struct session_count *c, const struct mapping_drain *d);

struct session_counter;
int session_counter_new(struct mappings *m, struct session_counter **ret);
int session_counter_step(struct session_counter *c, unsigned budget_us, struct session_count *ret); /* 1 more, 0 done */
void session_counter_free(struct session_counter *c);

/* Writes a session as a line of JSON, without a JSON library, because a listing may have many millions of lines. */

/* Space for the longest line. */
#define SESSION_TEXT 512U

/* Writes the object that `session list` prints and a newline, without a NUL; returns the number of octets. */
size_t session_text(const struct session *s, char text[static SESSION_TEXT]);

/* The number of sessions on each port of a subscriber, for subscribers in the order of a session walk. */

struct port_sessions;
/* Takes over a walk that has not begun. NULL: out of memory. */
struct port_sessions *port_sessions_new(struct session_walk *walk);
void port_sessions_free(struct port_sessions *b); /* may be NULL */

/*
 * Advances to a subscriber, of a kind as in a subscriber iterator: 1: the time is up, call it again; 0: done, or
 * -errno.
 */
int port_sessions_gather(struct port_sessions *b, unsigned kind, uint64_t place, uint64_t deadline_us);

/* The sessions of that subscriber that count and have a port. */
uint32_t port_sessions_of(const struct port_sessions *b, uint8_t proto, uint16_t out_port);

/* Number of its ports with sessions of a protocol. */
uint32_t port_sessions_ports(const struct port_sessions *b, uint8_t proto);

/* Data in the records of subscribers beside their sessions, for explain. */

struct subscriber_record {
	uint32_t slots; /* its own and those of its extent */
	uint32_t slots_free;
	uint32_t beyond; /* sessions in its extent */
	uint32_t extent_buckets;
	uint64_t refused;      /* packets */
	int64_t quota_refusal; /* seconds since the last refusal for quota, or for room beyond the slots; -1: none
				  lately */
	int64_t ports_refusal; /* since the last one for lack of a free port */
};

/* 0, or -ENOENT if the address is in no mapping. */
int subscriber_record_read(struct mappings *m, int number, uint32_t in_addr, struct subscriber_record *ret);

/* The hosts of an IPv6 subscriber that have sessions, and how many. */
struct subscriber_hosts {
	struct address6 addr[HOSTS_MAX];
	uint32_t sessions[HOSTS_MAX];
	unsigned n;
	unsigned most; /* that it may have at once */
};

/* 0, -ENOENT if the address is in no mapping, or -ENOMEM. */
int subscriber_hosts_read(struct mappings *m, uint32_t in_addr, struct subscriber_hosts *ret);

/* How near a subscriber is to the limits of its mapping, <detnat/limits.h>. */
struct subscriber_limits {
	struct limit_layout limit;
	uint32_t sessions[N_LIMITS]; /* including those that drain from mappings with limits */
	uint32_t tokens;
	bool uncounted;		   /* the sessions from before the first limit have still to be counted */
	uint64_t refused_protocol; /* packets */
	uint64_t refused_rate;
	int64_t protocol_refusal; /* seconds since the last one told of; -1: none lately */
	int64_t rate_refusal;
};

/* 0, or -ENOENT: the mapping has no limits. */
int subscriber_limits_read(const struct mappings *m, int number, uint32_t in_addr, struct subscriber_limits *ret);

/* Sums over subscribers of a mapping with addresses at equal distances, in slices; omits those with exceptions. */
struct pool_figures {
	uint32_t excepted; /* addresses that have another mapping */
	uint32_t active;   /* subscribers that have sessions */
	uint32_t at_quota;
	uint64_t sessions;
	uint64_t refused; /* packets */
};
struct pool_walk;
/*
 * number: the mapping's, of whose addresses first..last every stride-th shares one outside address; -1: those
 * of all, and first..last are places. 0 or -ENOMEM.
 */
int pool_walk_new(struct mappings *m, int number, uint64_t first, uint64_t last, uint32_t stride,
		  struct pool_walk **ret);
/* Continues for about budget_us microseconds: 1 more to do, 0 done with *ret. */
int pool_walk_step(struct pool_walk *w, unsigned budget_us, struct pool_figures *ret);
void pool_walk_free(struct pool_walk *w); /* NULL is allowed */

#endif
