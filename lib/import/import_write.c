// SPDX-License-Identifier: BSD-2-Clause
/* The configuration, as indented JSON. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "import/import_build.h"

static void write_names(FILE *out, const struct import_names *list)
{
	fputc('[', out);
	for (size_t i = 0; i < list->n; i++) {
		fputs(i ? ", " : "", out);
		text_json_string(out, list->name[i]);
	}
	fputc(']', out);
}

/* As configurations have it: a single address is a prefix of 32 bits. */
static const char *range_text(struct import_range r, char text[static IMPORT_RANGE_TEXT])
{
	import_range_format(r, text);
	if (r.first == r.last)
		strncat(text, "/32", IMPORT_RANGE_TEXT - 1 - strlen(text));
	return text;
}

static void write_ranges(FILE *out, const struct import_ranges *list)
{
	char text[IMPORT_RANGE_TEXT];

	fputs(list->n > 1 ? "[" : "", out);
	for (size_t i = 0; i < list->n; i++)
		fprintf(out, "%s\"%s\"", i ? ", " : "", range_text(list->range[i], text));
	fputs(list->n > 1 ? "]" : "", out);
}

/* How the blocks of a part grow, or NULL: they do not, or not all alike. */
static const struct import_growth *growth_of(const struct import *m, const struct import_part *p)
{
	for (size_t i = 0; i < m->n_growths; i++) {
		const struct import_growth *g = &m->growth[i];
		size_t within = 0;

		for (size_t k = 0; k < p->out.n; k++)
			within += import_range_has(g->out, p->out.range[k].first) &&
				  import_range_has(g->out, p->out.range[k].last);
		if (within == p->out.n)
			return g;
	}
	return NULL;
}

static void write_part(FILE *out, const struct import *m, const struct import_part *p)
{
	const struct import_growth *grown = growth_of(m, p);

	fputs("    { \"in\": ", out);
	write_ranges(out, &p->in);
	fputs(", \"out\": ", out);
	write_ranges(out, &p->out);
	fprintf(out, ", \"subscribers_per_address\": %u, \"ports_per_host\": %u", p->ratio, p->ports);
	if (p->first_port != 1024)
		fprintf(out, ", \"first_port\": %u", p->first_port);
	if (p->pitch != p->ports && p->ratio > 1)
		fprintf(out, ", \"block_pitch\": %u", p->pitch);
	fputs(p->netmap ? ", \"order\": \"netmap\"" : "", out);
	if (grown)
		fprintf(out, ", \"growth\": { \"block\": %u, \"max_blocks\": %u }", grown->block, grown->max_blocks);
	fputs(" }", out);
}

static void write_mappings(FILE *out, const struct import *m)
{
	const char *between = "\n";

	fputs("  \"mappings\": [", out);
	for (size_t i = 0; i < m->n_parts; i++, between = ",\n") {
		fputs(between, out);
		write_part(out, m, &m->part[i]);
	}
	for (size_t i = 0; i < m->untranslated.n; i++, between = ",\n") {
		char text[IMPORT_RANGE_TEXT];

		fprintf(out, "%s    { \"in\": \"%s\", \"out\": null }", between,
			range_text(m->untranslated.range[i], text));
	}
	fputs("\n  ]", out);
}

static void write_timeouts(FILE *out, const struct import *m)
{
	const char *between = ",\n  \"timeouts\": { ";
	bool any = false;

	for (unsigned i = 0; i < N_TIMEOUTS; i++) {
		if (!m->timeouts[i])
			continue;
		fprintf(out, "%s\"%s\": %u", between, timeout_names[i], m->timeouts[i]);
		between = ", ";
		any = true;
	}
	fputs(any ? " }" : "", out);
}

static void write_bypass(FILE *out, const struct import *m)
{
	char text[IMPORT_RANGE_TEXT];

	if (!m->bypass.n)
		return;
	fputs(",\n  \"bypass\": [", out);
	for (size_t i = 0; i < m->bypass.n; i++) {
		fprintf(out, "%s\"%s\"", i ? ", " : "", range_text(m->bypass.range[i], text));
	}
	fputc(']', out);
}

static void write_forwards(FILE *out, const struct import *m)
{
	static const char *const names[] = { [IMPORT_TCP] = "tcp", [IMPORT_UDP] = "udp", [IMPORT_PORTS] = "both" };

	for (size_t i = 0; i < m->n_forwards; i++) {
		const struct import_forward *f = &m->forward[i];
		char in[ADDR_TEXT], outside[ADDR_TEXT], more[2][8] = { "", "" };

		if (f->n > 1) {
			snprintf(more[0], sizeof(more[0]), "-%u", (f->in_port + f->n - 1U) & UINT16_MAX);
			snprintf(more[1], sizeof(more[1]), "-%u", (f->out_port + f->n - 1U) & UINT16_MAX);
		}
		fprintf(out, "%s    { \"proto\": \"%s\", \"in\": \"%s:%u%s\", \"out\": \"%s:%u%s\" }",
			i ? ",\n" : ",\n  \"portmaps\": [\n", names[f->protos & IMPORT_PORTS], addr_format(f->in, in),
			f->in_port, more[0], addr_format(f->out, outside), f->out_port, more[1]);
	}
	fputs(m->n_forwards ? "\n  ]" : "", out);
}

static void write_mss(FILE *out, const struct import *m)
{
	if (m->mss == IMPORT_MSS_MTU)
		fputs(",\n  \"tcp_mss_clamp\": \"mtu\"", out);
	else if (m->mss)
		fprintf(out, ",\n  \"tcp_mss_clamp\": %u", m->mss);
}

static void write_collectors(FILE *out, const struct import *m)
{
	char text[COLLECTOR_TEXT];

	if (!m->n_collectors)
		return;
	fputs(",\n  \"ipfix\": { \"collector\": [", out);
	for (uint32_t i = 0; i < m->n_collectors; i++)
		fprintf(out, "%s\"%s\"", i ? ", " : "", collector_format(m->collectors[i], text));
	fputc(']', out);
	if (m->domain_id)
		fprintf(out, ", \"domain_id\": %u", m->domain_id);
	fputs(" }", out);
}

char *import_write(const struct import *m, const char *comment)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	fputs("{\n", out);
	if (*comment) {
		fputs("  \"comment\": ", out);
		text_json_string(out, comment);
		fputs(",\n", out);
	}
	fputs("  \"interfaces\": { \"inside\": ", out);
	write_names(out, &m->inside);
	fputs(", \"outside\": ", out);
	write_names(out, &m->outside);
	fputs(" },\n", out);
	write_mappings(out, m);
	if (m->sessions_per_user)
		fprintf(out, ",\n  \"sessions_per_user\": %u", m->sessions_per_user);
	if (m->eim || m->eif)
		fprintf(out, ",\n  \"endpoint_independent\": { \"mapping\": [\"udp\", \"tcp\"]%s }",
			m->eif ? ", \"filtering\": [\"udp\", \"tcp\"]" : "");
	write_timeouts(out, m);
	write_bypass(out, m);
	write_forwards(out, m);
	write_mss(out, m);
	write_collectors(out, m);
	fputs("\n}\n", out);
	if (fclose(out)) {
		free(text);
		return NULL;
	}
	return text;
}
