// SPDX-License-Identifier: BSD-2-Clause
/* Arguments that are inside addresses or prefixes of IPv6: the tables know them by virtual addresses. */
#include <errno.h>
#include <string.h>

#include "config/six.h"
#include "control/request.h"
#include "tables/mapping_drains.h"

static const char *text_of(const struct arg_value *v, char text[static INSIDE_TEXT])
{
	char addr[INSIDE_TEXT];

	if (v->six_plen == 128)
		return address6_text(&v->six, text);
	snprintf(text, INSIDE_TEXT, "%.45s/%u", address6_text(&v->six, addr), v->six_plen);
	return text;
}

static bool drains(const struct mappings *m, uint32_t virt)
{
	const struct mapping_drain *d;
	size_t n = mappings_drains(m, &d);

	for (size_t i = 0; i < n; i++)
		if (prefix_holds(d[i].in, virt))
			return true;
	return false;
}

/*
 * The virtual address of the subscriber of an address: of those that it has had, the one that a mapping has, or has
 * had while it drains; else, as answers about it say more than a refusal, any. 0 or -ENOENT.
 */
static int find_subscriber(const struct mappings *m, const struct address6 *addr, uint32_t *ret)
{
	bool any = false, drained = false;
	size_t at = 0;
	uint32_t virt;

	while (virtual6_next(addr, &at, &virt)) {
		if (mappings_find_any(m, virt) >= 0) {
			*ret = virt;
			return 0;
		}
		if (!any || (!drained && drains(m, virt)))
			*ret = virt;
		drained |= drains(m, virt);
		any = true;
	}
	return any ? 0 : -ENOENT;
}

/* No mapping has an address inside: says what else it may be. -ENOENT with err. */
static int refuse_unknown(const struct mappings *m, const struct arg_value *v, struct error *err)
{
	char text[INSIDE_TEXT], outside[ADDR_TEXT];
	uint32_t addr;

	if (v->six_plen == 128 && mappings_ext6_is(m, &v->six, &addr))
		return error_set(err, -ENOENT,
				 "%s is in the NAT64 prefix, where it stands for the outside host %s: name that, or an "
				 "inside address; `detnatctl mapping list` shows them",
				 text_of(v, text), addr_format(addr, outside));
	return error_set(err, -ENOENT,
			 "%s is not an inside address of any mapping; `detnatctl mapping list` shows them",
			 text_of(v, text));
}

static int place_arg(const struct mappings *m, const struct arg_spec *spec, struct arg_value *v, struct error *err)
{
	const struct address6 first = { v->six.hi & mask64(v->six_plen < 64 ? v->six_plen : 64), v->six.lo };
	char text[INSIDE_TEXT], mine[INSIDE_TEXT];
	struct prefixes6 of;
	unsigned bits;
	uint32_t virt;

	if (find_subscriber(m, &first, &virt))
		return refuse_unknown(m, v, err);
	if (!virtual6_prefixes((struct prefix){ virt, 32, 0 }, &of) || (v->six_plen > of.plen && v->six_plen != 128))
		return error_set(err, -EINVAL, "%s is a part of the prefix of a subscriber, %s: name that, or a host",
				 text_of(v, text), inside_text(virt, mine));
	bits = v->six_plen < of.plen ? of.plen - v->six_plen : 0;
	if (spec->kind == ARG_PREFIX || spec->kind == ARG_MAPPING || spec->kind == ARG_REMOTE) {
		if (bits > SUBSCRIBER_BITS_MAX)
			return error_set(err, -EINVAL, "%s is longer than any inside prefix", text_of(v, text));
		v->prefix = (struct prefix){ virt & prefix_mask(32 - bits), (uint8_t)(32 - bits), 0 };
		return 0;
	}
	if (bits)
		return error_set(err, -EINVAL, "%s has the prefixes of %lu subscribers: name one, or a host",
				 text_of(v, text), 1UL << bits);
	if (spec->kind == ARG_ADDR)
		v->addr = virt;
	else
		v->endpoint.addr = virt;
	return 0;
}

const struct address6 *arg_host(const struct arg_value *v)
{
	return v->given && v->six_plen == 128 ? &v->six : NULL;
}

int request_place_args(struct request *r, struct error *err)
{
	const struct arg_spec *spec = r->spec->args;

	for (unsigned i = 0; spec[i].kind; i++) {
		bool edits = r->spec->edits && (spec[i].kind == ARG_PREFIX || spec[i].kind == ARG_MAPPING);
		int ret = 0;

		if (spec[i].six && r->args[i].given && r->args[i].six_plen && !edits)
			ret = place_arg(r->context->mappings, &spec[i], &r->args[i], err);
		if (ret)
			return ret;
	}
	return 0;
}

/* Whether an argument names an inside prefix whose subscribers' are that long; 0: of IPv4. */
static bool names(const struct arg_value *v, struct prefix in, uint32_t subscriber_plen)
{
	struct prefixes6 of, named;

	if (v->six_plen > subscriber_plen || subscriber_plen - v->six_plen > SUBSCRIBER_BITS_MAX ||
	    !virtual6_prefixes(in, &of))
		return false;
	named = prefixes6_of(v->six.hi, v->six_plen, subscriber_plen);
	return named.hi == of.hi && named.last == of.last;
}

int request_in(const struct request *r, const struct config *c, struct prefix *ret, struct error *err)
{
	const struct arg_value *v = request_arg(r, "in");
	char text[INSIDE_TEXT];

	*ret = v->prefix;
	if (!v->six_plen)
		return 0;
	for (size_t i = 0; i < c->n_mappings + c->n_draining; i++) {
		const bool used = i < c->n_mappings;
		const struct config_drain *d = used ? NULL : &c->draining[i - c->n_mappings];
		const struct prefix in = used ? c->mappings[i].in : d->in;

		if (!names(v, in, used ? c->mappings[i].six.subscriber_plen : d->six.subscriber_plen))
			continue;
		*ret = in;
		return 0;
	}
	return error_set(err, -ENOENT, "there is no mapping of %s; `detnatctl mapping list` shows them",
			 text_of(v, text));
}
