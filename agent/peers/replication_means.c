/* SPDX-License-Identifier: BSD-2-Clause */
#include "peers/replication_means.h"

#include <errno.h>
#include <net/if.h>
#include <string.h>

#include "base/address.h"
#include "host/netlink.h"
#include "peers/gate.h"
#include "peers/replication.h"
#include "routing/route_lookup.h"

const uint8_t *replication_key(const struct replication_means *m)
{
	return *m->rules.key_file ? m->key : NULL;
}

void replication_means_drop(struct replication_means *m)
{
	close_fd(&m->fd);
	key_forget(m, sizeof(*m));
	m->fd = -1;
}

static int refuse(const struct replication_source *from, const char *key, int r, const struct error *why,
		  struct error *err)
{
	char path[48];

	snprintf(path, sizeof(path), "replication.%s", key);
	return config_refuse(err, r, from->name, from->config ? config_line(from->config, path) : 0, path, "%s",
			     why->text);
}

/* Reads the key or, without one, checks the routes to the peers. */
static int prepare_key(const struct config_replication *rules, struct replication_means *m,
		       const struct replication_source *from, struct error *err)
{
	struct error why = { 0 };
	int r = 0;

	if (*rules->key_file)
		r = key_file_read(rules->key_file, m->key, &why);
	for (uint32_t i = 0; !*rules->key_file && !r && i < rules->n_peers; i++) {
		r = private_way_check(rules->peers[i].addr, &why);
		/* A route may appear; it is checked again before each connection. */
		if (r == -ENETUNREACH)
			r = 0;
	}
	return r ? refuse(from, "key_file", r, &why, err) : 0;
}

static int prepare_socket(const struct config_replication *rules, struct replication_means *m,
			  const struct replication_source *from, struct error *err)
{
	struct error why = { 0 };
	char text[ADDR_TEXT];

	m->fd = gate_socket(rules->listen);
	if (m->fd >= 0)
		return 0;
	error_set(&why, m->fd, "cannot listen on %s:%u: %s%s", addr_format(rules->listen.addr, text),
		  rules->listen.port, strerror(-m->fd),
		  m->fd == -EADDRNOTAVAIL ? "; it must be an address of this machine"
		  : m->fd == -EACCES	  ? "; choose a port from 1024 up"
					  : "");
	return refuse(from, "listen", m->fd, &why, err);
}

static bool same_lists(const struct config_replication *a, const struct config_replication *b)
{
	if (a->n_peers != b->n_peers || a->n_mappings != b->n_mappings)
		return false;
	for (uint32_t i = 0; i < a->n_peers; i++)
		if (!endpoint_equal(a->peers[i], b->peers[i]))
			return false;
	for (uint32_t i = 0; i < a->n_mappings; i++)
		if (strcmp(a->mappings[i], b->mappings[i]) != 0)
			return false;
	return true;
}

bool replication_same_means(const struct replication_means *a, const struct replication_means *b)
{
	const struct config_replication *x = &a->rules, *y = &b->rules;

	return x->enabled == y->enabled && endpoint_equal(x->listen, y->listen) && x->min_age == y->min_age &&
	       x->interval == y->interval && !strcmp(x->key_file, y->key_file) &&
	       !memcmp(a->key, b->key, sizeof(a->key)) && same_lists(x, y);
}

int replication_prepare(const struct config_replication *rules, const struct config_replication *running,
			struct replication_means *ret, const struct replication_source *from, struct error *err)
{
	struct replication_means m = { .rules = *rules, .fd = -1 };
	bool listens = running && running->enabled && endpoint_equal(running->listen, rules->listen);
	int r = rules->enabled ? prepare_key(rules, &m, from, err) : 0;

	if (!r && rules->enabled && !listens)
		r = prepare_socket(rules, &m, from, err);
	if (r) {
		replication_means_drop(&m);
		return r;
	}
	*ret = m;
	return 0;
}

int replication_check(const struct config *c, const struct config *running, const char *name, struct error *err)
{
	const struct replication_source from = { c, name };
	struct replication_means m;
	int r = replication_prepare(&c->replication, running ? &running->replication : NULL, &m, &from, err);

	if (!r)
		replication_means_drop(&m);
	return r;
}

static bool encrypts(const struct link *l)
{
	static const char *const kinds[] = { "wireguard", "xfrm", "vti" };

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (!strcmp(l->kind, kinds[i]))
			return true;
	return false;
}

int private_way_check(uint32_t addr, struct error *err)
{
	_cleanup_netlink_ struct netlink *n = NULL;
	struct kernel_way way;
	char text[ADDR_TEXT];
	struct link link;
	int r = kernel_way_read(addr, 0, &way);

	addr_format(addr, text);
	if (!r && (way.error || !way.ifindex))
		return error_set(err, -ENETUNREACH, "there is no route to %s", text);
	if (!r)
		r = netlink_new(&n);
	if (!r)
		r = link_by_index(n, way.ifindex, &link);
	if (r)
		return error_set(err, r, "the route to %s cannot be read: %s", text, strerror(-r));
	if (link.flags & IFF_LOOPBACK || encrypts(&link))
		return 0;
	return error_set(
		err, -EPERM,
		"null is for loopback, WireGuard and IPsec interfaces, but %s is reached through %s; name a key "
		"file, or route it through a tunnel",
		text, link.name);
}
