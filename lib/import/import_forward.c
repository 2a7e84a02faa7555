// SPDX-License-Identifier: BSD-2-Clause
#include "import/import_forward.h"

#include <string.h>

#include <detnat/portmaps.h>

#include "base/text.h"
#include "import/import_build.h"
#include "import/import_prove.h"
#include "import/import_rows.h"

/*
 * A port that leads to a subscriber is of none of his sessions any more, so a portmap of the whole block would leave
 * him none: at most so many ports of a rule are taken, and of a subscriber a quarter of his block.
 */
#define MOST_PORTS 64U
#define SHARE	   4U

/* As tcp_mss_clamp has it. */
#define LEAST_MSS 536U
#define MOST_MSS  65495U

static void lose(struct import *m, const struct import_dnat *d, uint32_t line, const char *why)
{
	char to[IMPORT_RANGE_TEXT] = "another address";

	if (d->tos)
		import_range_format(d->to, to);
	import_note(m, IMPORT_INBOUND, line, "ports %s from outside to %s: not kept, %s",
		    *d->ports ? QUOTED(d->ports) : "of all kinds", to, why);
}

static void add(struct import *m, const struct import_forward *f)
{
	/* Room grows at powers of two. */
	bool full = !(m->n_forwards & (m->n_forwards - 1));
	struct import_forward *more =
		full ? realloc(m->forward, (m->n_forwards ? 2 * m->n_forwards : 1) * sizeof(*more)) : m->forward;

	if (!more) {
		import_fail(m, "out of memory");
		return;
	}
	m->forward = more;
	more[m->n_forwards++] = *f;
}

/* One port or one range. */
static bool take_ports(struct import *m, const struct import_dnat *d, const char *text, uint32_t line)
{
	uint32_t lo, hi, n, in;

	if (import_ports_parse(text, &lo, &hi) || !lo)
		return false;
	n = hi - lo + 1;
	in = d->to_lo ? d->to_lo : lo;
	/* Several ports to one are no portmap. */
	if (n > MOST_PORTS || (d->to_lo && d->to_hi - d->to_lo + 1U != n))
		return false;
	add(m, &(struct import_forward){ .line = line,
					 .protos = d->protos,
					 .n = (uint16_t)n,
					 .in = d->to.first,
					 .out = d->out.first,
					 .in_port = (uint16_t)in,
					 .out_port = (uint16_t)lo });
	return true;
}

void import_dnat_take(struct import *m, const struct import_dnat *d, uint32_t line)
{
	size_t before = m->n_forwards;
	char ports[sizeof(d->ports)];
	bool taken = true;

	if (d->other || d->tos != 1 || import_range_size(d->to) != 1) {
		lose(m, d, line, "the rule has more conditions or targets than a portmap");
		return;
	}
	if (d->outs != 1 || import_range_size(d->out) != 1) {
		lose(m, d, line, "the rule does not name one outside address");
		return;
	}
	if (!d->protos || d->protos & ~IMPORT_PORTS || !*d->ports) {
		lose(m, d, line, "a portmap is one of single ports of TCP or UDP");
		return;
	}
	memcpy(ports, d->ports, sizeof(ports));
	for (char *rest, *one = strtok_r(ports, ", ", &rest); one && taken; one = strtok_r(NULL, ", ", &rest))
		taken = take_ports(m, d, one, line);
	if (taken)
		return;
	m->n_forwards = before;
	lose(m, d, line, "a portmap has as many ports inside as outside, and few, as his sessions cannot have them");
}

static const struct import_row *row_at(const struct import *m, const uint32_t *order, size_t i)
{
	return &m->row[order ? order[i] : i];
}

/* Whether a port is of a block of another subscriber. */
static bool of_another(const struct import *m, const uint32_t *order, const struct import_forward *f)
{
	size_t lo = 0, hi = m->n_rows;

	/* The last row that begins at or below the last port. */
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		const struct import_row *r = row_at(m, order, mid);

		if (r->out < f->out || (r->out == f->out && r->lo <= f->out_port + f->n - 1U))
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo && row_at(m, order, lo - 1)->out == f->out; lo--) {
		const struct import_row *r = row_at(m, order, lo - 1);

		if (r->hi < f->out_port)
			return false;
		if (r->in != f->in)
			return true;
	}
	return false;
}

/* plan: NULL where the parts are none, as the agent will say. NULL if a candidate is a portmap; else the reason why
 * not. */
static const char *why_not(const struct import *m, struct plan *plan, const uint32_t *order,
			   const struct import_forward *f)
{
	const struct import_row *r = import_find(m, f->in);
	uint32_t last = f->out_port + f->n - 1U;
	bool within;

	if (!r || (plan && import_row_kept(plan, r) != 1))
		return "the inside address is no subscriber of the plan";
	if (r->out != f->out)
		return "the subscriber leaves by another address";
	within = f->out_port >= r->lo && last <= r->hi;
	if (!within && ((f->out_port <= r->hi && last >= r->lo) || of_another(m, order, f)))
		return "the ports are in a block, and not all in the subscriber's";
	if (within && f->n > (r->hi - r->lo + 1U) / SHARE)
		return "his sessions would have few ports left";
	return NULL;
}

static void settle(struct import *m, struct plan *plan, const uint32_t *order)
{
	uint64_t ports = 0;
	size_t kept = 0;

	for (size_t i = 0; i < m->n_forwards; i++) {
		struct import_forward f = m->forward[i];
		uint32_t each = f.n * (f.protos == IMPORT_PORTS ? 2U : 1U);
		const char *why =
			ports + each > MAX_PORTMAPS ? "there is room for 65536 portmaps" : why_not(m, plan, order, &f);
		char in[ADDR_TEXT], out[ADDR_TEXT];

		addr_format(f.in, in);
		addr_format(f.out, out);
		if (why) {
			import_note(m, IMPORT_INBOUND, f.line, "%s:%u from outside to %s:%u: not kept, %s", out,
				    f.out_port, in, f.in_port, why);
			continue;
		}
		import_note(m, IMPORT_TAKEN, f.line, "%s:%u from outside to %s:%u: taken as a portmap", out, f.out_port,
			    in, f.in_port);
		ports += each;
		m->forward[kept++] = f;
	}
	m->n_forwards = kept;
}

int import_forwards_settle(struct import *m)
{
	_cleanup_plan_ struct plan plan = { 0 };
	_cleanup_free_ uint32_t *order = NULL;
	struct error err;
	int r;

	if (!m->n_forwards)
		return 0;
	r = import_plan(m, &plan, &err);
	if (r == -ENOMEM || import_rows_outside(m, &order))
		return -ENOMEM;
	settle(m, r ? NULL : &plan, order);
	return m->failed ? -ENOMEM : 0;
}

void import_mss_take(struct import *m, const char *text, uint32_t line)
{
	uint32_t mss = IMPORT_MSS_MTU;

	if (strcmp(text, "clamp") != 0 && (import_number(text, MOST_MSS, &mss) || mss < LEAST_MSS)) {
		import_note(m, IMPORT_UNKNOWN, line, "a maximum segment size of %s: not taken", QUOTED(text));
		return;
	}
	if (m->mss && m->mss != mss)
		import_note(m, IMPORT_TAKEN, line,
			    "there is one limit of the maximum segment size here: the least is taken");
	else if (!m->mss)
		import_note(
			m, IMPORT_TAKEN, line,
			"the limit of the maximum segment size is taken as tcp_mss_clamp, for all that is translated");
	if (!m->mss || mss < m->mss)
		m->mss = mss;
}
