// SPDX-License-Identifier: BSD-2-Clause
#include "model.h"

#define UDP_SECONDS	    300
#define ICMP_SECONDS	    60
#define ESTABLISHED_SECONDS 7440

unsigned model_ratio(const struct model_mapping *m)
{
	return m->ratio ? m->ratio : m->in_count / m->out_count;
}

static unsigned first_port(const struct model_mapping *m)
{
	return m->first_port || m->from_zero ? m->first_port : 1024;
}

unsigned model_ports(const struct model_mapping *m)
{
	return m->ports ? m->ports : (65536 - first_port(m)) / model_ratio(m);
}

const struct model_mapping *model_inside(const struct model *model, uint32_t addr)
{
	const struct model_mapping *found = NULL;

	for (size_t i = 0; i < model->n_mappings; i++) {
		const struct model_mapping *m = &model->mapping[i];

		if (!m->former && addr - m->in_base < m->in_count && (!found || m->in_count < found->in_count))
			found = m;
	}
	return found;
}

uint32_t model_out_addr(const struct model_mapping *m, uint32_t in_addr)
{
	uint32_t i = in_addr - m->in_base;

	return m->out_base + (m->netmap ? i % m->out_count : i / model_ratio(m));
}

uint16_t model_port_lo(const struct model_mapping *m, uint32_t in_addr)
{
	uint32_t i = in_addr - m->in_base, block = m->netmap ? i / m->out_count : i % model_ratio(m);

	return (uint16_t)(first_port(m) + (m->pitch ? m->pitch : model_ports(m)) * block);
}

uint16_t model_first_choice(const struct model_mapping *m, uint32_t in_addr, uint16_t in_port)
{
	return (uint16_t)(model_port_lo(m, in_addr) + in_port % model_ports(m));
}

uint32_t model_outside_of(const struct model *model, uint32_t in_addr)
{
	const struct model_mapping *m = model_inside(model, in_addr);

	return m->kind == MODEL_UNTRANSLATED ? 0 : model_out_addr(m, in_addr);
}

bool model_owner(const struct model *model, uint32_t out_addr, uint16_t port, uint32_t *ret_in_addr)
{
	for (size_t i = 0; i < model->n_mappings; i++) {
		const struct model_mapping *m = &model->mapping[i];

		if (out_addr - m->out_base >= m->out_count)
			continue;
		if (m->kind == MODEL_OPEN) {
			*ret_in_addr = m->in_base + (out_addr - m->out_base);
			return true;
		}
		/* By trying each of the subscribers. */
		for (uint32_t k = 0; k < m->in_count; k++) {
			uint32_t in_addr = m->in_base + k;
			unsigned lo = model_port_lo(m, in_addr);

			if (model_out_addr(m, in_addr) == out_addr && port && port >= lo &&
			    port < lo + model_ports(m)) {
				*ret_in_addr = in_addr;
				return true;
			}
		}
	}
	for (size_t i = 0; i < model->n_grants; i++) {
		const struct model_grant *g = &model->grant[i];

		if (g->out_addr == out_addr && (uint16_t)(port - g->port_lo) < g->ports) {
			*ret_in_addr = g->in_addr;
			return true;
		}
	}
	return false;
}

bool model_expired(const struct model *model, const struct model_session *s)
{
	return model->now > s->deadline;
}

bool model_counts(const struct model *model, const struct model_session *s)
{
	return !s->tcp.closed && !s->cut && !model_expired(model, s);
}

unsigned model_count(const struct model *model, uint32_t in_addr)
{
	unsigned n = 0;

	for (size_t i = 0; i < model->n; i++)
		n += model->session[i].in_addr == in_addr && model_counts(model, &model->session[i]);
	return n;
}

unsigned model_count_stale(const struct model *model, uint32_t in_addr)
{
	unsigned n = 0;

	for (size_t i = 0; i < model->n; i++) {
		const struct model_session *s = &model->session[i];

		n += s->in_addr == in_addr && model_expired(model, s) &&
		     s->out_addr != model_outside_of(model, in_addr);
	}
	return n;
}

unsigned model_limit(const struct model *model, uint32_t in_addr, uint8_t proto)
{
	return model_inside(model, in_addr)->limit[proto == 6 ? 0 : proto == 17 ? 1 : 2];
}

bool model_has_limits(const struct model_mapping *m)
{
	return m->limit[0] || m->limit[1] || m->limit[2] || m->rated;
}

/* Whether a session is one of a protocol of a subscriber, in a mapping with limits. */
static bool is_limited(const struct model *model, const struct model_session *s, uint32_t in_addr, uint8_t proto)
{
	if (s->in_addr != in_addr || s->proto != proto)
		return false;
	for (size_t i = 0; i < model->n_mappings; i++)
		if (s->out_addr - model->mapping[i].out_base < model->mapping[i].out_count)
			return model_has_limits(&model->mapping[i]);
	return false;
}

unsigned model_count_of(const struct model *model, uint32_t in_addr, uint8_t proto)
{
	unsigned n = 0;

	for (size_t i = 0; i < model->n; i++)
		n += is_limited(model, &model->session[i], in_addr, proto) && model_counts(model, &model->session[i]);
	return n;
}

unsigned model_count_stale_of(const struct model *model, uint32_t in_addr, uint8_t proto)
{
	unsigned n = 0;

	for (size_t i = 0; i < model->n; i++) {
		const struct model_session *s = &model->session[i];

		n += is_limited(model, s, in_addr, proto) && model_expired(model, s) &&
		     s->out_addr != model_outside_of(model, in_addr);
	}
	return n;
}

static bool same_peer(const struct model_session *s, uint32_t in_addr, uint32_t ext_addr, uint16_t ext_port,
		      uint8_t proto)
{
	return s->in_addr == in_addr && s->ext_addr == ext_addr && s->ext_port == ext_port && s->proto == proto;
}

unsigned model_ports_held(const struct model *model, uint32_t in_addr, uint32_t ext_addr, uint16_t ext_port,
			  uint8_t proto)
{
	const struct model_mapping *m = model_inside(model, in_addr);
	unsigned n = 0, lo = model_port_lo(m, in_addr);

	for (size_t i = 0; i < model->n; i++) {
		const struct model_session *s = &model->session[i];

		n += same_peer(s, in_addr, ext_addr, ext_port, proto) && model_counts(model, s) &&
		     s->out_addr == model_outside_of(model, in_addr) && (unsigned)(s->out_port - lo) < model_ports(m);
	}
	return n;
}

/* By outside endpoint or by inside port; sessions that count go before closed ones, and those before former mappings'.
 */
static struct model_session *find(struct model *model, const struct model_session *like, bool by_out)
{
	struct model_session *closed = NULL;

	for (size_t i = 0; i < model->n; i++) {
		struct model_session *s = &model->session[i];

		if (!same_peer(s, like->in_addr, like->ext_addr, like->ext_port, like->proto) ||
		    model_expired(model, s) || (s->cut && !by_out) ||
		    (by_out ? s->out_port != like->out_port || s->out_addr != like->out_addr
			    : s->in_port != like->in_port))
			continue;
		if (!s->tcp.closed)
			return s;
		if (!closed || s->out_addr == model_outside_of(model, s->in_addr))
			closed = s;
	}
	return closed;
}

struct model_session *model_find_in(struct model *model, uint32_t in_addr, uint16_t in_port, uint32_t ext_addr,
				    uint16_t ext_port, uint8_t proto)
{
	const struct model_session like = {
		.in_addr = in_addr, .in_port = in_port, .ext_addr = ext_addr, .ext_port = ext_port, .proto = proto
	};

	return find(model, &like, false);
}

struct model_session *model_find_out(struct model *model, uint32_t in_addr, uint32_t out_addr, uint16_t out_port,
				     uint32_t ext_addr, uint16_t ext_port, uint8_t proto)
{
	const struct model_session like = { .in_addr = in_addr,
					    .out_addr = out_addr,
					    .out_port = out_port,
					    .ext_addr = ext_addr,
					    .ext_port = ext_port,
					    .proto = proto };

	return find(model, &like, true);
}

static bool is_established(const struct model_tcp *t)
{
	return t->established && !t->fin_in && !t->fin_out && !t->reset;
}

static void begin(const struct model *model, struct model_session *s)
{
	double seconds = s->proto == 17		   ? UDP_SECONDS
			 : s->proto == 1	   ? ICMP_SECONDS
			 : is_established(&s->tcp) ? ESTABLISHED_SECONDS
						   : TRANSITORY_SECONDS;

	s->deadline = model->now + seconds;
	s->seen = model->now;
}

/* The inside sends. */
static void refresh(struct model *model, struct model_session *s)
{
	struct model_binding *b = model_binding_in(model, s->in_addr, s->in_port, s->proto);

	begin(model, s);
	if (b && b->out_port == s->out_port)
		b->used = model->now;
}

/* Until the outside has acknowledged the answer to its SYN. Whether it was such a connection. */
static bool from_inside_inbound(struct model *model, struct model_session *s, uint8_t flags)
{
	struct model_tcp *t = &s->tcp;
	bool again = flags & MODEL_RST && t->reset;

	if (!t->inbound)
		return false;
	if (flags & MODEL_RST) {
		t->reset = true;
	} else {
		t->reset = false;
		if (flags & MODEL_FIN)
			*t = (struct model_tcp){ .fin_in = true };
		else if ((flags & (MODEL_SYN | MODEL_ACK)) == MODEL_SYN)
			*t = (struct model_tcp){ .answered = true }; /* both at once */
		else if (flags & MODEL_SYN)
			t->in_answered = true;
	}
	if (!again)
		refresh(model, s);
	return true;
}

static bool from_outside_inbound(struct model_tcp *t, uint8_t flags)
{
	if (!t->inbound)
		return false;
	if (t->reset)
		return true;
	if (flags & MODEL_RST)
		t->reset = true;
	else if (t->in_answered && (flags & (MODEL_SYN | MODEL_ACK)) == MODEL_ACK)
		*t = flags & MODEL_FIN ? (struct model_tcp){ .fin_out = true }
				       : (struct model_tcp){ .answered = true, .established = true };
	return true;
}

bool model_reopens(const struct model_session *s, uint8_t flags)
{
	return s->proto == 6 && (flags & (MODEL_SYN | MODEL_ACK | MODEL_RST)) == MODEL_SYN &&
	       (s->tcp.reset || s->tcp.fin_in || s->tcp.fin_out);
}

/* The FIN of the outside was none of its own, where both sides go on sending. */
static void data_after_fin(struct model_tcp *t, bool from_inside)
{
	if (!t->fin_out || t->fin_in)
		return;
	*(from_inside ? &t->data_in : &t->data_out) = true;
	if (t->data_in && t->data_out) {
		t->fin_out = t->data_in = t->data_out = false;
		t->answered = t->established = true;
	}
}

static void packet_from_inside(struct model *model, struct model_session *s, uint8_t flags)
{
	struct model_tcp *t = &s->tcp;

	if (s->proto != 6) {
		refresh(model, s);
		return;
	}
	if (from_inside_inbound(model, s, flags))
		return;
	if (model_reopens(s, flags)) {
		/* What the outside had opened has ended; this one is the subscriber's own. */
		s->inbound = s->inbound && !t->closed;
		*t = (struct model_tcp){};
		refresh(model, s);
		return;
	}
	if (t->closed)
		return;
	if (flags & MODEL_RST) {
		if (!t->reset) {
			t->reset = true;
			refresh(model, s);
		}
		return;
	}
	t->reset = false;
	if (flags & MODEL_FIN) {
		if (!t->fin_in) {
			t->fin_in = true;
			t->in_was_last = t->fin_out;
		}
	} else if (t->fin_in && t->fin_out) {
		t->closed = !t->in_was_last && flags & MODEL_ACK;
	} else if ((flags & (MODEL_SYN | MODEL_ACK)) == MODEL_SYN) {
		/* sent again */
	} else if (t->fin_out) {
		if (flags & MODEL_PSH)
			data_after_fin(t, true);
	} else if (t->answered) {
		t->established = true;
	}
	refresh(model, s);
}

static void packet_from_outside(struct model *model, struct model_session *s, uint8_t flags)
{
	struct model_tcp *t = &s->tcp;
	bool was_established = is_established(t);

	if (s->proto != 6 || t->closed || from_outside_inbound(t, flags) || t->reset)
		return;
	if (flags & MODEL_RST)
		t->reset = true;
	else if (flags & MODEL_FIN) {
		t->data_in = t->data_out = false;
		if (!t->fin_out) {
			t->fin_out = true;
			t->in_was_last = false;
		}
	} else if (t->fin_in && t->fin_out) {
		t->closed = t->in_was_last && flags & MODEL_ACK;
	} else if (!t->fin_in && !t->fin_out) {
		t->answered = true;
	} else if (flags & (MODEL_PSH | MODEL_SYN)) {
		data_after_fin(t, false);
	}
	/* The outside never lengthens a life, but it may cut it short. */
	if (was_established && !is_established(t) && s->deadline > model->now + TRANSITORY_SECONDS)
		s->deadline = model->now + TRANSITORY_SECONDS;
}

static void note_reset(const struct model *model, struct model_session *s, bool before)
{
	if (s->tcp.reset && !before)
		s->closed_at = model->now;
}

void model_from_inside(struct model *model, struct model_session *s, uint8_t flags)
{
	bool before = s->tcp.reset;

	packet_from_inside(model, s, flags);
	note_reset(model, s, before);
}

void model_from_outside(struct model *model, struct model_session *s, uint8_t flags)
{
	bool before = s->tcp.reset;

	packet_from_outside(model, s, flags);
	note_reset(model, s, before);
}

struct model_session *model_open(struct model *model, const struct model_session *like, uint8_t flags)
{
	uint32_t out_addr = model_outside_of(model, like->in_addr);
	struct model_session *s;

	/* What had expired on that flow, or held that port, is gone. */
	for (size_t i = model->n; i-- > 0;) {
		s = &model->session[i];
		if (same_peer(s, like->in_addr, like->ext_addr, like->ext_port, like->proto) &&
		    s->out_addr == out_addr && (s->out_port == like->out_port || s->in_port == like->in_port))
			model_remove(model, s);
	}
	if (model->n == MODEL_SESSIONS)
		return NULL;
	s = &model->session[model->n++];
	*s = *like;
	s->out_addr = out_addr;
	s->tcp = (struct model_tcp){ .reset = like->proto == 6 && flags & MODEL_RST && !like->inbound,
				     .inbound = like->proto == 6 && like->inbound };
	note_reset(model, s, false);
	if (like->inbound)
		begin(model, s);
	else
		refresh(model, s);
	return s;
}

void model_remove(struct model *model, struct model_session *s)
{
	*s = model->session[--model->n];
}

void model_remove_expired(struct model *model)
{
	for (size_t i = model->n; i-- > 0;)
		/* The agent does not look at those that are cut off before it ends them, or they are its mapping's
		 * again. */
		if (model_expired(model, &model->session[i]) && !model->session[i].cut)
			model_remove(model, &model->session[i]);
}

bool model_is_unsure(const struct model *model, double seconds)
{
	for (size_t i = 0; i < model->n; i++) {
		double left = model->session[i].deadline - model->now;

		if (left > -seconds && left < seconds)
			return true;
	}
	return false;
}

struct model_portmap *model_portmap_in(struct model *model, uint32_t in_addr, uint16_t in_port, uint8_t proto)
{
	for (size_t i = 0; i < model->n_portmaps; i++) {
		struct model_portmap *p = &model->portmap[i];

		if (p->in_addr == in_addr && p->in_port == in_port && p->proto == proto)
			return p;
	}
	return NULL;
}

struct model_portmap *model_portmap_out(struct model *model, uint32_t out_addr, uint16_t out_port, uint8_t proto)
{
	for (size_t i = 0; i < model->n_portmaps; i++) {
		struct model_portmap *p = &model->portmap[i];

		if (model_outside_of(model, p->in_addr) == out_addr && p->out_port == out_port && p->proto == proto)
			return p;
	}
	return NULL;
}

bool model_portmap_admits(const struct model_portmap *p, uint32_t ext_addr, uint16_t ext_port)
{
	for (unsigned i = 0; i < p->n_filters; i++) {
		const struct model_filter *f = &p->filter[i];

		if (ext_addr >= f->first && ext_addr <= f->last && (!f->port || f->port == ext_port))
			return true;
	}
	return !p->n_filters;
}
