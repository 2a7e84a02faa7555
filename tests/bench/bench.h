/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of the micro benchmark share. main is in run.c; a row of the table (rows.c) is set up (tables.c), its
 * flows listed (flows.c, mix.c, internet.c, routes.c, copy.c), its ways through the datapath measured (paths.c,
 * connections.c, cores.c, paced.c; in turn with those of another row, pairs.c and stand.c) and checked (verify.c);
 * judge.c, results.c, goals.c, report.c and json.c make figures of that.
 *
 * Addresses and ports are in host byte order.
 */
#ifndef DETNAT_BENCH_H
#define DETNAT_BENCH_H

#include <stdbool.h>
#include <stdint.h>

#include <linux/types.h>

#include "datapath/datapath.h"
#include "flow.h"
#include "internet.h"
#include "judge.h"
#include "random.h"
#include "tables/mappings.h"

#define MAX_CORES     2
#define MAX_LIST      (1U << 22)  /* flows listed at a time: 64 MB */
#define EXTERNAL      0xc6120007U /* 198.18.0.7, behind the default route */
#define EXTERNAL_PORT 1024
#define FIRST_PORT    1024 /* inside port of a host's first session */

/* Rows. */

/*
 * Ways through the datapath: X(name, name in the JSON, text). In random order unless the name says otherwise; HOSTS:
 * the host changes fastest, as in CSIT; BURSTS: a host's packets back to back.
 */
#define PATHS(X)                                                      \
	X(IN, "in2out", "inside to outside")                          \
	X(OUT, "out2in", "outside to inside")                         \
	X(OPEN, "new-session", "new session")                         \
	X(IN_HOSTS, "in2out-hosts", "in2out, host fastest")           \
	X(IN_BURSTS, "in2out-bursts", "in2out, back to back")         \
	X(OUT_HOSTS, "out2in-hosts", "out2in, host fastest")          \
	X(OUT_BURSTS, "out2in-bursts", "out2in, back to back")        \
	X(REFUSE, "quota-refusal", "quota refusal")                   \
	X(CONNECTION, "tcp-connection", "TCP connection, per packet") \
	X(REOPENED, "tcp-reopened", "  the same from time-wait")      \
	X(KERNEL_UP, "kernel-up-xdp", "kernel: XDP hands up")         \
	X(KERNEL_TC, "kernel-in2out-tc", "kernel: in2out by tc")      \
	X(KERNEL_IN, "kernel-out2in-xdp", "kernel: out2in by XDP")    \
	X(FLOOR_2, "floor-2-cores", "floor, 2 cores")                 \
	X(IN_2, "in2out-2-cores", "inside to outside, 2 cores")       \
	X(OUT_2, "out2in-2-cores", "outside to inside, 2 cores")      \
	X(CROSS_2, "both-ways-2-cores", "a core each way")            \
	X(MIXED_2, "opening-2-cores", "5 % opening, 2 cores")         \
	X(READ_2, "read-2-cores", "a read at random, 2 cores")        \
	X(IN_PACED, "in2out-paced", "in2out, every 2 s")              \
	X(OUT_PACED, "out2in-paced", "out2in, every 2 s")

enum path {
#define X(name, json, text) PATH_##name,
	PATHS(X)
#undef X
		N_PATHS
};

#define BIT(path) (1U << PATH_##path)

/* MIX_LISTED: plain sessions, of which many are beyond the slots: answers are listed, as their ports cannot be
 * foreseen. */
enum mix { MIX_NONE, MIX_UNIFORM, MIX_ZIPF, MIX_LISTED };

/* What a row has beside plain sessions, by the agent's copy of the routes. */
enum feature {
	FEATURE_NONE,
	FEATURE_PORTMAPPED,	    /* portmaps in place of sessions */
	FEATURE_OPEN,		    /* inbound is open: no sessions */
	FEATURE_ONE_PORT,	    /* endpoint-independent mapping */
	FEATURE_PORTMAPS,	    /* one portmap each, beside their sessions */
	FEATURE_PORTMAPS_ELSEWHERE, /* portmaps are configured, though not theirs */
	FEATURE_NO_AGENT,	    /* none keeps the copy of the routes, nor vouches for sources */
	FEATURE_GROWTH,		    /* blocks grow, and have room: no session is on a granted port */
	FEATURE_GRANTED,	    /* all sessions but those that the small blocks hold are on granted ports */
	FEATURE_LIMITS,		    /* sessions by protocol and their openings are limited, out of reach */
	FEATURE_RULES,		    /* routes depend on more than the destination: there is no copy either */
	FEATURE_SIX,		    /* the subscribers are IPv6 prefixes: NAT64 */
	FEATURE_BESIDE_SIX,	    /* there are such, too; the packets are those of IPv4 subscribers */
	FEATURE_TENANTS,	    /* two tenants with the same inside prefix; the packets are those of the first */
	FEATURE_VRF,		    /* the same, and the first has a VRF: the kernel is asked for its routes */
};

/* Which runs a row is part of. */
enum { IN_QUICK = 1, IN_BENCH = 2, IN_FULL = 4 };

struct row {
	const char *name;   /* how it is asked for */
	const char *suffix; /* of its CSIT name: what CSIT has no word for */
	uint32_t hosts;
	uint32_t sessions; /* of each host */
	uint32_t ratio_shift;
	uint32_t ratio; /* subscribers an address, of two ranges; 0: of prefixes, by ratio_shift */
	uint32_t ports; /* of each of them; 0: as many as there are */
	uint32_t slots;
	uint32_t mappings;
	bool adjoining;	       /* the mappings follow each other, as those that a list is cut into do */
	uint32_t destinations; /* of a mix */
	double zipf;	       /* exponent */
	enum mix mix;
	uint32_t extent_buckets; /* room for extents; 0: as much as the agent gives them by default */
	bool internet;		 /* the destinations are in routes of the internet, and a host's ports consecutive */
	uint32_t routes;	 /* beside the default route */
	bool tcp;
	enum feature feature;
	unsigned runs;
	unsigned paths;
	const char *beside; /* the row that it is compared with, in turn; NULL: none */
	/* FD.io VPP det44's graph, nanoseconds a packet, where it was measured at this scale; else 0. */
	double vpp_in, vpp_out, vpp_open;
};

/* The row of a number from 0 on, or NULL beyond the last. */
const struct row *row_get(unsigned n);

/* The row that another is compared with, or NULL. */
const struct row *row_beside(const struct row *r);

#define ROW_NAME 64

/* As CSIT would name it, with the sessions that the row opens. */
const char *row_csit_name(const struct row *r, char text[static ROW_NAME]);

static inline uint64_t row_sessions(const struct row *r)
{
	return (uint64_t)r->hosts * r->sessions;
}

/* Packets need no session. */
static inline bool row_is_stateless(const struct row *r)
{
	return r->feature == FEATURE_PORTMAPPED || r->feature == FEATURE_OPEN;
}

/* All sessions but those that the small blocks hold are on granted ports. */
static inline bool row_is_granted(const struct row *r)
{
	return r->feature == FEATURE_GRANTED;
}

static inline bool row_has_six(const struct row *r)
{
	return r->feature == FEATURE_SIX || r->feature == FEATURE_BESIDE_SIX;
}

static inline bool row_has_tenants(const struct row *r)
{
	return r->feature == FEATURE_TENANTS || r->feature == FEATURE_VRF;
}

/* The world. */

struct core {
	struct bench *b;
	int cpu; /* -1: there is no such core */
	struct generator *skel;
	struct flow_tuple *flows;
	struct position *position;
};

/* What a world must have room for. */
struct room {
	uint32_t list;		 /* flows that a list must hold */
	uint32_t extent_buckets; /* 0: as many as the agent makes by default */
	unsigned cores;		 /* generators to be made */
};

struct bench {
	struct datapath d;
	struct mappings *m;
	struct core core[MAX_CORES];
	uint32_t inside_ifindex, outside_ifindex;
	int inside_fd, outside_fd; /* the main programs behind the entries */
	uint32_t list_max;
	uint64_t seed;		   /* of random_next() */
	struct internet *internet; /* NULL: not drawn yet */
	uint32_t routes;	   /* in use, the first of them */
	const struct row *row;	   /* that the programs are loaded for */
	struct partner *partner;   /* with the rows that others are compared with; NULL: no row needs it */
};

/* Ends the run: the machine cannot do what the benchmark needs. */
void __attribute__((noreturn)) die(const char *what, int r);

/*
 * A network and a mount namespace, with the product's own tables and programs in it; all of it ends with the process.
 */
void world_make(struct bench *b, const struct room *room);

void world_end(struct bench *b);

/*
 * Loads the programs for a way of forwarding and what a row has beside sessions; hits need no cache of an earlier set
 * of programs.
 */
void world_programs(struct bench *b, enum forwarding forwarding, const struct row *row);

/* Processor time of this thread, in nanoseconds. */
double thread_ns(void);

/* Lines of memory, each of which holds the address of another one: a circle through all of them, in random order. */
struct circle {
	char *memory;
	uint64_t octets;
};

/* False: there is no memory for it. */
bool circle_new(struct bench *b, uint64_t octets, struct circle *ret);
/* Follows the circle from the line at an offset. Nanoseconds of a read. Threads may do so at the same time. */
double circle_run(const struct circle *c, uint64_t start);
void circle_free(struct circle *c);

/* Nanoseconds of one read at random in so many octets of memory, each waiting for the one before; 0 without memory. */
double memory_latency(struct bench *b, uint64_t octets);
/* The same for reads of lines that are given by n numbers, any ones; the same number is the same line. */
double memory_latency_of(uint64_t octets, const uint32_t *number, uint32_t n);

/*
 * Sees to it that the kernel, and the datapath, have so many routes beside the default one (routes.c). 0, or -ENOMEM
 * with the figures in err where memory is short.
 */
int world_routes(struct bench *b, uint32_t n, struct error *err);

/* MAC address of a next hop of these routes, by its number in internet.h. */
void routes_station(uint32_t next_hop, uint8_t ret_mac[6]);

/* The datapath's copy of the kernel's routes (copy.c), at first those of the namespace. */
void copy_open(struct bench *b);
void copy_close(void);

/* Adds a route to a next hop; forgets all that were added. */
void copy_add(uint32_t base, unsigned plen, uint32_t next_hop);
void copy_forget(void);

/* Octets of the nodes in use, and of the chunks that nodes are taken from. */
uint64_t copy_nodes(void);
uint64_t copy_memory(void);

/* Address of a destination of internet.h. */
uint32_t world_destination(struct bench *b, uint32_t n);

/* MAC address of the next hop that packets to an outside address must be sent to. */
void world_station(struct bench *b, uint32_t addr, uint8_t ret_mac[6]);

/*
 * Nanoseconds of a read of the line that tells a destination's route, of destinations drawn as the row's are; 0 where
 * the default route tells it for all.
 */
double world_routes_read(struct bench *b, const struct row *row);

/* A row's tables (tables.c) */

struct space {
	const struct row *row;
	uint32_t hosts_each;  /* of a mapping, as used */
	struct geometry *geo; /* by mapping */
	int *number;
	struct flow_tuple *in, *out; /* of a mix, by session: flows from inside and their answers */
	uint64_t n_sessions;
	struct portmaps *portmaps; /* NULL: the row has none */
	struct grants *grants;	   /* likewise */
};

/* features.c: gives the subscribers of a row their portmaps, if any; after space_forget() their records know them. */
void features_make(struct bench *b, struct space *s);
void features_mark(const struct space *s);
void features_free(struct space *s);
#define FIRST_TENANT 1

struct binding_layout features_bindings(const struct row *row);

/* How the blocks of a row's mapping grow. */
struct growth_layout features_growth(const struct row *row);

/* Whether the sessions of a row whose flows are listed are where they should be: beyond the slots, on granted ports. */
bool features_lie_right(struct bench *b, const struct space *s);

/* The limits of a row's mapping. */
struct limit_layout features_limits(const struct row *row);
/* Empties the tables of bindings of a subscriber, and its line of limits. */
void features_forget(struct bench *b, int number, uint32_t subscriber);

/* 0, or -ENOMEM with the figures in err where memory is short. */
int space_make(struct bench *b, const struct row *row, struct space *ret, struct error *err);
void space_free(struct bench *b, struct space *s);

/* Empties all tables, as nothing else runs. */
void space_forget(struct bench *b, const struct space *s);

/* What the agent counts: neither expired sessions nor those in time-wait. */
uint64_t space_count(struct bench *b);

/* Sessions in a state, enum session_state. */
uint64_t space_in_state(struct bench *b, uint8_t state);

/* Has every subscriber's ICMP answer and report be not due for some 0.4 seconds. */
void space_hold_refusals(struct bench *b, const struct space *s);

/* Octets of all maps that the programs use, and of all chunks; of extents, those that the row has room for. */
uint64_t world_memory(const struct bench *b, const struct row *row);

/* Buckets of extents that a row's subscribers may take. */
uint32_t world_extent_buckets(const struct row *row);

/* Flows (flows.c, mix.c) */

enum order { ORDER_RANDOM, ORDER_HOSTS, ORDER_BURSTS };
enum direction { FROM_INSIDE, FROM_OUTSIDE, BEYOND_QUOTA };

/* An order of all sessions; random ones differ by their key. */
struct sequence {
	const struct space *s;
	enum order order;
	uint64_t n; /* random: a permutation of 0..n-1; else of all sessions */
	uint64_t key;
	unsigned bits; /* of the permutation's domain */
};

struct sequence sequence_new(struct bench *b, const struct space *s, enum order order);

/* The same of the numbers below n. */
struct sequence sequence_of(struct bench *b, const struct space *s, enum order order, uint64_t n);

/* Number of the session at a place of the sequence, below n_sessions. */
uint64_t sequence_at(const struct sequence *q, uint64_t place);

/* The packet of a session; sessions are numbered host by host. */
struct flow_tuple flow_of(const struct space *s, uint64_t session, enum direction direction);

/* The same where each session has its first choice of a port. */
struct flow_tuple flow_plain(const struct space *s, uint64_t session, enum direction direction);

/* Lists the flows at places from..from+n-1. */
void flows_list(struct core *c, const struct sequence *q, uint64_t from, uint32_t n, enum direction direction);

/* Draws the flows of a mix from inside anew: s->in and n_sessions. */
void mix_draw(struct bench *b, struct space *s);

/* Draws numbers of destinations of a mix. */
void mix_destinations(struct bench *b, const struct row *row, uint32_t *ret, uint32_t n);

/* Fills in s->out by what the datapath opened; sessions that were refused are taken out of s->in and n_sessions. */
void mix_answers(struct bench *b, struct space *s);

/* Measuring (measure.c) */

/* What is sent, and what must become of it. */
#define ANY_VERDICT (-1)

struct job {
	enum target target;
	uint32_t ingress, egress; /* interface indexes; egress for tc alone */
	unsigned char frame[FRAME];
	int verdict;		  /* of the last packet, or ANY_VERDICT */
	enum reason reason;	  /* counter in which all packets must be, or N_REASONS */
	const struct space *hold; /* refusals are held off before it; NULL: not */
	bool direct;		  /* by the generator with constant tail calls; XDP only */
	bool six;		  /* the datapath makes frames of one family of those of the other */
};

/* A job of the datapath: the common ways by direction, for UDP, or for TCP with these flags. */
struct job job_translate(const struct bench *b, enum direction direction, bool tcp, uint8_t flags);

/* Lets a core run the first `count` flows of its list, over and over, for so many packets. */
double core_run(struct core *c, const struct job *j, uint32_t count, uint32_t packets);

/* Floor, generator and the job, one after the other. Packets that do not end as the job says end the run. */
struct sample measure(struct core *c, const struct job *j, uint32_t count, uint32_t packets);

/* Moves the thread to a core for good. */
void core_pin(const struct core *c);

/* Has the thread run before all others (SCHED_FIFO), or no more; false where that is not allowed. */
bool core_first(bool first);

/* A row's results (paths.c and others) */

struct result {
	const struct row *row;
	char csit[ROW_NAME];
	struct series path[N_PATHS];
	struct series direct[N_PATHS]; /* the same by the generator with constant tail calls */
	struct series beside[N_PATHS]; /* of the row that it is compared with, in the same turns as path */
	unsigned attempts;	       /* at such a comparison */
	uint64_t sessions;	       /* opened, as sent */
	uint64_t in_table;	       /* counted after the ramp-up */
	uint64_t refused;	       /* of a mix: no port, no room */
	uint64_t beyond;	       /* sessions beyond the slots */
	uint64_t memory;	       /* octets of all tables */
	uint64_t memory_mapping;       /* of them, what the row's mappings were charged for */
	double read_ns;		       /* one read at random in as much memory as the sessions take */
	struct series route;	       /* world_routes_read() in each round; empty with the default route alone */
	unsigned verified;	       /* packets whose octets were checked */
	bool wrong;		       /* sessions missing, or octets wrong: the figures are worth nothing */
	char skipped[256];
};

struct options {
	unsigned rounds;
	uint32_t packets;
	unsigned paths; /* of those of a row */
};

void row_run(struct bench *b, const struct row *row, const struct options *o, struct result *ret);

/*
 * Makes the programs, routes and tables of a row. false, with the reason in ret->skipped, if the machine has no room
 * for them. space_free() ends it.
 */
bool row_begin(struct bench *b, const struct row *row, struct space *ret_space, struct result *ret);

/* Empties the tables, and opens every session once: the new sessions are a sample of the result. */
void row_fill(struct bench *b, struct space *s, bool direct, struct result *res);

/* Measures a way of the row, over all its sessions and options' packets at least; false if it has no such way. */
bool row_measure(struct bench *b, const struct space *s, const struct options *o, enum path path, bool direct,
		 struct sample *ret);

/* Checks packets of it, octet by octet. */
void row_verify(struct bench *b, const struct space *s, struct result *res);

/* pairs.c: measures a row and the one that it is compared with in turn, again and again if their ratios are noisy. */
void pairs_run(struct bench *b, const struct row *row, const struct options *o, struct result *ret);

/* connections.c: whole TCP connections, from an empty table and again from time-wait. */
void connections_measure(struct bench *b, const struct space *s, struct result *res);
/* Brings every session of the table, opened by SYN, to established. */
void connections_establish(struct bench *b, const struct space *s, struct result *res);

/* paced.c: a packet of each host, after a pause. */
void paced_measure(struct bench *b, const struct space *s, struct result *res);

/* cores.c */
void cores_measure(struct bench *b, const struct space *s, const struct options *o, struct result *res);
/* Flows that it lists if there is room. */
uint64_t cores_list_wanted(const struct row *row);

/* verify.c: packets of sessions at random, both ways, octet by octet; how many were checked, or -1. */
int verify_sample(struct bench *b, const struct space *s, unsigned n);

/* Flows of the row's that a list has: all sessions, or as many as it holds. */
uint32_t list_length(const struct bench *b, const struct space *s);

/* Flows that a row would list if there were room. */
uint64_t list_wanted(const struct row *row);

/* Opens the sessions at places from..to-1 of a sequence, without measuring. */
void open_quietly(struct bench *b, const struct sequence *q, uint64_t from, uint64_t to);

/* Medians over the samples of a path. */
struct figures {
	double ns;  /* as run, generator and all */
	double net; /* less the generator */
	double floor;
	double generator;
	double ratio; /* to the floor, both as run */
	double speedup;
};

bool figures_of(const struct result *r, enum path path, struct figures *ret);
/* Median of a read of a destination's route, 0 where the default route tells it. */
double route_read_of(const struct result *r);
bool figures_of_direct(const struct result *r, enum path path, struct figures *ret);

/*
 * What a path of a row costs of the same path of the row that it is compared with; false where it was not measured.
 * Portmaps and open mappings are compared with the packets of sessions.
 */
bool compared(const struct result *r, enum path path, struct ratio *ret);

/* VPP's figure for a path of a row, or 0. */
double vpp_of(const struct row *row, enum path path);

const char *path_text(enum path path);
const char *path_json(enum path path);

/* Goals and reports. */

struct verdict {
	const char *text;
	double limit;
	double value;
	double spread; /* of a comparison's pairs, else 0 */
	enum verdict_word word;
	bool at_least; /* else at most */
	bool asked;    /* its row was to be measured */
};

/* The goal of a number from 0 on, judged by the results; false beyond the last. */
bool goal_judge(unsigned n, const struct result *results, unsigned n_results, struct verdict *ret);

/* Whether a row's path is compared with another row's in a goal. */
bool goal_compares(const struct row *row, enum path path);

void report_machine(const struct bench *b, const struct options *o);
void report_row(const struct result *r);
void report_features(const struct result *results, unsigned n);
void report_goals(const struct result *results, unsigned n);

/* Prints what it costs to be called by a dispatcher as libxdp's, beside other programs. */
void report_slots(void);
/* 0 or -errno. */
int report_json(const struct bench *b, const struct options *o, const struct result *results, unsigned n,
		const char *path);

#endif
