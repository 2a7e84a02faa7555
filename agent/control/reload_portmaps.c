// SPDX-License-Identifier: BSD-2-Clause
#include "control/reload_portmaps.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "config/port_pairs.h"
#include "control/answer.h"
#include "proto/words.h"

/* The portmaps of a configuration, by protocol and outside endpoint. */
struct side {
	const struct config *config;
	struct port_pair *pair;
	size_t n;
};

/* Consecutive ports, of which the last is the one before `in` and `out`. */
struct run {
	cJSON *list; /* NULL: none is under way */
	cJSON *item;
	const struct config_portmap *of, *was; /* was: of an update, else NULL */
	struct port_pair next;
	struct endpoint was_next;
	uint32_t ports;
};

static int compare(const struct port_pair *a, const struct port_pair *b)
{
	if (a->proto != b->proto)
		return a->proto < b->proto ? -1 : 1;
	if (a->out.addr != b->out.addr)
		return a->out.addr < b->out.addr ? -1 : 1;
	return a->out.port < b->out.port ? -1 : a->out.port > b->out.port;
}

static const struct config_portmap *portmap_of(const struct side *s, size_t at)
{
	return &s->config->portmaps[s->pair[at].number];
}

static bool same_endpoint(struct endpoint a, struct endpoint b)
{
	return a.addr == b.addr && a.port == b.port;
}

/* Ends what is under way. */
static int end_run(struct run *r)
{
	bool added = true;

	if (r->list)
		added = json_add_u64(r->item, "ports", r->ports) && cJSON_AddItemToArray(r->list, r->item);
	if (!added)
		cJSON_Delete(r->item);
	*r = (struct run){ 0 };
	return added ? 0 : -ENOMEM;
}

static bool goes_on(const struct run *r, const cJSON *list, const struct port_pair *p, const struct config_portmap *of,
		    const struct config_portmap *was, struct endpoint was_in)
{
	return r->list == list && r->of == of && r->was == was && r->next.proto == p->proto &&
	       same_endpoint(r->next.out, p->out) && same_endpoint(r->next.in, p->in) &&
	       (!was || same_endpoint(r->was_next, was_in));
}

static bool add_was(cJSON *item, const struct config_portmap *was, struct endpoint in)
{
	cJSON *json = cJSON_AddObjectToObject(item, "was");

	return json && json_add_name(json, "name", was->name) && json_add_addr(json, "in_addr", in.addr) &&
	       json_add_u64(json, "in_port", in.port);
}

/* Takes a port into a list. was: what the portmap was before, with that inside endpoint; NULL: it was not there. */
static int take(struct run *r, cJSON *list, const struct port_pair *p, const struct config_portmap *of,
		const struct config_portmap *was, struct endpoint was_in)
{
	if (!goes_on(r, list, p, of, was, was_in)) {
		if (end_run(r))
			return -ENOMEM;
		*r = (struct run){ .list = list, .item = cJSON_CreateObject(), .of = of, .was = was };
		if (!json_add_name(r->item, "name", of->name) ||
		    !cJSON_AddStringToObject(r->item, "proto", p->proto == IPPROTO_TCP ? "tcp" : "udp") ||
		    !json_add_addr(r->item, "in_addr", p->in.addr) || !json_add_u64(r->item, "in_port", p->in.port) ||
		    !json_add_addr(r->item, "out_addr", p->out.addr) ||
		    !json_add_u64(r->item, "out_port", p->out.port) || (was && !add_was(r->item, was, was_in)))
			return -ENOMEM;
	}
	r->ports++;
	r->next = *p;
	r->next.in.port++;
	r->next.out.port++;
	r->was_next = (struct endpoint){ was_in.addr, (uint16_t)(was_in.port + 1) };
	return 0;
}

/* Goes through both in order of protocol and outside endpoint. */
static int add_changes(cJSON *json, const struct side *now, const struct side *wanted)
{
	cJSON *added = cJSON_AddArrayToObject(json, "added"), *deleted = cJSON_AddArrayToObject(json, "deleted");
	cJSON *updated = cJSON_AddArrayToObject(json, "updated");
	struct run runs[3] = { 0 };
	size_t i = 0, k = 0;
	int ret = added && deleted && updated ? 0 : -ENOMEM;

	while (!ret && (i < now->n || k < wanted->n)) {
		const struct port_pair *old = i < now->n ? &now->pair[i] : NULL;
		const struct port_pair *new = k < wanted->n ? &wanted->pair[k] : NULL;
		int order = !old ? 1 : !new ? -1 : compare(old, new);

		if (order < 0)
			ret = take(&runs[0], deleted, old, portmap_of(now, i), NULL, old->in);
		else if (order > 0)
			ret = take(&runs[1], added, new, portmap_of(wanted, k), NULL, new->in);
		else if (!same_endpoint(old->in, new->in) ||
			 strcmp(portmap_of(now, i)->name, portmap_of(wanted, k)->name) != 0)
			ret = take(&runs[2], updated, new, portmap_of(wanted, k), portmap_of(now, i), old->in);
		i += order <= 0;
		k += order >= 0;
	}
	for (unsigned n = 0; n < ARRAY_SIZE(runs); n++) {
		if (ret)
			cJSON_Delete(runs[n].item);
		else
			ret = end_run(&runs[n]);
	}
	return ret;
}

int json_add_portmap_changes(cJSON *object, const struct config *now, const struct config *wanted)
{
	struct side a = { .config = now }, b = { .config = wanted };
	cJSON *json = cJSON_AddObjectToObject(object, "portmaps");
	int ret = json ? port_pairs_of(now, &a.pair, &a.n) : -ENOMEM;

	if (!ret)
		ret = port_pairs_of(wanted, &b.pair, &b.n);
	if (!ret)
		ret = add_changes(json, &a, &b);
	free(a.pair);
	free(b.pair);
	return ret;
}
