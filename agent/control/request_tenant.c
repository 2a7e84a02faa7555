// SPDX-License-Identifier: BSD-2-Clause
/* The tenant that a request is about: inside addresses of several may be the same. */
#include <errno.h>
#include <string.h>

#include "config/near.h"
#include "base/virtual6.h"
#include "control/answer.h"
#include "tables/mapping_drains.h"

/* Names in a refusal. */
#define NAMES_SHOWN 4U
#define NAMES_TEXT  (NAMES_SHOWN * (LABEL_TEXT + 8) + 32)

/* The tenants that have an inside address, by number. */
struct holders {
	bool has[CONFIG_MAX_TENANTS + 1];
	unsigned n;
};

static void note(struct holders *h, uint8_t tenant)
{
	h->n += !h->has[tenant];
	h->has[tenant] = true;
}

/* Those whose sessions of the address drain, and have no mapping any more. */
static void note_drains(const struct mappings *m, uint32_t addr, struct holders *h)
{
	const struct mapping_drain *drain;
	size_t n = mappings_drains(m, &drain);

	for (size_t i = 0; i < n; i++)
		if (mappings_drain_of(m, drain[i].number, addr) == &drain[i])
			note(h, mappings_get(m, drain[i].number)->tenant);
}

static void find_holders(const struct request *r, uint32_t addr, struct holders *h)
{
	const struct config *c = r->context->active->config;
	const struct mappings *m = r->context->mappings;

	for (size_t i = 0; i < c->n_tenants; i++)
		if (mappings_find_inside(m, c->tenants[i].id, addr) >= 0)
			note(h, c->tenants[i].id);
	if (!c->n_tenants && mappings_find_inside(m, 0, addr) >= 0)
		note(h, 0);
	else
		note_drains(m, addr, h);
}

/* Writes "ispA and of ispB", and returns it. */
static const char *names_of(const struct mappings *m, const struct holders *h, char text[static NAMES_TEXT])
{
	unsigned shown = 0;
	size_t at = 0;

	*text = '\0';
	for (unsigned id = 0; id <= CONFIG_MAX_TENANTS && shown < NAMES_SHOWN; id++) {
		bool last = shown + 1 == h->n;

		if (!h->has[id])
			continue;
		at += (size_t)snprintf(text + at, NAMES_TEXT - at, "%s%s",
				       !shown ? ""
				       : last ? " and of "
					      : ", of ",
				       mappings_tenant_name(m, (uint8_t)id));
		shown++;
	}
	if (shown < h->n)
		snprintf(text + at, NAMES_TEXT - at, " and of %u others", h->n - shown);
	return text;
}

int request_config_tenant(const struct request *r, const struct config *c, const struct config_tenant **ret,
			  struct error *err)
{
	const struct arg_value *arg = request_arg(r, "tenant");

	*ret = arg->given ? config_find_tenant(c, arg->text) : NULL;
	if (arg->given && !*ret)
		return error_set(err, -ENOENT, "there is no tenant %s: `tenants` in the file lists them", arg->text);
	return 0;
}

static int refuse_two(const struct config_mapping *a, const struct config_mapping *b, const char *what,
		      struct error *err)
{
	return error_set(err, -ENOTUNIQ, "%s of %s and of %s: --tenant NAME says which", what, a->tenant, b->tenant);
}

int request_config_holder(const struct request *r, const struct config *c, uint32_t addr, const char **ret,
			  struct error *err)
{
	const struct config_mapping *two[2] = { NULL, NULL }, *m = config_mapping_of_pair(c, addr, 0, two);
	const struct config_tenant *t;
	char text[INSIDE_TEXT], what[ADDR_TEXT + 16];
	int failed = request_config_tenant(r, c, &t, err);

	if (failed)
		return failed;
	*ret = t ? t->name : m ? m->tenant : "";
	if (t || !two[0])
		return 0;
	snprintf(what, sizeof(what), "%s is an address", inside_text(addr, text));
	return refuse_two(two[0], two[1], what, err);
}

int request_config_inside(const struct request *r, struct config *c, struct prefix in, struct config_mapping **ret,
			  struct error *err)
{
	const struct config_tenant *t;
	char text[INSIDE_TEXT], what[ADDR_TEXT + 24];
	const struct config_mapping *m;
	int failed = request_config_tenant(r, c, &t, err);

	if (failed)
		return failed;
	*ret = config_find_inside_of(c, t ? t->name : "", in);
	if (t || !*ret)
		return 0;
	for (struct near n = near_begin_addr(c, NEAR_IN, in.base); (m = near_next(&n));) {
		if (!prefix_equal(m->in, in) || config_same_tenant(m, *ret))
			continue;
		snprintf(what, sizeof(what), "%s is an inside prefix", inside_prefix_text(in, text));
		return refuse_two(*ret, m, what, err);
	}
	return 0;
}

int request_tenant(const struct request *r, uint8_t *ret, struct error *err)
{
	const struct config_tenant *t;
	int failed = request_config_tenant(r, r->context->active->config, &t, err);

	if (failed)
		return failed;
	*ret = t ? t->id : 0;
	return 0;
}

int request_find_tenant(const struct request *r, uint32_t addr, uint8_t *ret, struct error *err)
{
	const struct mappings *m = r->context->mappings;
	struct holders h = { .n = 0 };
	char text[INSIDE_TEXT], names[NAMES_TEXT];
	int outside, r_tenant = request_tenant(r, ret, err);

	if (r_tenant)
		return r_tenant;
	find_holders(r, addr, &h);
	outside = h.n ? -ENOENT : mappings_find_outside(m, addr);
	if (outside >= 0)
		note(&h, mappings_get(m, outside)->tenant);
	if (*ret && h.n && !h.has[*ret])
		return error_set(err, -ENOENT, "%s is an address of the tenant%s %s, not of %s",
				 inside_text(addr, text), h.n > 1 ? "s" : "", names_of(m, &h, names),
				 request_arg(r, "tenant")->text);
	if (!*ret && h.n > 1)
		return error_set(err, -ENOTUNIQ, "%s is an address of %s: --tenant NAME says which",
				 inside_text(addr, text), names_of(m, &h, names));
	for (unsigned id = 1; !*ret && id <= CONFIG_MAX_TENANTS; id++)
		*ret = h.has[id] ? (uint8_t)id : 0;
	return 0;
}

int request_addr_tenant(const struct request *r, uint8_t *ret, struct error *err)
{
	const struct arg_value *addr = request_arg(r, "addr");

	return addr->given ? request_find_tenant(r, addr->addr, ret, err) : request_tenant(r, ret, err);
}
