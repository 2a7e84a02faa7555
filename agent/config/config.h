/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The public header of config/: reads the configuration from JSON, validates and edits it and writes it back as JSON.
 * Nothing here looks at interfaces or at the datapath; checks that need the machine are in change/preflight.h.
 */
#ifndef DETNAT_CONFIG_H
#define DETNAT_CONFIG_H

#include <cjson/cJSON.h>
#include <net/if.h>
#include <stdbool.h>
#include <string.h>
#include <stddef.h>
#include <stdint.h>

#include <detnat/tables.h>

#include "base/address.h"
#include "base/base.h"
#include "config/config_mappings.h"
#include "config/config_services.h"
#include "proto/label.h"
#include "proto/timeouts.h"
#include "proto/words.h"

/* Longer files are refused. */
#define CONFIG_MAX_SIZE (16U << 20)
/* Below the size of the table, so that mappings can still be replaced when all are in use. */
#define CONFIG_MAX_MAPPINGS   4096U
#define CONFIG_MAX_INTERFACES 4096U

/* The default of pin_path. */
#define CONFIG_PIN_PATH "/sys/fs/bpf/detnat"

#define CONFIG_MAX_TENANTS 255U

struct config_tenant {
	char name[LABEL_TEXT];
	char vrf[IFNAMSIZ]; /* "": the main table */
	uint8_t id;	    /* in the tables; 0 until config_number_tenants() */
	unsigned line;	    /* in the file; 0: not from a file */
};

struct config_interface {
	char name[IFNAMSIZ];	/* may have `*`, see base/interface_pattern.h */
	uint8_t roles;		/* DEVICE_INSIDE, DEVICE_OUTSIDE or both */
	uint8_t tenant;		/* number of the tenant that it is inside of; see config_number_tenants() */
	char vrf[IFNAMSIZ];	/* that tenant's */
	uint8_t inside_of;	/* 1 + place of its tenant in the list, as an inside interface; 0: none */
	uint64_t outside_of[4]; /* a bit for the place of each tenant that has it outside */
	uint8_t xdp_mode;	/* 1 + enum xdp_mode; 0: the configuration's */
	uint8_t xdp_dispatcher; /* 1 + enum xdp_dispatcher, the same */
	uint16_t xdp_priority;	/* 1 + priority, the same */
	unsigned line;		/* in the file; 0: not from a file */
	unsigned position;	/* in its list in the file, in `inside` if it is in both */
};

enum forwarding { FORWARDING_REDIRECT, FORWARDING_KERNEL };
extern const struct word forwarding_words[];
extern const struct word unmatched_words[];

/* Without XDP: XDP_MODE_NONE: tc alone, the kernel forwards; XDP_MODE_TC: tc routes and sends, as XDP does. */
enum xdp_mode { XDP_MODE_AUTO, XDP_MODE_NATIVE, XDP_MODE_SKB, XDP_MODE_NONE, XDP_MODE_TC, N_XDP_MODES };
extern const struct word xdp_mode_words[];

static inline bool xdp_mode_is_without(enum xdp_mode mode)
{
	return mode == XDP_MODE_NONE || mode == XDP_MODE_TC;
}

/* Whether XDP programs of others run on the interface, too: DISPATCHER_LIBXDP has detnat's in libxdp's dispatcher. */
enum xdp_dispatcher { DISPATCHER_NONE, DISPATCHER_LIBXDP };

/* The default of xdp_priority: behind programs with libxdp's default of 50. */
#define CONFIG_XDP_PRIORITY 90U

/* How XDP is to run on an interface. */
struct xdp_wish {
	enum xdp_mode mode;
	enum xdp_dispatcher dispatcher;
	uint8_t priority; /* with DISPATCHER_LIBXDP: among the programs of the dispatcher, the lowest runs first */
	bool must;	  /* the kernel must not forward: there are IPv6 subscribers */
	bool sends; /* with XDP_MODE_AUTO: tc sends where XDP would have the kernel cut frames of several segments */
};

/* Value of `stages` that leaves the choice to the agent. */
#define STAGES_AUTO 0U

struct config_line {
	char path[48]; /* longer than those of the objects that have lines */
	unsigned line;
};

/* Buckets of extents, <detnat/extents.h>: as many as overflow_sessions gives, extents_room(). */
#define EXTENTS_BY_SIZE (~0U)

struct config {
	char schema[COMMENT_TEXT];	     /* of "$schema", for editors; "": none */
	char comment[COMMENT_TEXT];	     /* "": none */
	struct config_interface *interfaces; /* one element for each name */
	size_t n_interfaces;
	bool interfaces_given; /* at the top of the file, rather than of each tenant */
	struct config_tenant *tenants;
	size_t n_tenants;
	struct config_mapping *mappings;
	size_t n_mappings;
	struct near_index *near;	     /* finds them, see near.h; NULL: all are looked at */
	struct config_portmap *portmaps;     /* changed by config_own_portmaps() alone */
	struct portmap_share *portmap_share; /* with copies that have the same list; NULL: there are none */
	size_t n_portmaps;
	struct prefix *bypass;
	size_t n_bypass;
	struct config_drain *draining; /* not from a file: drains under this configuration */
	size_t n_draining;
	struct config_rest *rests; /* also not from a file */
	size_t n_rests;
	struct config_line *lines; /* of values in the file, for messages */
	size_t n_lines;
	uint32_t sessions_per_user;
	uint32_t session_slots; /* 0: auto */
	struct config_independence independence;
	uint32_t overflow_sessions;
	uint32_t extent_buckets;       /* room for extents, <detnat/extents.h>; EXTENTS_BY_SIZE but in tests */
	unsigned beyond_line;	       /* in the file; 0: not from a file */
	uint32_t timeouts[N_TIMEOUTS]; /* seconds */
	struct config_ipfix ipfix;
	struct config_syslog syslog;
	struct config_fragments fragments;
	struct config_pcp pcp;
	struct config_replication replication;
	struct config_leases leases;
	struct config_attack attack;
	struct config_suspects suspects;
	enum forwarding forwarding;
	enum xdp_mode xdp_mode;
	enum xdp_dispatcher xdp_dispatcher;
	uint8_t xdp_priority;
	uint8_t stages; /* STAGES_AUTO, 1 or 2, see <detnat/stages.h> */
	enum unmatched unmatched;
	bool answer_arp;
	bool hairpin;
	uint32_t tcp_mss_clamp; /* 0: off; MSS_CLAMP_MTU: "mtu" */
	bool udp_inbound_refresh;
	enum unsolicited_tcp unsolicited_tcp;
	bool guard;
	uint8_t quota_icmp_code;
	uint32_t sweep_interval; /* seconds */
	uint32_t reload_guard;	 /* a reload that ends more sessions needs --force; 0: no limit */
	char *control_socket;
	char *pin_path;
	char *state_dir;
	unsigned control_socket_line; /* in the file; 0: not from a file */
	unsigned pin_path_line;
	unsigned state_dir_line;
	uint32_t grant_retention; /* days for which grants are kept; 0: for ever, in the mapping history */
	bool audit_queries;	  /* each look at a person leaves a line in the ledger of queries */
	bool metrics_enabled;
	struct endpoint metrics_listen;
	bool metrics_per_mapping;
	bool detach_on_exit;
};

/* All defaults, without interfaces and mappings; freed with config_free(). NULL: out of memory. */
struct config *config_new(void);

/*
 * Reads and checks a configuration file. On success *ret is the caller's, freed with config_free(), and *ret_hash (may
 * be NULL) identifies the file's content. Returns 0, or -errno with err saying "FILE:LINE: KEY.PATH: what is wrong":
 * unknown or repeated keys, wrong types, values out of range, malformed or overlapping prefixes, and so on
 * (detnat.json(5)). Refuses anything but a regular file, unread.
 */
int config_load(const char *path, struct config **ret, uint64_t *ret_hash, struct error *err);

/* The hash of a file's content as from config_load(), even if that is not valid: 0, or -errno if it cannot be read. */
int config_hash(const char *path, uint64_t *ret);

/*
 * Removes the mappings that end at or before a time, and logs each. Returns their number. config_load() has done so for
 * the present time.
 */
size_t config_drop_ended(struct config *c, int64_t now, const char *name);

/*
 * Logs a warning for each timeout below the RFCs' minimum that is not the same in `before` (may be NULL). name is the
 * file's; NULL omits it.
 */
void config_warn(const struct config *now, const struct config *before, const char *name);

/* The line of a value of pcp, replication or metrics in the file, by its path; 0: unknown. */
unsigned config_line(const struct config *c, const char *path);

/* As config_load(), for text in memory; name is the file's in messages. */
int config_parse(const char *text, size_t size, const char *name, struct config **ret, struct error *err);

/*
 * Checks ranges of values, prefixes and their overlaps, names and counts, as config_parse() does. name as there; NULL
 * omits it. Of two prefixes that overlap, the message names the later one. 0 or -EINVAL.
 */
int config_validate(const struct config *c, const char *name, struct error *err);

/* Stores "NAME:LINE: PATH: text" and returns r. Omits a name of NULL, a line of 0 and an empty path. */
int config_refuse(struct error *err, int r, const char *name, unsigned line, const char *path, const char *format, ...)
	__attribute__((format(printf, 6, 7)));

/* A copy, which shares nothing that either may change; NULL: out of memory. */
struct config *config_clone(const struct config *c);

/* Gives a configuration the portmaps of another one; both share them. False, with nothing changed: it shares none. */
bool config_share_portmaps(struct config *c, const struct config *with);

/* The same without the lists of mappings, portmaps, drains and rests, which are empty in the copy. */
struct config *config_clone_keys(const struct config *c);
void config_free(struct config *c);

static inline void config_free_pointer(struct config **c)
{
	config_free(*c);
}

#define _cleanup_config_ __attribute__((cleanup(config_free_pointer)))

/* JSON that config_parse() reads back as an equal configuration; the caller frees it. NULL: out of memory. */
char *config_to_json(const struct config *c);

/*
 * Such JSON in words of 1.0.0, for the caller to free. NULL with err: it has mappings that 1.0.0 has no words for.
 * Other keys that it does not know are left out, with a warning.
 */
char *config_of_former(const char *json, struct error *err);

/* 1: two configurations are equal, with lists in any order where order has no meaning; 0: they differ; or -ENOMEM. */
int config_same(const struct config *a, const struct config *b);

/*
 * The configuration as a document for people: without the keys that have their default, unless all is true. The caller
 * deletes it; NULL: out of memory.
 */
cJSON *config_document(const struct config *c, bool all);

/* A JSON patch (RFC 6902) that turns one document of config_document() into the other; replaced values are in "was". */
cJSON *config_patch(const cJSON *from, const cJSON *to);

/* Copies the keys that the programs read; leaves settings that depend on the machine unchanged. */
void config_settings(const struct config *c, struct settings *settings);

/*
 * Quota and slots of a mapping, its own or the configuration's; slots are a power of two from 8 to 2048, or 0 where
 * there are no sessions.
 */
uint32_t config_mapping_quota(const struct config *c, const struct config_mapping *m);
uint32_t config_mapping_slots(const struct config *c, const struct config_mapping *m);

/* Whether PCP serves the subscribers of a mapping, and their number. */
bool config_pcp_serves(const struct config *c, const struct config_mapping *m);
uint64_t config_pcp_subscribers(const struct config *c);

/* Maximum number of leases: max_leases, or as many as the subscribers may have, within bounds. */
uint32_t config_pcp_leases(const struct config *c);

/*
 * The arithmetic of a mapping that is translated, with its defaults filled in: 0, or -EINVAL with nothing written.
 * config_geometry_check() says in err what is wrong, and which figures would fit.
 */
int config_mapping_geometry(const struct config_mapping *m, struct geometry *ret);
int config_geometry_check(const struct config_mapping *m, struct geometry *ret, struct error *err);

/* Whether the subscribers of two mappings between the same prefixes have the same addresses and ports. */
bool config_same_ports(const struct config_mapping *a, const struct config_mapping *b);

/* F, from the key or its default. */
uint32_t config_first_port(const struct config_ports *p);

/* Whether a mapping has keys for its ports, rather than its addresses alone. */
bool config_ports_given(const struct config_mapping *m);

/* The XDP mode for an interface, its own or the configuration's. */
enum xdp_mode config_interface_mode(const struct config *c, const struct config_interface *i);

/* How XDP is to run on all interfaces without keys of their own; and on one, with that as what its keys leave open. */
struct xdp_wish config_xdp(const struct config *c);
struct xdp_wish config_interface_xdp(const struct config_interface *i, struct xdp_wish otherwise);

/* Where packets of subscribers may come from besides inside interfaces. */
enum inside_from config_inside_from(const struct config *c);

/* How a mapping's bindings behave: its own setting, or the configuration's; inbound_sessions is not 0. */
struct config_independence config_mapping_independence(const struct config *c, const struct config_mapping *m);

/* The limits of a mapping as the datapath takes them, without their lines; all 0: it has none. */
struct limit_layout config_mapping_limits(const struct config_mapping *m);

/* The figures of a mapping's growth, with defaults filled in; not given, and all 0: it does not grow. */
struct config_growth config_mapping_growth(const struct config_mapping *m);

/* Whether the blocks of a mapping leave room for a granted one: 0, or -EINVAL with the way out in err. */
int config_growth_check(const struct config_mapping *m, struct error *err);

/*
 * Gives each tenant without a number the one that it has in `before` (may be NULL), or a free one. Numbers go into the
 * tables, so every configuration is numbered before it is applied or compared.
 */
void config_number_tenants(struct config *c, const struct config *before);

/*
 * Refuses a tenant whose number is another one's in `running` (may be NULL): the tables would give it that one's
 * sessions and portmaps. 0 or -EBUSY; name: of the file.
 */
int config_check_numbers(const struct config *c, const struct config *running, const char *name, struct error *err);

/* The tenant with that name or number; NULL: there is none. */
const struct config_tenant *config_find_tenant(const struct config *c, const char *name);
const struct config_tenant *config_tenant(const struct config *c, uint8_t id);

/* Its name; "" for 0, and for a number that no tenant has. */
const char *tenant_name(const struct config *c, uint8_t id);

/* Whether two different tenants may have the same inside addresses: at most one of them is routed by the main table. */
bool config_tenants_apart(const struct config *c, const char *a, const char *b);

/* Whether two mappings are of one tenant, or there are no tenants. */
static inline bool config_same_tenant(const struct config_mapping *a, const struct config_mapping *b)
{
	return !strcmp(a->tenant, b->tenant);
}

/* The tenant's number, of a numbered configuration; 0: there are no tenants. */
uint8_t config_mapping_tenant(const struct config *c, const struct config_mapping *m);

/* The tenant of an inside interface, or NULL; and whether an interface is an outside one of a tenant. */
const struct config_tenant *config_interface_tenant(const struct config *c, const struct config_interface *i);
bool config_interface_is_outside_of(const struct config *c, const struct config_interface *i,
				    const struct config_tenant *t);

/* After a change of the list of mappings, or of their addresses, names or tenants, by other than the functions below.
 */
void config_mappings_changed(struct config *c);

/* NULL: there is none. */
struct config_interface *config_find_interface(const struct config *c, const char *name);

/* Whether a mapping may be of the tenant with that name; "" is any. */
static inline bool config_may_be_of(const struct config_mapping *m, const char *tenant)
{
	return !*tenant || !*m->tenant || !strcmp(m->tenant, tenant);
}

/*
 * The mapping between two prefixes. Only one tenant has the outside prefix; of mappings without one, that of the tenant
 * with that name, "" for any. NULL: there is none.
 */
struct config_mapping *config_find_mapping(const struct config *c, struct prefix in, struct prefix out);
struct config_mapping *config_find_mapping_of(const struct config *c, const char *tenant, struct prefix in,
					      struct prefix out);

/* The mapping with that name, or with that inside prefix, of a tenant or of any. NULL: there is none. */
struct config_mapping *config_find_named(const struct config *c, const char *name);
struct config_mapping *config_find_inside(const struct config *c, struct prefix in);
struct config_mapping *config_find_inside_of(const struct config *c, const char *tenant, struct prefix in);

/* The mapping of a tenant, "" for any, with the longest inside prefix that contains this one; NULL: there is none. */
const struct config_mapping *config_find_around(const struct config *c, const char *tenant, struct prefix in);

/*
 * The name of the mapping between two prefixes; "" if it has none, or there is no such mapping. Of mappings without
 * translation, which several tenants may have: with the tenant's name, "" for any.
 */
const char *config_mapping_name(const struct config *c, const char *tenant, struct prefix in, struct prefix out);

/*
 * Writes a mapping's title in messages, "residential (10.0.0.0/18)", "10.0.0.0/18 of ispA" or "10.0.0.0/18", and
 * returns it; tenant as above.
 */
#define MAPPING_TITLE (INSIDE_TEXT + LABEL_TEXT + 4)
const char *config_mapping_title(const struct config *c, const char *tenant, struct prefix in, struct prefix out,
				 char text[static MAPPING_TITLE]);

/*
 * Whether a mapping has endpoint-independent mapping but fewer ports per subscriber than advisable; then writes a
 * warning.
 */
#define FEW_PORTS_TEXT (MAPPING_TITLE + 192)
bool config_few_ports(const struct config *c, const struct config_mapping *m, char text[static FEW_PORTS_TEXT]);

/* The mapping that translates an inside address of a tenant, "" for any; NULL: none. */
const struct config_mapping *config_mapping_of_tenant(const struct config *c, const char *tenant, uint32_t in_addr);

/*
 * The same where the tenant is not known: the mapping that has the outside address as well, unless that is 0, else that
 * of the only tenant with the inside address. Of several, NULL with their first mappings in ret_two, which may be NULL.
 */
const struct config_mapping *config_mapping_of_pair(const struct config *c, uint32_t in_addr, uint32_t out_addr,
						    const struct config_mapping *ret_two[2]);

/* The mapping of a portmap's subscriber, as above; NULL: there is none, or it is not clear which. */
const struct config_mapping *config_mapping_of_portmap(const struct config *c, const struct config_portmap *m);

/* The mapping that a part belongs to: its first part, its number in the list of the file, and the number of its parts.
 */
struct config_mapping *config_first_part(const struct config *c, const struct config_mapping *m);
size_t config_mapping_number(const struct config *c, const struct config_mapping *m);
size_t config_parts(const struct config *c, const struct config_mapping *m);

/* Gives all parts of a mapping what one of them has besides its addresses. */
void config_spread(struct config *c, const struct config_mapping *m);

/*
 * Edits of one element: 0 or -errno (-EEXIST, -ENOENT, -EINVAL, -ENOMEM). The result is not validated. A mapping is
 * deleted with all its parts.
 */
int config_add_mapping(struct config *c, const char *tenant, struct prefix in, struct prefix out);
int config_del_mapping_of(struct config *c, const char *tenant, struct prefix in, struct prefix out);
int config_add_interface(struct config *c, const char *name, uint8_t role);
int config_del_interface(struct config *c, const char *name, uint8_t role);

/*
 * The same for an interface of a tenant, whose number the configuration then has to be given again. -EBUSY: it is an
 * inside interface of another. An outside interface that others share loses the role for this tenant alone.
 */
int config_add_tenant_interface(struct config *c, const struct config_tenant *t, const char *name, uint8_t role);
int config_del_tenant_interface(struct config *c, const struct config_tenant *t, const char *name, uint8_t role);

/*
 * The rest that keeps outside addresses from other inside ones for some seconds yet, or NULL. geo: how they would share
 * the ports; without ports_per_host: as the prefixes alone say.
 */
const struct config_rest *config_find_rest(const struct config *c, const char *tenant, struct prefix in,
					   struct prefix out, const struct geometry *geo);

/* Remaining seconds of a rest, rounded up. */
unsigned config_rest_left(const struct config_rest *r);

/* The JSON schema (draft 2020-12) of configuration files, as text that the caller frees. NULL: out of memory. */
char *config_schema(void);

#endif
