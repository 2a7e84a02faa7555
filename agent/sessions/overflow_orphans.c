/* SPDX-License-Identifier: BSD-2-Clause */
#include <bpf/bpf.h>
#include <errno.h>

#include "sessions/overflow_orphans.h"

static bool is_orphan(const struct datapath *d, const struct overflow_key *out2in, const struct overflow_key *in2out)
{
	uint64_t word;
	int r = overflow_word(d, in2out, &word);

	return r ? r == -ENOENT : word_out_port(word) != out2in->port;
}

void overflow_orphans_look(struct overflow_orphans *o, const struct datapath *d, const struct overflow_key *out2in,
			   const struct overflow_session *session)
{
	struct overflow_key in2out = overflow_key_reverse(out2in, session->in_port);

	if (o->n == ORPHANS_MAX || !is_orphan(d, out2in, &in2out))
		return;
	o->found[o->n].out2in = *out2in;
	o->found[o->n].in2out = in2out;
	o->n++;
}

void overflow_orphans_remove(struct overflow_orphans *o, struct mappings *m)
{
	struct datapath *d = mappings_datapath(m);

	if (o->n)
		datapath_grace_period(d);
	for (unsigned i = 0; i < o->n; i++)
		if (is_orphan(d, &o->found[i].out2in, &o->found[i].in2out))
			overflow_delete_orphan(d, &o->found[i].out2in, &o->found[i].in2out);
	o->n = 0;
}
