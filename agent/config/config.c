/* SPDX-License-Identifier: BSD-2-Clause */
/* A configuration as a whole: defaults, copies, and the quota and slots of its mappings. */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "config/near.h"
#include "config/port_pairs.h"
#include "config/portmap_share.h"
#include "proto/defaults.h"

struct config *config_new(void)
{
	_cleanup_config_ struct config *c = malloc(sizeof(*c));

	if (!c)
		return NULL;
	*c = (struct config){
		.sessions_per_user = 1000,
		.overflow_sessions = 65536,
		.extent_buckets = EXTENTS_BY_SIZE, /* no key sets it */
		.timeouts = {
#define X(constant, name, seconds) [constant] = seconds,
			TIMEOUTS(X)
#undef X
		},
		.ipfix = {
			.domain_id = 1,
			.path_mtu = 512,
			.template_interval = 600,
			.events = IPFIX_QUOTA | IPFIX_PORTS,
		},
		.syslog = {
			.events = NOTICE_DEFAULTS,
			.facility = 3,
		},
		.fragments = {
			.max_parked = 2048,
			.max_bytes = 4U << 20,
			.timeout = 2,
			.per_subscriber = 64,
		},
		.pcp = {
			.announce = true,
			.confirm_neighbours = true,
			.max_per_subscriber = 32,
			.lifetime_min = 120,
			.lifetime_max = 86400,
		},
		.replication = {
			.min_age = 2,
			.interval = 1,
		},
		.attack = {
			.hold = 300,
		},
		.stages = STAGES_AUTO,
		.guard = true,
		.answer_arp = true,
		.hairpin = true,
		.quota_icmp_code = 1,
		.xdp_priority = CONFIG_XDP_PRIORITY,
		.sweep_interval = 5,
		.near = near_index_new(),
		.portmap_share = portmap_share_new(),
		.control_socket = strdup(DEFAULT_SOCKET),
		.pin_path = strdup(CONFIG_PIN_PATH),
		.state_dir = strdup(DEFAULT_STATE_DIR),
		.metrics_listen = { .addr = INADDR_LOOPBACK, .port = 9469 },
		.metrics_per_mapping = true,
	};
	return c->near && c->portmap_share && c->control_socket && c->pin_path && c->state_dir ? take_pointer(c) : NULL;
}

static void let_go_of_portmaps(struct config *c)
{
	if (portmap_share_end(c->portmap_share))
		free(c->portmaps);
}

void config_free(struct config *c)
{
	if (!c)
		return;
	free(c->interfaces);
	free(c->tenants);
	for (size_t i = 0; c->mappings && i < c->n_mappings; i++)
		free(c->mappings[i].lists);
	free(c->mappings);
	near_index_free(c->near);
	let_go_of_portmaps(c);
	free(c->bypass);
	free(c->draining);
	free(c->rests);
	free(c->lines);
	free(c->control_socket);
	free(c->pin_path);
	free(c->state_dir);
	free(c);
}

/* A copy of n elements; NULL only if memory is short, even for n = 0. */
static void *copy_array(const void *from, size_t n, size_t size)
{
	char *to = reallocarray(NULL, n + 1, size);

	if (!to)
		return NULL;
	if (n)
		memcpy(to, from, n * size);
	memset(to + n * size, 0, size);
	return to;
}

/* A copy of the mappings with texts of their own, or NULL. */
static struct config_mapping *copy_mappings(const struct config_mapping *from, size_t n)
{
	struct config_mapping *to = copy_array(from, n, sizeof(*to));
	bool short_of_memory = false;

	for (size_t i = 0; to && i < n; i++) {
		if (!to[i].lists)
			continue;
		to[i].lists = strdup(to[i].lists);
		short_of_memory |= !to[i].lists;
	}
	if (!short_of_memory)
		return to;
	for (size_t i = 0; i < n; i++)
		free(to[i].lists);
	free(to);
	return NULL;
}

bool config_share_portmaps(struct config *c, const struct config *with)
{
	if (!with->portmap_share)
		return false;
	with->portmap_share->sharers++;
	let_go_of_portmaps(c);
	c->portmaps = with->portmaps;
	c->n_portmaps = with->n_portmaps;
	c->portmap_share = with->portmap_share;
	return true;
}

/* Most changes leave the portmaps alone, and they are many: a copy shares them. False: out of memory. */
static bool share_portmaps(struct config *copy)
{
	if (copy->portmap_share) {
		copy->portmap_share->sharers++;
		return true;
	}
	copy->portmaps = copy_array(copy->portmaps, copy->n_portmaps, sizeof(*copy->portmaps));
	return copy->portmaps;
}

int config_own_portmaps(struct config *c)
{
	struct config_portmap *own;
	struct portmap_share *share;

	if (!c->portmap_share || !c->portmap_share->sharers) {
		portmap_share_changes(c->portmap_share);
		return 0;
	}
	own = copy_array(c->portmaps, c->n_portmaps, sizeof(*c->portmaps));
	share = portmap_share_new();
	if (!own || !share) {
		free(own);
		free(share);
		return -ENOMEM;
	}
	c->portmap_share->sharers--;
	c->portmap_share = share;
	c->portmaps = own;
	return 0;
}

/* Of one whose lists of mappings, portmaps, drains and rests are to be empty. */
static void empty_lists(struct config *c)
{
	c->mappings = NULL;
	c->near = NULL;
	c->portmaps = NULL;
	c->portmap_share = NULL;
	c->draining = NULL;
	c->rests = NULL;
	c->n_mappings = c->n_portmaps = c->n_draining = c->n_rests = 0;
}

static struct config *clone(const struct config *c, bool lists)
{
	_cleanup_config_ struct config *copy = malloc(sizeof(*copy));
	bool has_portmaps;

	if (!copy)
		return NULL;
	*copy = *c;
	if (!lists)
		empty_lists(copy);
	has_portmaps = share_portmaps(copy);
	copy->lines = copy_array(c->lines, c->n_lines, sizeof(*c->lines));
	copy->interfaces = copy_array(c->interfaces, c->n_interfaces, sizeof(*c->interfaces));
	copy->tenants = copy_array(c->tenants, c->n_tenants, sizeof(*c->tenants));
	copy->mappings = copy_mappings(c->mappings, copy->n_mappings);
	copy->near = lists ? near_index_share(c, copy->mappings) : near_index_new();
	copy->bypass = copy_array(c->bypass, c->n_bypass, sizeof(*c->bypass));
	copy->draining = copy_array(c->draining, copy->n_draining, sizeof(*c->draining));
	copy->rests = copy_array(c->rests, copy->n_rests, sizeof(*c->rests));
	copy->control_socket = strdup(c->control_socket);
	copy->pin_path = strdup(c->pin_path);
	copy->state_dir = strdup(c->state_dir);
	if (!copy->interfaces || !copy->tenants || !copy->mappings || !copy->near || !has_portmaps || !copy->bypass ||
	    !copy->draining || !copy->rests || !copy->lines || !copy->control_socket || !copy->pin_path ||
	    !copy->state_dir)
		return NULL;
	return take_pointer(copy);
}

struct config *config_clone(const struct config *c)
{
	return clone(c, true);
}

struct config *config_clone_keys(const struct config *c)
{
	return clone(c, false);
}

uint32_t config_mapping_quota(const struct config *c, const struct config_mapping *m)
{
	return m->sessions_per_user ? m->sessions_per_user : c->sessions_per_user;
}

struct limit_layout config_mapping_limits(const struct config_mapping *m)
{
	const struct config_limits *l = &m->limits;

	if (!l->given)
		return (struct limit_layout){ 0 };
	return (struct limit_layout){
		.sessions = { [LIMIT_TCP] = l->tcp, [LIMIT_UDP] = l->udp, [LIMIT_ICMP] = l->icmp },
		.interval_ns = limit_interval_ns(l->new_per_second),
		.rate = l->new_per_second,
		.burst = !l->new_per_second ? 0
			 : l->new_burst	    ? l->new_burst
					    : l->new_per_second,
	};
}

struct config_independence config_mapping_independence(const struct config *c, const struct config_mapping *m)
{
	struct config_independence i = m->independence.given ? m->independence : c->independence;

	if (!i.inbound_sessions)
		i.inbound_sessions = c->independence.inbound_sessions;
	if (!i.inbound_sessions)
		i.inbound_sessions = CONFIG_INBOUND_SESSIONS;
	/* Without sessions there is nothing to bind. */
	if (prefix_is_none(m->out) || m->inbound == INBOUND_OPEN)
		i.mapping = i.filtering = 0;
	return i;
}

/* As many as the ports of a host need. */
static uint32_t auto_slots(const struct config_mapping *m)
{
	struct geometry g;

	if (config_mapping_geometry(m, &g) < 0)
		return AUTO_MIN_SLOTS;
	return slots_for_ports(g.ports_per_host);
}

uint32_t config_mapping_slots(const struct config *c, const struct config_mapping *m)
{
	if (prefix_is_none(m->out) || m->inbound == INBOUND_OPEN)
		return 0;

	uint32_t slots = m->session_slots ? m->session_slots : c->session_slots;

	return slots && slots != CONFIG_SLOTS_AUTO ? slots : auto_slots(m);
}
