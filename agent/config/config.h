/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The configuration: read from JSON, checked, compared, written back as JSON.
 * Everything here is pure: it touches neither interfaces nor the datapath (see change/preflight.h for what needs the
 * machine).
 */
#ifndef DETNAT_CONFIG_H
#define DETNAT_CONFIG_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <detnat/tables.h>

#include "base/address.h"
#include "base/base.h"
#include "proto/collector_endpoint.h"
#include "proto/timeouts.h"
#include "proto/words.h"

/* A file longer than this is refused. */
#define CONFIG_MAX_SIZE (8U << 20)
/* Fewer than the table has, so that mappings can be replaced while it is full. */
#define CONFIG_MAX_MAPPINGS   1000U
#define CONFIG_MAX_INTERFACES 4096U

/* The default of pin_path. */
#define CONFIG_PIN_PATH "/sys/fs/bpf/detnat"

struct config_interface {
	char name[IFNAMSIZ];
	uint8_t roles;	   /* DEVICE_INSIDE, DEVICE_OUTSIDE or both */
	unsigned line;	   /* in the file; 0: from elsewhere */
	unsigned position; /* in that list of the file: `inside` for an interface in both */
};

/* Slots of a mapping that are "auto" whatever the configuration's are. */
#define CONFIG_SLOTS_AUTO UINT32_MAX

struct config_mapping {
	struct prefix in;
	struct prefix out;
	uint32_t sessions_per_user; /* 0: the configuration's */
	uint32_t session_slots;	    /* 0: the configuration's, which may be 0 for "auto"; CONFIG_SLOTS_AUTO */
	unsigned line;		    /* in the file, of the mapping and of its prefixes; 0: from elsewhere */
	unsigned in_line;
	unsigned out_line;
};

enum ipfix_event { IPFIX_QUOTA = 1, IPFIX_PORTS = 2, IPFIX_SESSIONS = 4, IPFIX_FRAGMENTS = 8, IPFIX_ADDRESSES = 16 };
extern const struct word ipfix_event_words[];

struct config_ipfix {
	bool enabled;
	uint32_t n_collectors; /* 1 or more where enabled, none twice */
	struct collector_endpoint collectors[MAX_COLLECTORS];
	struct endpoint source; /* addr 0: the kernel's choice; port 0: any */
	uint32_t domain_id;
	uint32_t path_mtu;
	uint32_t template_interval; /* seconds */
	uint8_t events;		    /* enum ipfix_event, or-ed */
};

/* Fragments that came before the first of their datagram. */
struct config_fragments {
	uint32_t max_parked; /* how many wait for it; 0: none */
	uint32_t max_bytes;  /* of memory that they take */
	uint32_t timeout;    /* seconds for which they wait */
	uint32_t per_subscriber;
};

enum forwarding { FORWARDING_REDIRECT, FORWARDING_KERNEL };
extern const struct word forwarding_words[];
extern const struct word unmatched_words[];

enum xdp_mode { XDP_MODE_AUTO, XDP_MODE_NATIVE, XDP_MODE_SKB };

struct config {
	struct config_interface *interfaces; /* one element a name */
	size_t n_interfaces;
	struct config_mapping *mappings;
	size_t n_mappings;
	struct prefix *bypass;
	size_t n_bypass;
	uint32_t sessions_per_user;
	uint32_t session_slots; /* 0: auto */
	uint32_t overflow_sessions;
	unsigned overflow_line;	       /* in the file; 0: from elsewhere */
	uint32_t timeouts[N_TIMEOUTS]; /* seconds */
	struct config_ipfix ipfix;
	struct config_fragments fragments;
	enum forwarding forwarding;
	enum xdp_mode xdp_mode;
	enum unmatched unmatched;
	bool answer_arp;
	bool hairpin;
	uint32_t tcp_mss_clamp; /* 0: off; MSS_CLAMP_MTU: "mtu" */
	bool udp_inbound_refresh;
	enum unsolicited_tcp unsolicited_tcp;
	bool guard;
	uint8_t quota_icmp_code;
	uint32_t sweep_interval; /* seconds */
	char *control_socket;
	char *pin_path;
	char *state_dir;
	unsigned control_socket_line; /* in the file; 0: from elsewhere */
	unsigned pin_path_line;
	unsigned state_dir_line;
	bool metrics_enabled;
	struct endpoint metrics_listen;
	bool detach_on_exit;
};

/* The defaults of the contract, with no interfaces and no mappings; freed with config_free(). NULL: no memory. */
struct config *config_new(void);

/*
 * Reads and checks a configuration file. On success *ret is the caller's, freed with config_free(), and *ret_hash (may
 * be NULL) identifies the file's content. Returns 0, or -errno with err saying "FILE:LINE: KEY.PATH: what is wrong":
 * unknown or repeated keys, wrong types, values out of range, malformed or overlapping prefixes, and so on (contract,
 * section 2). What is no regular file is refused unread.
 */
int config_load(const char *path, struct config **ret, uint64_t *ret_hash, struct error *err);

/*
 * Logs a warning of each thing in `now` that is not as in `before` (may be NULL) and that the operator should know:
 * timeouts below their minima, keys that change nothing. name stands for the file; NULL leaves it out.
 */
void config_warn(const struct config *now, const struct config *before, const char *name);

/* The same for a text in memory; name stands for the file in messages. */
int config_parse(const char *text, size_t size, const char *name, struct config **ret, struct error *err);

/*
 * Checks ranges of values, ranges and overlaps of prefixes, names and counts; config_parse() has done so. name as
 * there; NULL leaves it out of the message. Of two things that overlap the later one is named. 0 or -EINVAL.
 */
int config_validate(const struct config *c, const char *name, struct error *err);

/*
 * Stores "NAME:LINE: PATH: text" and returns r. A name of NULL, a line of 0 and an empty path are left out.
 */
int config_refuse(struct error *err, int r, const char *name, unsigned line, const char *path, const char *format, ...)
	__attribute__((format(printf, 6, 7)));

/* Deep copy; NULL when memory is short. */
struct config *config_clone(const struct config *c);
void config_free(struct config *c);

static inline void config_free_pointer(struct config **c)
{
	config_free(*c);
}

#define _cleanup_config_ __attribute__((cleanup(config_free_pointer)))

/* The configuration as JSON that config_parse() reads back to an equal one; the caller frees it. NULL: no memory. */
char *config_to_json(const struct config *c);

/* Copies what the programs read of the configuration; settings that depend on the machine are left as they are. */
void config_settings(const struct config *c, struct settings *settings);

/* Quota and slots of a mapping after defaults; slots is a power of two from 8 to 2048 (contract, `session_slots`). */
uint32_t config_mapping_quota(const struct config *c, const struct config_mapping *m);
uint32_t config_mapping_slots(const struct config *c, const struct config_mapping *m);

/* Elements by their identity, or NULL. */
struct config_interface *config_find_interface(const struct config *c, const char *name);
struct config_mapping *config_find_mapping(const struct config *c, struct prefix in, struct prefix out);

/* Changes of one element; 0 or -errno (-EEXIST, -ENOENT, -EINVAL, -ENOMEM). The result is not validated. */
int config_add_mapping(struct config *c, struct prefix in, struct prefix out);
int config_del_mapping(struct config *c, struct prefix in, struct prefix out);
int config_add_interface(struct config *c, const char *name, uint8_t role);
int config_del_interface(struct config *c, const char *name, uint8_t role);

#endif
