/* SPDX-License-Identifier: BSD-2-Clause */
#include "change/preflight.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/rtnetlink.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/interface_pattern.h"
#include "base/log.h"
#include "base/virtual6.h"
#include "config/config.h"
#include "fib/gateways.h"
#include "host/memory.h"
#include "host/netlink.h"
#include "host/paths.h"
#include "tables/mappings.h"

/* Next hops of the kernel's routes. */

/* A table of a million routes has few next hops; recent ones are not looked up again. */
#define SEEN 64U

struct search {
	const struct prefix *prefix;
	int n;
	int found;
	uint32_t next_hop;
	uint32_t seen[SEEN]; /* 0: free */
};

static void search_reset(void *arg)
{
	struct search *s = arg;

	*s = (struct search){ .prefix = s->prefix, .n = s->n, .found = s->n };
}

static void look_up(uint32_t next_hop, void *arg)
{
	struct search *s = arg;
	uint32_t *seen = &s->seen[HASH_OF(next_hop) % SEEN];

	if (*seen == next_hop)
		return;
	*seen = next_hop;
	for (int i = 0; i < s->found; i++) {
		if (prefix_holds(s->prefix[i], next_hop)) {
			s->found = i;
			s->next_hop = next_hop;
			return;
		}
	}
}

static void visit_route(const struct nlmsghdr *h, void *arg)
{
	fib_gateways_of(h, look_up, arg);
}

/*
 * Searches the IPv4 routes of this network namespace for next hops in any of n prefixes. Returns the lowest number of a
 * prefix that contains one, with the next hop in host byte order; n if there is none; or -errno.
 */
static int routes_find_next_hop(const struct prefix *prefix, int n, uint32_t *ret_next_hop)
{
	_cleanup_netlink_ struct netlink *netlink = NULL;
	struct search s = { .prefix = prefix, .n = n };
	struct nlmsghdr *request;
	int r = netlink_new(&netlink);

	if (r < 0)
		return r;
	request = netlink_request(netlink, RTM_GETROUTE, NLM_F_DUMP, sizeof(struct rtmsg));
	((struct rtmsg *)mnl_nlmsg_get_payload(request))->rtm_family = AF_INET;
	search_reset(&s);
	r = netlink_dump(netlink, visit_route, search_reset, &s);
	if (r < 0)
		return r;
	if (s.found < n)
		*ret_next_hop = s.next_hop;
	return s.found;
}

struct check {
	const struct config *config;
	const struct config *running; /* NULL: nothing runs */
	enum check_purpose purpose;
	const struct route_copy *routes; /* NULL: there is no copy of them */
	const char *name;
	struct error *err;
};

static void say_unmatched(const char *pattern)
{
	struct if_nameindex *all = if_nameindex();
	bool any = interface_is_any(pattern);

	for (struct if_nameindex *i = all; i && i->if_index && !any; i++)
		any = interface_matches(pattern, i->if_name);
	if (!any)
		log_info("%s: no interface matches yet; those that appear are attached", pattern);
	if (all)
		if_freenameindex(all);
}

/* The path of an interface in the file, if it has one: of several, that of the first tenant. */
static void name_path(const struct config *c, const struct config_interface *i, char *path, size_t size)
{
	const char *list = i->roles & DEVICE_INSIDE ? "inside" : "outside";
	size_t tenant = 0, n = 0;

	while (tenant < c->n_tenants && config_interface_tenant(c, i) != &c->tenants[tenant] &&
	       (i->inside_of || !config_interface_is_outside_of(c, i, &c->tenants[tenant])))
		tenant++;
	if (tenant < c->n_tenants)
		n = (size_t)snprintf(path, size, "tenants[%zu].", tenant);
	n += (size_t)snprintf(path + n, size - n, "interfaces.%s", list);
	if (i->line)
		snprintf(path + n, size - n, "[%u]", i->position);
}

static int check_interfaces(const struct check *k)
{
	for (size_t i = 0; i < k->config->n_interfaces; i++) {
		const struct config_interface *interface = &k->config->interfaces[i];
		char path[80], main_name[IFNAMSIZ];
		unsigned ifindex;

		if (k->running && config_find_interface(k->running, interface->name))
			continue;
		if (strchr(interface->name, '*')) {
			say_unmatched(interface->name);
			continue;
		}
		name_path(k->config, interface, path, sizeof(path));
		ifindex = if_nametoindex(interface->name);
		if (!ifindex && k->purpose == CHECK_START) {
			log_warning("%s: there is no such interface yet; it is attached when it appears",
				    interface->name);
			continue;
		}
		if (!ifindex)
			return config_refuse(k->err, -ENODEV, k->name, interface->line, path,
					     "there is no interface %s on this machine", interface->name);
		/* Interfaces are known by their main name; under another one, a link could be listed twice. */
		if (if_indextoname(ifindex, main_name) && strcmp(main_name, interface->name) != 0)
			return config_refuse(k->err, -EINVAL, k->name, interface->line, path,
					     "%s is another name of %s; write %s", interface->name, main_name,
					     main_name);
		if (ifindex >= MAX_IFINDEX)
			return config_refuse(k->err, -ERANGE, k->name, interface->line, path,
					     "the index of %s, %u, is above %u", interface->name, ifindex,
					     MAX_IFINDEX - 1);
	}
	return 0;
}

static bool has_vrf(const struct config *c, const char *vrf)
{
	for (size_t i = 0; c && i < c->n_tenants; i++)
		if (!strcmp(c->tenants[i].vrf, vrf))
			return true;
	return false;
}

static int check_vrf(const struct check *k, struct netlink *n, const struct config_tenant *t)
{
	char path[40];
	struct link l;
	int r = link_by_name(n, t->vrf, &l);

	snprintf(path, sizeof(path), "tenants[%zu].vrf", (size_t)(t - k->config->tenants));
	if (!r && !link_is_vrf(&l))
		return config_refuse(
			k->err, -EINVAL, k->name, t->line, path,
			"%s is an interface, and no VRF: write the name of a VRF, such as one that `ip link "
			"add vrf-%.10s type vrf table 1000` makes",
			t->vrf, t->name);
	if (r == -ENODEV && k->purpose != CHECK_TEST)
		log_warning("%s: there is no such VRF yet; the tenant %s is reached when it appears", t->vrf, t->name);
	else if (r == -ENODEV)
		return config_refuse(k->err, r, k->name, t->line, path,
				     "there is no VRF %s on this machine: `ip link add %s type vrf table TABLE` makes "
				     "one",
				     t->vrf, t->vrf);
	return 0;
}

/* A VRF may appear later, with its interfaces. */
static int check_vrfs(const struct check *k)
{
	_cleanup_netlink_ struct netlink *n = NULL;
	int r = 0;

	for (size_t i = 0; !r && i < k->config->n_tenants; i++) {
		const struct config_tenant *t = &k->config->tenants[i];

		if (!*t->vrf || has_vrf(k->running, t->vrf))
			continue;
		if (!n && netlink_new(&n))
			return 0;
		r = check_vrf(k, n, t);
	}
	return r;
}

/* Octets of a hash's list head in the kernel. */
#define LIST_HEAD 16U

/*
 * Memory of a full table of leases: for each, two entries in the kernel and a record in the agent, and list heads of
 * both maps.
 */
#define LEASE_OCTETS (2 * 128U + 176U)

static uint64_t lease_memory(uint32_t leases)
{
	uint64_t heads = 1;

	while (heads < PORTMAP_ROOM(leases))
		heads *= 2;
	return (uint64_t)leases * LEASE_OCTETS + 3 * heads * LIST_HEAD;
}

/* Whether the tables of a mapping exist already. */
static bool has_tables(const struct check *k, const struct config_mapping *m)
{
	const struct config_mapping *known =
		k->running ? config_find_mapping_of(k->running, m->tenant, m->in, m->out) : NULL;

	return known && config_mapping_slots(k->running, known) == config_mapping_slots(k->config, m) &&
	       config_same_ports(known, m);
}

uint64_t config_binding_memory(const struct config *c, const struct config_mapping *m)
{
	struct geometry g;

	if (config_mapping_geometry(m, &g))
		return 0;
	return mappings_binding_memory(&g, config_mapping_slots(c, m), config_mapping_independence(c, m).mapping);
}

/* The memory that is free. Asking takes the kernel a while, so nobody asks who needs none. */
struct free_memory {
	bool asked;
	uint64_t octets;
};

static bool exceeds(uint64_t needed, struct free_memory *f)
{
	if (needed && !f->asked)
		*f = (struct free_memory){ true, memory_available() };
	return needed > f->octets;
}

/* Memory that tables shared by all subscribers need beyond the running configuration's: extents, leases. */
static int check_common_memory(const struct check *k, struct free_memory *available, uint64_t *ret_needed)
{
	const struct config *c = k->config;
	uint32_t leases = config_pcp_leases(c);
	uint64_t needed = 0;
	char needed_text[MEMORY_TEXT], available_text[MEMORY_TEXT], own_text[MEMORY_TEXT];

	if (!k->running || k->running->overflow_sessions != c->overflow_sessions)
		needed = (uint64_t)extents_room(c) * sizeof(struct bucket);
	if (exceeds(needed, available))
		return config_refuse(k->err, -ENOMEM, k->name, c->beyond_line, "overflow_sessions",
				     "%u sessions need %s of memory, but %s are free", c->overflow_sessions,
				     memory_format(needed, needed_text),
				     memory_format(available->octets, available_text));
	if (c->pcp.enabled && (!k->running || config_pcp_leases(k->running) < leases))
		needed += lease_memory(leases);
	if (exceeds(needed, available))
		return config_refuse(k->err, -ENOMEM, k->name, config_line(c, "pcp.max_leases"), "pcp.max_leases",
				     "%u leases need %s of memory, with what comes before it %s; %s are free; a lower "
				     "max_leases makes their table smaller",
				     leases, memory_format(lease_memory(leases), own_text),
				     memory_format(needed, needed_text),
				     memory_format(available->octets, available_text));
	*ret_needed = needed;
	return 0;
}

static int check_memory(const struct check *k)
{
	const struct config *c = k->config;
	struct free_memory available = { 0 };
	uint64_t needed = 0;
	char needed_text[MEMORY_TEXT], available_text[MEMORY_TEXT];
	int r = check_common_memory(k, &available, &needed);

	if (r)
		return r;

	for (size_t i = 0; i < c->n_mappings; i++) {
		const struct config_mapping *m = &c->mappings[i];
		char path[32], text[INSIDE_TEXT], own_text[MEMORY_TEXT];
		uint64_t own;

		if (has_tables(k, m))
			continue;
		own = prefix_is_none(m->out)
			      ? 0
			      : mappings_memory(m->in, config_mapping_slots(c, m)) + config_binding_memory(c, m);
		needed += own;
		if (!exceeds(needed, &available))
			continue;
		snprintf(path, sizeof(path), "mappings[%zu]", config_mapping_number(c, m));
		return config_refuse(k->err, -ENOMEM, k->name, m->line, k->name ? path : "",
				     "the tables of %s need %s of memory, with what comes before it %s; %s "
				     "are free; fewer session_slots make them smaller",
				     inside_prefix_text(m->in, text), memory_format(own, own_text),
				     memory_format(needed, needed_text),
				     memory_format(available.octets, available_text));
	}
	return 0;
}

static bool may_lead_to(const struct route_copy *routes, struct prefix out)
{
	for (uint64_t at = out.base; at <= prefix_last(out);) {
		struct prefix piece = prefix_first_of((uint32_t)at, prefix_last(out));

		if (route_copy_may_lead_to(routes, piece))
			return true;
		at = (uint64_t)prefix_last(piece) + 1;
	}
	return false;
}

/* With the next hop in a pool, the gateway would answer ARP requests for it, and egress would be lost. */
static int check_next_hops(const struct check *k)
{
	const struct config *c = k->config;
	_cleanup_free_ struct prefix *prefix = calloc(c->n_mappings + 1, sizeof(*prefix));
	_cleanup_free_ size_t *number = calloc(c->n_mappings + 1, sizeof(*number));
	int n = 0, found;
	uint32_t next_hop = 0;

	if (!prefix || !number)
		return error_set(k->err, -ENOMEM, "no memory to check the mappings");
	for (size_t i = 0; i < c->n_mappings; i++) {
		if (prefix_is_none(c->mappings[i].out) ||
		    (k->running && config_find_mapping(k->running, c->mappings[i].in, c->mappings[i].out)))
			continue;
		if (k->routes && !may_lead_to(k->routes, c->mappings[i].out))
			continue;
		prefix[n] = c->mappings[i].out;
		number[n++] = i;
	}
	if (!n)
		return 0;

	found = routes_find_next_hop(prefix, n, &next_hop);
	if (found < 0)
		return error_set(k->err, found, "the kernel's routes cannot be read: %s", strerror(-found));
	if (found < n) {
		char path[32], hop[INSIDE_TEXT], pool[INSIDE_TEXT];

		snprintf(path, sizeof(path), "mappings[%zu].out",
			 config_mapping_number(c, &c->mappings[number[found]]));
		return config_refuse(k->err, -EADDRINUSE, k->name, c->mappings[number[found]].out_line,
				     k->name ? path : "", "%s holds %s, the next hop of a route of this machine",
				     prefix_text(prefix[found], pool), addr_format(next_hop, hop));
	}
	return 0;
}

/* Why a program cannot be run, or ought not to be; NULL: it can. */
static const char *problem_of_program(const char *path, struct error *why)
{
	struct stat st;

	if (stat(path, &st))
		return strerror(errno);
	if (!S_ISREG(st.st_mode))
		return "it is not a file";
	if (!(st.st_mode & 0111) || access(path, X_OK))
		return "it is not executable; chmod +x it";
	if (st.st_mode & S_IWOTH)
		return "every user may change it; chmod o-w it";
	/* Its directories, too: who may write to one of them can put another program there. */
	return path_check(path, why) ? (*why->text ? why->text : "its path cannot be followed") : NULL;
}

/* Changes that do not come from the file have the program that is in force. */
static int check_exec(const struct check *k)
{
	const struct config_attack *attack = &k->config->attack;
	struct error why = { 0 };
	const char *problem =
		attack->enabled && *attack->exec && k->name ? problem_of_program(attack->exec, &why) : NULL;

	if (problem && k->purpose == CHECK_START)
		log_warning("attack.exec: %s cannot be run: %s", attack->exec, problem);
	if (!problem || k->purpose == CHECK_START)
		return 0;
	return config_refuse(k->err, -EINVAL, k->name, config_line(k->config, "attack.exec"), "attack.exec",
			     "%s cannot be run: %s", attack->exec, problem);
}

int check_machine(const struct config *c, const struct config *running, enum check_purpose purpose,
		  const struct route_copy *routes, const char *name, struct error *err)
{
	const struct check k = {
		.config = c, .running = running, .purpose = purpose, .routes = routes, .name = name, .err = err
	};
	int r = config_check_numbers(c, running, name, err);

	if (r == 0)
		r = check_interfaces(&k);
	if (r == 0)
		r = check_vrfs(&k);
	if (r == 0)
		r = check_memory(&k);
	if (r == 0)
		r = check_next_hops(&k);
	return r ? r : check_exec(&k);
}
