// SPDX-License-Identifier: BSD-2-Clause
#include "import/import_prove.h"

#include "import/import_build.h"

/* By the texts of the configuration, as the agent reads it. */
static int read_ranges(const struct import_ranges *list, struct plan_addresses *ret, struct error *err)
{
	char text[IMPORT_RANGE_TEXT];
	int r = 0;

	for (size_t i = 0; i < list->n && !r; i++)
		r = plan_addresses_read(import_range_format(list->range[i], text), ret, err);
	return r;
}

int import_mapping(const struct import_part *p, struct plan_mapping *ret, struct error *err)
{
	struct plan_mapping m = PLAN_MAPPING;
	int r = read_ranges(&p->in, &m.in, err);

	r = r ? r : read_ranges(&p->out, &m.out, err);
	if (r) {
		plan_mapping_free(&m);
		return r;
	}
	m.subscribers_per_address = p->ratio;
	m.ports_per_host = p->ports;
	m.first_port = p->first_port;
	m.block_pitch = p->pitch != p->ports && p->ratio > 1 ? p->pitch : 0;
	m.order = p->netmap ? PLAN_NETMAP : PLAN_SEQUENTIAL;
	*ret = m;
	return 0;
}

static int add_part(const struct import_part *p, struct plan *plan, struct error *err)
{
	struct plan_mapping m;
	int r = import_mapping(p, &m, err);

	if (r)
		return r;
	r = plan_add(plan, &m, err);
	plan_mapping_free(&m);
	return r;
}

static int add_untranslated(struct import_range in, struct plan *plan, struct error *err)
{
	struct plan_mapping m = PLAN_MAPPING;
	struct import_ranges list = { &in, 1, 0 };
	int r = read_ranges(&list, &m.in, err);

	r = r ? r : plan_add(plan, &m, err);
	plan_mapping_free(&m);
	return r;
}

int import_plan(const struct import *m, struct plan *ret, struct error *err)
{
	int r = 0;

	for (size_t i = 0; i < m->n_parts && !r; i++)
		r = add_part(&m->part[i], ret, err);
	for (size_t i = 0; i < m->untranslated.n && !r; i++)
		r = add_untranslated(m->untranslated.range[i], ret, err);
	return r;
}

/* Port 0 is given to no subscriber. */
static bool same_ports(const struct import_row *r, const struct port_block *b)
{
	return b->out_addr == r->out && b->port_lo == (r->lo ? r->lo : 1) && b->port_hi == r->hi;
}

int import_prove(const struct import *m, struct plan *plan, struct import_proof *ret)
{
	*ret = (struct import_proof){ .subscribers = m->n_rows + m->n_differ, .unkept = m->n_differ };
	for (size_t i = 0; i < m->n_rows; i++) {
		const struct import_row *row = &m->row[i];
		struct plan_place place;
		int r = plan_forward(plan, 0, row->in, &place);

		if (r && r != -ENOENT)
			return r;
		if (r || !place.translated) {
			ret->unkept++;
		} else if (same_ports(row, &place.block)) {
			ret->kept++;
		} else if (place.block.out_addr == row->out && place.block.port_lo >= row->lo &&
			   place.block.port_hi <= row->hi) {
			ret->shrunk++;
		} else {
			if (!ret->foreign++)
				ret->wrong = *row;
			ret->unkept++;
		}
	}
	return 0;
}

int import_row_kept(struct plan *plan, const struct import_row *row)
{
	struct plan_place place;
	int r = plan_forward(plan, 0, row->in, &place);

	if (r)
		return r == -ENOENT ? 0 : r;
	if (!place.translated)
		return 0;
	return same_ports(row, &place.block) ? 1 : -EADDRINUSE;
}
