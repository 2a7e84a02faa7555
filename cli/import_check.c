// SPDX-License-Identifier: BSD-2-Clause
/* import --check: the live sessions of the system whose plan it is, against the plan. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "import_check.h"
#include "message.h"
#include "traffic/traffic.h"

struct checking {
	const struct import *m;
	uint64_t agree;
	uint64_t differ;
	uint64_t own;	  /* from no inside address of the plan: the router's own */
	uint64_t unknown; /* without an outside endpoint */
	struct traffic_flow first;
	struct import_row expected;
};

/* Of ICMP a table has an identifier on each side, which is what a port is, or none, and then nothing is known. */
static bool tells_ports(const struct traffic_flow *f)
{
	return f->proto != IPPROTO_ICMP || (f->sport && f->out_port);
}

static int take(void *arg, const struct traffic_flow *f)
{
	struct checking *c = arg;
	const struct import_row *r = import_find(c->m, f->src);

	if (!r) {
		c->own++;
	} else if (!f->out_addr || (f->out_addr == r->out && !tells_ports(f))) {
		c->unknown++;
	} else if (f->out_addr == r->out && f->out_port >= r->lo && f->out_port <= r->hi) {
		c->agree++;
	} else if (!c->differ++) {
		c->first = *f;
		c->expected = *r;
	}
	return 0;
}

static void show_first(const struct checking *c, const char *agree)
{
	char in[ADDR_TEXT], out[ADDR_TEXT], expected[ADDR_TEXT];

	message_line("%s; %" PRIu64 " %s not, first: %s:%u left by %s:%u, the plan has %s:%u-%u", agree, c->differ,
		     c->differ == 1 ? "does" : "do", addr_format(c->first.src, in), c->first.sport,
		     addr_format(c->first.out_addr, out), c->first.out_port, addr_format(c->expected.out, expected),
		     c->expected.lo, c->expected.hi);
}

static void show(const struct checking *c, const struct traffic_notes *notes, const char *path)
{
	uint64_t n = c->agree + c->differ;
	char agree[80];

	for (uint64_t i = 0; i < notes->garbage && i < TRAFFIC_NAMED; i++)
		message_line("%s:%" PRIu64 ": not understood: %s", path, notes->named[i].line, notes->named[i].text);
	if (notes->garbage > TRAFFIC_NAMED)
		message_line("%s: %" PRIu64 " lines are not understood", path, notes->garbage);
	if (c->own)
		message_line("%s: sessions of no subscriber of the plan: %" PRIu64 ", not compared", path, c->own);
	if (c->unknown)
		message_line("%s: sessions without an outside endpoint: %" PRIu64 ", not compared", path, c->unknown);
	snprintf(agree, sizeof(agree), "%" PRIu64 " session%s: %" PRIu64 " agree", n, n == 1 ? "" : "s", c->agree);
	if (c->differ)
		show_first(c, agree);
	else
		message_line("%s", agree);
}

int import_check(const struct import *m, const char *path, struct import_checked *ret, struct error *err)
{
	struct checking c = { .m = m };
	struct traffic_notes notes;
	int fd = strcmp(path, "-") ? open(path, O_RDONLY | O_CLOEXEC) : STDIN_FILENO, r;

	if (fd < 0)
		return error_set(err, -errno, "%.200s: cannot be read: %s", path, strerror(errno));
	r = traffic_read(fd, path, (int64_t)time(NULL) * 1000, take, &c, &notes, err);
	if (fd != STDIN_FILENO)
		close(fd);
	if (r)
		return r;
	if (!(c.agree + c.differ))
		return error_set(
			err, -EINVAL,
			"%.200s: has no session of a subscriber of the plan with its outside endpoint: nothing "
			"is compared",
			path);
	show(&c, &notes, path);
	*ret = (struct import_checked){ c.agree, c.differ };
	return 0;
}
