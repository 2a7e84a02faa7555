// SPDX-License-Identifier: BSD-2-Clause
#include "control/portmap_json.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "control/answer.h"
#include "proto/words.h"

int portmap_names_read(const struct config *c, struct portmap_names *ret)
{
	struct portmap_names names = { .name = calloc(c->n_portmaps + 1, sizeof(*names.name)) };

	if (!names.name || port_pairs_of(c, &names.pairs, &names.n)) {
		portmap_names_free(&names);
		return -ENOMEM;
	}
	for (size_t i = 0; i < c->n_portmaps; i++)
		memcpy(names.name[i], c->portmaps[i].name, sizeof(names.name[i]));
	*ret = names;
	return 0;
}

void portmap_names_free(struct portmap_names *n)
{
	free(n->pairs);
	free(n->name);
	*n = (struct portmap_names){ 0 };
}

static const char *name_of(const struct portmap_names *names, const struct portmap *m)
{
	const struct port_pair *pair =
		m->origin == PORTMAP_STATIC ? port_pair_find(names->pairs, names->n, m->proto, m->out) : NULL;

	return pair ? names->name[pair->number] : "";
}

/* Whole seconds until a lease ends. */
static void add_expiry(cJSON *json, uint64_t expires_s)
{
	uint64_t now_s = boottime_s();

	if (!expires_s) {
		cJSON_AddNullToObject(json, "expires");
		return;
	}
	json_add_u64(json, "expires", expires_s > now_s ? expires_s - now_s : 0);
}

/* Senders that it takes packets from; none: everybody. */
static void add_filters(cJSON *json, const struct portmap_filters *f)
{
	cJSON *list = cJSON_AddArrayToObject(json, "filters");
	char text[PORTMAP_FILTER_TEXT];

	for (uint32_t i = 0; i < f->n; i++)
		cJSON_AddItemToArray(list, cJSON_CreateString(portmap_filter_format(&f->filter[i], text)));
}

cJSON *portmap_json(const struct portmaps *p, const struct portmap_names *names, const struct portmap *m)
{
	cJSON *json = cJSON_CreateObject();
	struct portmap_traffic traffic;

	portmaps_traffic(p, m, &traffic);
	json_add_name(json, "name", name_of(names, m));
	cJSON_AddStringToObject(json, "proto", word_text(proto_words, m->proto));
	json_add_addr(json, "in_addr", m->in.addr);
	json_add_u64(json, "in_port", m->in.port);
	json_add_addr(json, "out_addr", m->out.addr);
	json_add_u64(json, "out_port", m->out.port);
	cJSON_AddStringToObject(json, "origin", word_text(origin_words, m->origin));
	add_expiry(json, m->expires_s);
	add_filters(json, &m->filters);
	json_add_u64(json, "packets_in", traffic.packets_in);
	json_add_u64(json, "packets_out", traffic.packets_out);
	return json;
}

const struct portmap *json_add_portmaps(cJSON *object, const struct config *c, const struct portmaps *p,
					struct endpoint out)
{
	const struct portmap *tcp = p ? portmaps_by_out(p, IPPROTO_TCP, out) : NULL;
	const struct portmap *udp = p ? portmaps_by_out(p, IPPROTO_UDP, out) : NULL;
	const struct portmap *first = tcp ? tcp : udp;
	struct portmap_names names;

	if (!first || portmap_names_read(c, &names))
		return NULL;
	cJSON_AddItemToObject(object, "portmap", portmap_json(p, &names, first));
	if (tcp && udp && (tcp->in.addr != udp->in.addr || tcp->in.port != udp->in.port))
		cJSON_AddItemToObject(object, "portmap_udp", portmap_json(p, &names, udp));
	portmap_names_free(&names);
	return first;
}
