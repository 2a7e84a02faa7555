/* SPDX-License-Identifier: BSD-2-Clause */
/* Rules that involve more than one value. They hold for the file and for every edit of the active configuration. */
#include <errno.h>
#include <string.h>

#include "base/interface_pattern.h"
#include "base/text.h"
#include "base/virtual6.h"
#include "config/fields.h"
#include "config/near.h"
#include "config/port_pairs.h"

struct validator {
	const struct config *config;
	const char *name;
	struct error *err;
};

int fields_validate(const struct fields *t, const void *base, struct json_path *path, const char *name,
		    struct error *err)
{
	for (size_t i = 0; i < t->n; i++) {
		const struct field *f = &t->field[i];
		const void *value = (const char *)base + f->offset;
		size_t before = json_path_add_key(path, f->name, strlen(f->name));

		if (f->type == &field_object && (f->enabled < 0 || *((const bool *)base + f->enabled))) {
			int r = fields_validate(f->fields, value, path, name, err);

			if (r < 0)
				return r;
		}
		if (f->type->valid && !f->type->valid(f, value)) {
			char expected[128];

			f->type->expected(f, expected, sizeof(expected));
			return config_refuse(err, -EINVAL, name, 0, path->text, "must be %s", expected);
		}
		json_path_cut(path, before);
	}
	return 0;
}

/* What is wrong with a name that contains a `*`; NULL: nothing. */
static const char *why_no_pattern(const struct config_interface *i)
{
	if (!strchr(i->name, '*'))
		return NULL;
	if (!i->name[strspn(i->name, "*")] && !interface_is_any(i->name))
		return "write \"*\" for any interface, or a name with '*' such as \"ppp*\"";
	if (interface_is_any(i->name) && i->roles != DEVICE_INSIDE)
		return "\"*\" cannot be outside: name the outside interfaces, or write a name with '*' such as "
		       "\"wan*\"";
	if (interface_is_any(i->name) && i->xdp_mode && i->xdp_mode - 1 != XDP_MODE_NONE)
		return "\"*\" runs no XDP: leave its 'xdp_mode' out";
	if (interface_is_any(i->name) && (i->xdp_dispatcher || i->xdp_priority))
		return "\"*\" runs no XDP: leave its 'xdp_dispatcher' and 'xdp_priority' out";
	return NULL;
}

#define NO_TC                                                                                               \
	"\"tc\" sends packets past the kernel's forwarding, to which 'forwarding' \"kernel\" leaves them: " \
	"set 'xdp_mode' to \"none\", or 'forwarding' to \"redirect\""

/* The mode `tc` beside forwarding by the kernel, of an interface or of all. */
static int validate_forwarding(const struct validator *v)
{
	const struct config *c = v->config;

	if (c->forwarding != FORWARDING_KERNEL)
		return 0;
	for (size_t i = 0; i < c->n_interfaces; i++)
		if (c->interfaces[i].xdp_mode == 1 + XDP_MODE_TC)
			return config_refuse(v->err, -EINVAL, v->name, c->interfaces[i].line, "interfaces", "%s: %s",
					     c->interfaces[i].name, "'xdp_mode' " NO_TC);
	return c->xdp_mode == XDP_MODE_TC ? config_refuse(v->err, -EINVAL, v->name, 0, "xdp_mode", NO_TC) : 0;
}

static int validate_interfaces(const struct validator *v)
{
	const struct config *c = v->config;

	if (c->n_interfaces > CONFIG_MAX_INTERFACES)
		return config_refuse(v->err, -EINVAL, v->name, c->interfaces[CONFIG_MAX_INTERFACES].line, "interfaces",
				     "more than %u interfaces", CONFIG_MAX_INTERFACES);
	for (size_t i = 0; i < c->n_interfaces; i++)
		if (!interface_name_valid(c->interfaces[i].name))
			return config_refuse(v->err, -EINVAL, v->name, c->interfaces[i].line, "interfaces",
					     "%s is not a valid interface name", QUOTED(c->interfaces[i].name));
	for (size_t i = 0; i < c->n_interfaces; i++) {
		const char *why = why_no_pattern(&c->interfaces[i]);

		if (why)
			return config_refuse(v->err, -EINVAL, v->name, c->interfaces[i].line, "interfaces", "%s", why);
	}
	return 0;
}

/* One of the two prefixes of a mapping, in the order of the file. */
struct side {
	size_t number;
	bool out;
};

static struct prefix side_prefix(const struct config *c, struct side s)
{
	return s.out ? c->mappings[s.number].out : c->mappings[s.number].in;
}

static const char *side_name(struct side s)
{
	return s.out ? "out" : "in";
}

static int __attribute__((format(printf, 3, 4)))
refuse_side(const struct validator *v, struct side s, const char *format, ...)
{
	const struct config_mapping *m = &v->config->mappings[s.number];
	char path[48], text[192];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	snprintf(path, sizeof(path), "mappings[%zu].%s", config_mapping_number(v->config, m), side_name(s));
	/* Positions refer to a file; a request has none. */
	return config_refuse(v->err, -EINVAL, v->name, s.out ? m->out_line : m->in_line, v->name ? path : "", "%s",
			     text);
}

static int refuse_inbound(const struct validator *v, size_t number, const char *text)
{
	const struct config_mapping *m = &v->config->mappings[number];
	char path[48];

	snprintf(path, sizeof(path), "mappings[%zu].inbound", config_mapping_number(v->config, m));
	return config_refuse(v->err, -EINVAL, v->name, m->line, v->name ? path : "", "%s", text);
}

/* The same for a mapping with keys for its ports; the error has the figures that fit. */
static int validate_ports(const struct validator *v, size_t number)
{
	const struct config_mapping *m = &v->config->mappings[number];
	char path[48];
	struct error why;
	struct geometry g;
	int r = 0;

	if (prefix_is_none(m->out))
		r = error_set(&why, -EINVAL,
			      "is not translated, so it has no ports: leave subscribers_per_address, ports_per_host, "
			      "first_port, block_pitch and order out");
	else if (m->inbound == INBOUND_OPEN)
		r = error_set(&why, -EINVAL,
			      "\"open\" gives a subscriber all ports of his address: leave subscribers_per_address, "
			      "ports_per_host, first_port, block_pitch and order out");
	else
		r = config_geometry_check(m, &g, &why);
	if (r != -EINVAL)
		return r;
	snprintf(path, sizeof(path), "mappings[%zu]", config_mapping_number(v->config, m));
	return config_refuse(v->err, r, v->name, m->line, v->name ? path : "", "%s", why.text);
}

/* Whether the arithmetic of <detnat/mapping.h> can map one prefix to the other. */
static int validate_geometry(const struct validator *v, size_t number)
{
	const struct config_mapping *m = &v->config->mappings[number];
	const struct side out = { number, true };
	char in_text[INSIDE_TEXT], out_text[INSIDE_TEXT];
	struct error why;
	struct geometry g;

	if (config_ports_given(m))
		return validate_ports(v, number);
	if (prefix_is_none(m->out) && m->inbound == INBOUND_OPEN)
		return refuse_inbound(v, number, "all of it is reachable already, as it is not translated");
	if (prefix_is_none(m->out))
		return 0;
	if (config_geometry_check(m, &g, &why) == 0) {
		if (m->inbound != INBOUND_OPEN || g.ratio == 1)
			return 0;
		return refuse_inbound(v, number, "\"open\" needs an outside address for each inside address");
	}
	inside_prefix_text(m->in, in_text);
	inside_prefix_text(m->out, out_text);
	if (prefix_is_range(m->in) || prefix_is_range(m->out))
		return refuse_side(v, out, "%s", why.text);
	if (prefix_count(m->out) > prefix_count(m->in))
		return refuse_side(v, out, "%s is larger than the inside range %s", out_text, in_text);
	return refuse_side(v, out, "%s is too small for %s: less than one port a host", out_text, in_text);
}

/* Whether both are inside ranges, of different tenants. */
static bool are_of_two_tenants(const struct config *c, struct side a, struct side b)
{
	return !a.out && !b.out && !config_same_tenant(&c->mappings[a.number], &c->mappings[b.number]);
}

/*
 * Whether two ranges conflict: of inside ones of one tenant, one may lie within the other, and has its addresses. Two
 * tenants may have the same inside addresses if the packets towards them are routed by different tables: in the main
 * table an address has one place.
 */
static bool collide(const struct config *c, struct side a, struct side b)
{
	struct prefix prefix_a = side_prefix(c, a), prefix_b = side_prefix(c, b);

	if (!prefixes_overlap(prefix_a, prefix_b))
		return false;
	if (are_of_two_tenants(c, a, b))
		return !config_tenants_apart(c, c->mappings[a.number].tenant, c->mappings[b.number].tenant);
	return a.out || b.out || prefix_equal(prefix_a, prefix_b) ||
	       (!prefix_within(prefix_a, prefix_b) && !prefix_within(prefix_b, prefix_a));
}

/* Refuses inside ranges of which neither lies within the other. */
static int refuse_partly(const struct validator *v, struct side later, struct side s)
{
	char a[INSIDE_TEXT], b[INSIDE_TEXT], other[48] = "another mapping";

	if (v->name)
		snprintf(other, sizeof(other), "mappings[%zu].in",
			 config_mapping_number(v->config, &v->config->mappings[s.number]));
	return refuse_side(v, later, "%s overlaps %s, of %s, in part: one must lie within the other",
			   inside_prefix_text(side_prefix(v->config, later), a),
			   inside_prefix_text(side_prefix(v->config, s), b), other);
}

static int refuse_tenants(const struct validator *v, struct side later, struct side s)
{
	const struct config *c = v->config;
	const char *own = c->mappings[later.number].tenant, *other = c->mappings[s.number].tenant;
	char a[INSIDE_TEXT], b[INSIDE_TEXT];

	return refuse_side(v, later,
			   "%s overlaps %s, of the tenant %s, and both are routed by the main table: give %s or %s a "
			   "`vrf`, or one of them other addresses",
			   inside_prefix_text(side_prefix(c, later), a), inside_prefix_text(side_prefix(c, s), b),
			   other, other, own);
}

/* The other mapping is told by what an editor finds: its name and its line. */
static int refuse_known(const struct validator *v, struct side later, const char *in, const struct config_mapping *m)
{
	char where[LABEL_TEXT + 32] = "";

	if (*m->name)
		snprintf(where, sizeof(where), ", %s, in line %u", m->name, m->in_line);
	else if (m->in_line)
		snprintf(where, sizeof(where), ", in line %u", m->in_line);
	return refuse_side(v, later, "%s is mappings[%zu].in already%s", in, config_mapping_number(v->config, m),
			   where);
}

static int refuse_collision(const struct validator *v, struct side later, struct side s)
{
	struct prefix a = side_prefix(v->config, later), b = side_prefix(v->config, s);
	char text_a[INSIDE_TEXT], text_b[INSIDE_TEXT];

	if (are_of_two_tenants(v->config, later, s))
		return refuse_tenants(v, later, s);
	if (!later.out && !s.out && !prefix_equal(a, b))
		return refuse_partly(v, later, s);
	inside_prefix_text(a, text_a);
	inside_prefix_text(b, text_b);
	if (!later.out && !s.out && v->name)
		return refuse_known(v, later, text_a, &v->config->mappings[s.number]);
	if (!later.out && !s.out)
		return refuse_side(v, later,
				   "%s is the inside range of another mapping already: mapping add --replace "
				   "puts this one in its place, mapping set changes it",
				   text_a);
	if (!v->name)
		return refuse_side(v, later, "%s overlaps %s, %s", text_a, text_b,
				   s.number == later.number ? "its own inside range" : "a range of another mapping");
	return refuse_side(v, later, "%s overlaps %s, mappings[%zu].%s", text_a, text_b,
			   config_mapping_number(v->config, &v->config->mappings[s.number]), side_name(s));
}

static bool is_before(struct side a, struct side b)
{
	return a.number < b.number || (a.number == b.number && a.out < b.out);
}

/* Refuses a prefix that collides with an earlier one: with the first, if there are several. */
static int validate_disjoint(const struct validator *v, struct side later)
{
	struct prefix a = side_prefix(v->config, later);
	const struct config_mapping *m;
	struct side first = later;

	for (unsigned side = 0; side < NEAR_SIDES; side++)
		for (struct near n = near_begin(v->config, side, a); (m = near_next(&n));) {
			struct side s = { (size_t)(m - v->config->mappings), side == NEAR_OUT };

			if (is_before(s, first) && collide(v->config, later, s))
				first = s;
		}
	return is_before(first, later) ? refuse_collision(v, later, first) : 0;
}

/* Refuses a name that an earlier mapping has. */
static int validate_name(const struct validator *v, size_t number)
{
	const struct config_mapping *m = &v->config->mappings[number];
	const struct config_mapping *other = m->part ? NULL : config_find_named(v->config, m->name);
	char path[48], in[INSIDE_TEXT];

	if (!other || other >= m)
		return 0;
	snprintf(path, sizeof(path), "mappings[%zu].name", config_mapping_number(v->config, m));
	return config_refuse(v->err, -EINVAL, v->name, m->name_line, v->name ? path : "",
			     "%s is already the name of the mapping of %s", m->name, inside_prefix_text(other->in, in));
}

/*
 * Filtering needs mapping: only a port bound for all destinations can be open to all. number: of the mapping; -1: for
 * all mappings.
 */
static int validate_independence(const struct validator *v, const struct config_independence *i, int number,
				 unsigned line)
{
	uint8_t unbound = i->filtering & ~i->mapping;
	const char *proto = word_text(binding_words, unbound & -unbound);
	char path[64] = "endpoint_independent.filtering";

	/* From a request; reading a file refuses it earlier. */
	if (i->filtering & BINDING_ICMP)
		return config_refuse(v->err, -EINVAL, v->name, line, "",
				     "filtering is for udp and tcp: what comes from outside opens no session of icmp");
	if (!unbound)
		return 0;
	if (number >= 0)
		snprintf(path, sizeof(path), "mappings[%d].endpoint_independent.filtering", number);
	return config_refuse(
		v->err, -EINVAL, v->name, line, v->name ? path : "",
		"%s must be in `mapping`, too: endpoint-independent filtering requires endpoint-independent "
		"mapping",
		proto);
}

/* Without sessions there are no ports to bind. Settings for all mappings do not concern such a mapping. */
static int validate_bindable(const struct validator *v, size_t number)
{
	const struct config_mapping *m = &v->config->mappings[number];
	bool untranslated = prefix_is_none(m->out);
	char path[64];

	if (!m->independence.given || (!untranslated && m->inbound != INBOUND_OPEN))
		return 0;
	snprintf(path, sizeof(path), "mappings[%zu].endpoint_independent", config_mapping_number(v->config, m));
	return config_refuse(v->err, -EINVAL, v->name, m->independence_line, v->name ? path : "",
			     "%s has no effect: leave endpoint_independent out",
			     untranslated ? "a mapping that is not translated has no ports, so it"
					  : "a mapping whose inbound is \"open\" has no sessions, so it");
}

/* Granted blocks need a shared range, and room for sessions beyond the slots. */
static int validate_growth(const struct validator *v, size_t number)
{
	const struct config_mapping *m = &v->config->mappings[number];
	struct error why;
	char path[48];

	if (!m->growth.given)
		return 0;
	if (prefix_is_none(m->out))
		error_set(&why, -EINVAL, "a mapping that is not translated has no ports: leave growth out");
	else if (m->inbound == INBOUND_OPEN)
		error_set(&why, -EINVAL, "\"open\" gives a subscriber all ports of his address: leave growth out");
	else if (!v->config->overflow_sessions)
		error_set(&why, -EINVAL,
			  "sessions on granted ports are beyond the slots, and overflow_sessions is 0: raise it");
	else if (!config_growth_check(m, &why))
		return 0;
	snprintf(path, sizeof(path), "mappings[%zu].growth", config_mapping_number(v->config, m));
	return config_refuse(v->err, -EINVAL, v->name, m->growth_line, v->name ? path : "", "%s", why.text);
}

/* Limits need sessions, a burst needs a rate. */
static int validate_limits(const struct validator *v, size_t number)
{
	const struct config_mapping *m = &v->config->mappings[number];
	struct error why;
	char path[48];

	if (!m->limits.given)
		return 0;
	if (prefix_is_none(m->out))
		error_set(&why, -EINVAL, "a mapping that is not translated has no sessions: leave limits out");
	else if (m->inbound == INBOUND_OPEN)
		error_set(&why, -EINVAL, "a mapping whose inbound is \"open\" has no sessions: leave limits out");
	else if (m->limits.new_burst && !m->limits.new_per_second)
		error_set(&why, -EINVAL, "new_burst without new_per_second: set the rate, too, or leave it out");
	else
		return 0;
	snprintf(path, sizeof(path), "mappings[%zu].limits", config_mapping_number(v->config, m));
	return config_refuse(v->err, -EINVAL, v->name, m->limits_line, v->name ? path : "", "%s", why.text);
}

static int validate_mappings(const struct validator *v)
{
	const struct config *c = v->config;
	size_t number = 0;

	if (c->n_mappings > CONFIG_MAX_MAPPINGS) {
		char path[32];

		snprintf(path, sizeof(path), "mappings[%u]", CONFIG_MAX_MAPPINGS);
		return config_refuse(v->err, -EINVAL, v->name, c->mappings[CONFIG_MAX_MAPPINGS].line, path,
				     "more than %u mappings; each range of a list counts", CONFIG_MAX_MAPPINGS);
	}
	for (size_t i = 0; i < c->n_mappings; i++) {
		struct json_path path = { 0 };
		int r;

		number += i && !c->mappings[i].part;
		json_path_add_key(&path, "mappings", strlen("mappings"));
		json_path_add_index(&path, number);
		r = fields_validate(&config_mapping_fields, &c->mappings[i], &path, v->name, v->err);
		if (r == 0)
			r = validate_name(v, i);
		if (r == 0)
			r = validate_independence(v, &c->mappings[i].independence, (int)i,
						  c->mappings[i].independence_line);
		if (r == 0)
			r = validate_bindable(v, i);
		if (r == 0)
			r = validate_geometry(v, i);
		if (r == 0)
			r = validate_growth(v, i);
		if (r == 0)
			r = validate_limits(v, i);
		if (r == 0)
			r = validate_disjoint(v, (struct side){ i, false });
		if (r == 0)
			r = validate_disjoint(v, (struct side){ i, true });
		if (r < 0)
			return r;
	}
	return validate_six(c, v->name, v->err);
}

static int validate_portmaps(const struct validator *v)
{
	const struct config *c = v->config;

	for (size_t i = 0; i < c->n_portmaps; i++) {
		struct json_path path = { 0 };
		int r;

		json_path_add_key(&path, "portmaps", strlen("portmaps"));
		json_path_add_index(&path, i);
		r = fields_validate(&config_portmap_fields, &c->portmaps[i], &path, v->name, v->err);
		if (r)
			return r;
	}
	return portmaps_validate(c, v->name, v->err);
}

static int validate_ipfix(const struct validator *v)
{
	const struct config_ipfix *c = &v->config->ipfix;

	for (uint32_t i = 0; c->enabled && i < c->n_collectors; i++) {
		for (uint32_t k = 0; k < i; k++) {
			char path[32];

			if (!collector_same(c->collectors[i], c->collectors[k]))
				continue;
			snprintf(path, sizeof(path), "ipfix.collector[%u]", i);
			return config_refuse(v->err, -EINVAL, v->name, 0, path, "is in this list already");
		}
	}
	return 0;
}

int config_validate(const struct config *c, const char *name, struct error *err)
{
	const struct validator v = { .config = c, .name = name, .err = err };
	struct json_path path = { 0 };
	int r;

	/* Whatever the edits have changed. */
	near_index_forget(c->near);
	r = fields_validate(&config_fields, c, &path, name, err);

	if (r == 0 && c->n_bypass > MAX_BYPASS)
		r = config_refuse(err, -EINVAL, name, 0, "bypass", "more than %u prefixes", MAX_BYPASS);
	if (r == 0)
		r = validate_independence(&v, &c->independence, -1, 0);
	if (r == 0)
		r = validate_interfaces(&v);
	if (r == 0)
		r = validate_forwarding(&v);
	if (r == 0)
		r = validate_tenants(c, name, err);
	if (r == 0)
		r = validate_mappings(&v);
	if (r == 0)
		r = validate_spare(c, name, err);
	if (r == 0)
		r = validate_portmaps(&v);
	if (r == 0)
		r = validate_until(c, name, err);
	if (r == 0)
		r = validate_ipfix(&v);
	if (r == 0)
		r = validate_pcp(c, name, err);
	if (r == 0)
		r = validate_replication(c, name, err);
	if (!r)
		r = validate_leases(c, name, err);
	if (!r)
		r = validate_attack(c, name, err);
	return r;
}
