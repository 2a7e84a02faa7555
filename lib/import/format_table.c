// SPDX-License-Identifier: BSD-2-Clause
/*
 * Tables that systems print: a line for each inside address, with its outside address and ports, in any of the forms
 * "IN OUT LO HI", "IN OUT LO-HI", "IN OUT:LO-HI", "IN,OUT,LO,HI". Of the dialects, A10's port-mapping file names the
 * outside address once for all below it. import_sides.h says which address is inside.
 */
#include <string.h>

#include "base/text.h"
#include "import/import_build.h"
#include "import/import_formats.h"
#include "import/import_sides.h"

struct table {
	struct import *m;
	struct import_sides sides; /* of the rows since the last header */
	bool has_group;		   /* "NAT Address: A" precedes the lines of A */
	uint32_t group;
	uint32_t rows;
};

/* A line before the rows, or a header in between, which holds no row. *ret: whether it is one. */
static int take_header(struct table *t, const char *line, uint32_t number, bool *ret, struct error *err)
{
	bool title =
		import_holds(line, "ippool name=") || import_begins(line, "Fixed NAT") || import_begins(line, "cgnv6 ");
	struct import_header header;

	*ret = true;
	if (!line[strspn(line, " \t-=+|_")] || title)
		return 0;
	header = import_header_read(line, number);
	*ret = !t->rows || header.both || header.columns;
	return *ret ? import_sides_header(&t->sides, t->m, &header, err) : 0;
}

/* What a row has, in the order of the line. */
struct cells {
	uint32_t addr[3];
	unsigned n_addr;
	uint32_t port[3];
	unsigned n_port;
	uint32_t protos;
	bool odd;
};

static void take_ports(struct cells *c, const char *text)
{
	uint32_t lo, hi;

	if (import_ports_parse(text, &lo, &hi)) {
		c->odd = true;
		return;
	}
	if (c->n_port < 3)
		c->port[c->n_port++] = lo;
	if (strpbrk(text, "-~") && c->n_port < 3)
		c->port[c->n_port++] = hi;
}

static void take_cell(struct cells *c, char *word)
{
	char *equals = strchr(word, '='), *colon;
	uint32_t addr, proto;

	if (equals)
		word = equals + 1;
	if (!*word)
		return;
	colon = strchr(word, ':');
	if (colon)
		*colon = '\0';
	if (strlen(word) > 3 && !strcmp(word + strlen(word) - 3, "/32"))
		word[strlen(word) - 3] = '\0';
	if (!addr_parse(word, &addr)) {
		if (c->n_addr < 3)
			c->addr[c->n_addr++] = addr;
		if (colon)
			take_ports(c, colon + 1);
		return;
	}
	for (char *l = word; *l; l++)
		*l = (char)(*l >= 'A' && *l <= 'Z' ? *l + 32 : *l);
	if (!word_number(proto_words, word, &proto)) {
		c->protos |= !strcmp(word, "tcp") ? IMPORT_TCP : !strcmp(word, "udp") ? IMPORT_UDP : IMPORT_ICMP;
		return;
	}
	if (!strcmp(word, "to") || !strcmp(word, "-") || !strcmp(word, "all") || !strcmp(word, "any") ||
	    !strcmp(word, "internal") || !strcmp(word, "nat"))
		return;
	take_ports(c, word);
}

static int refuse_row(const struct table *t, const struct import_lines *l, const char *line, struct error *err)
{
	return import_fault(t->m, l->line, err,
			    "needs an inside address, an outside address, and the first and last of its ports, not "
			    "%s",
			    QUOTED(line));
}

static int read_row(struct table *t, struct import_lines *l, const char *line, struct error *err)
{
	struct cells c = {};
	unsigned need = t->has_group ? 1 : 2;
	uint32_t in, out;

	import_lines_words(l, ",;|", 0);
	for (unsigned i = 0; i < l->n_words; i++)
		take_cell(&c, l->word[i]);
	if (c.odd || c.n_addr != need || c.n_port != 2 || c.port[1] < c.port[0] || c.port[1] > 65535)
		return refuse_row(t, l, line, err);
	/* Which of the two is inside is known at the end. */
	in = c.addr[0];
	out = t->has_group ? t->group : c.addr[1];
	if (t->has_group)
		import_sides_skip(&t->sides, t->m);
	import_add(t->m, in, out, c.port[0], c.port[1], c.protos ? c.protos : IMPORT_ALL, l->line);
	t->rows++;
	return 0;
}

/* "NAT Address: 192.0.2.1" */
static bool take_group(struct table *t, const char *line)
{
	static const char title[] = "NAT Address:";

	if (strncasecmp(line, title, sizeof(title) - 1) != 0)
		return false;
	line += sizeof(title) - 1;
	line += strspn(line, " \t");
	t->has_group = !addr_parse(line, &t->group);
	return t->has_group;
}

static bool has_address(const char *line)
{
	for (; *line; line++) {
		unsigned a, b, c, d;

		if (*line >= '0' && *line <= '9' && sscanf(line, "%3u.%3u.%3u.%3u", &a, &b, &c, &d) == 4)
			return true;
	}
	return false;
}

int import_read_table(struct import *m, const struct import_text *text, const struct import_options *options,
		      struct error *err)
{
	_cleanup_free_ struct import_lines *l = malloc(sizeof(*l));
	struct table t = { .m = m, .sides = { .told = options->first_side } };
	int r = 0;

	if (!l || import_lines_begin(l, text, false))
		return error_set(err, -ENOMEM, "out of memory");
	while (!r && !m->failed && import_lines_next(l)) {
		const char *line = l->buffer + strspn(l->buffer, " \t");
		char shown[88];
		bool header = false;

		if (!strncmp(line, "# INSIDE ", 9))
			import_sides_own(&t.sides);
		if (!*line || *line == '#' || *line == '!' || take_group(&t, line))
			continue;
		snprintf(shown, sizeof(shown), "%s", line);
		if (has_address(line)) {
			r = read_row(&t, l, shown, err);
			continue;
		}
		r = take_header(&t, line, l->line, &header, err);
		if (!r && !header)
			r = refuse_row(&t, l, shown, err);
	}
	r = r ? r : import_sides_end(&t.sides, m, err);
	import_lines_end(l);
	return r;
}
