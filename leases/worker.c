/* SPDX-License-Identifier: BSD-2-Clause */
#include "worker.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "access_servers.h"
#include "base/log.h"
#include "lease_follower.h"
#include "leases/accounting_servers.h"
#include "leases/lease_files.h"
#include "lease_writer.h"
#include "radius_server.h"
#include "recorded_sources.h"
#include "retention.h"

#define SECOND_US 1000000ULL
/* A socket for requests and one for forwarding of each source. */
#define MAX_POLLED (WORKER_OTHERS + 2 * CONFIG_MAX_LEASE_SOURCES)
/* A clock that leaps on by more has left seconds out. */
#define CLOCK_STEP_S 5
/* Figures that change are reported so often. */
#define REPORT_US 20000ULL
/* Turns with a server that has more requests, before others have theirs. */
#define TURNS 4U

struct worker {
	struct lease_means *means; /* in force; NULL: none yet */
	struct radius_server *server[CONFIG_MAX_LEASE_SOURCES];
	struct lease_follower *follower[CONFIG_MAX_LEASE_SOURCES];
	struct lease_writer writer;
	struct seen_records seen;
	struct recorded_sources recorded;
	struct expiry_day retention;
	struct identity_figures figures;		/* but for those of the moment */
	struct error trouble[CONFIG_MAX_LEASE_SOURCES]; /* of a source, as it was logged; "": none */
	struct error day_error;
	const char *dir; /* of the files */
	char directory[PATH_MAX];
	uint64_t second_us; /* when the second was looked after last */
	int64_t wall;	    /* time then; 0: never */
	int64_t offset;	    /* of that from the monotonic clock */
	uint64_t reported_us;
	struct identity_figures reported;
	bool more;     /* to read in a file */
	bool tell_day; /* the members below are news */
	struct chain_tip tip;
	unsigned removed;
};

/* A source of the former configuration is kept if the new one has it, too. */

static bool same_source(const struct config_lease_source *a, const struct config_lease_source *b)
{
	return a->type == b->type && a->passive == b->passive && endpoint_equal(a->listen, b->listen) &&
	       endpoint_equal(a->forward, b->forward) && !strcmp(a->path, b->path) && !strcmp(a->tenant, b->tenant);
}

static struct radius_server *take_server(struct radius_server **servers, const struct config_lease_source *s)
{
	for (uint32_t i = 0; i < CONFIG_MAX_LEASE_SOURCES; i++)
		if (servers[i] && same_source(&servers[i]->rules, s))
			return take_pointer(servers[i]);
	return NULL;
}

static struct lease_follower *take_follower(struct lease_follower **followers, const struct config_lease_source *s)
{
	for (uint32_t i = 0; i < CONFIG_MAX_LEASE_SOURCES; i++)
		if (followers[i] && same_source(&followers[i]->rules, s))
			return take_pointer(followers[i]);
	return NULL;
}

/* The socket of a server that ends, if another takes its address. */
static int take_socket(struct radius_server **servers, struct endpoint at)
{
	for (uint32_t i = 0; i < CONFIG_MAX_LEASE_SOURCES; i++)
		if (servers[i] && endpoint_equal(servers[i]->rules.listen, at))
			return take_fd(servers[i]->fd);
	return -1;
}

static void save_servers(const struct worker *k)
{
	if (k->means)
		access_servers_save(k->dir, &k->means->rules, k->server);
}

static int begin_server(struct worker *k, struct radius_server **former, uint32_t n)
{
	const struct config_lease_source *s = &k->means->rules.source[n];
	bool kept;
	int r = 0;

	k->server[n] = take_server(former, s);
	kept = k->server[n];
	if (kept)
		k->server[n]->rules = *s;
	else
		r = radius_server_new(s, &k->seen, &k->server[n]);
	if (!r && !kept)
		access_servers_recall(k->dir, s, &k->server[n]->senders);
	if (!r && k->means->fd[n] < 0 && !radius_server_ready(k->server[n]))
		k->means->fd[n] = take_socket(former, s->listen);
	return r;
}

/* Without sources before, the lines on the disk are all that is known. */
static void begin_recording(struct worker *k, const struct config_leases *former)
{
	const struct config_leases *rules = &k->means->rules;
	int64_t now = time(NULL);

	if (!former->n && !rules->n)
		return;
	if (!former->n)
		seen_recall(&k->seen, k->dir, now);
	if (recorded_sources_change(&k->recorded, former->n ? former : NULL, rules, &k->writer, now))
		log_error("leases: no memory for the beginning of all sources");
}

/* What was begun by the former sources is brought to the disk before, and answered. */
static void adopt(struct worker *k, struct lease_means *means)
{
	struct radius_server *servers[CONFIG_MAX_LEASE_SOURCES];
	struct lease_follower *followers[CONFIG_MAX_LEASE_SOURCES];
	struct config_leases former = k->means ? k->means->rules : (struct config_leases){ 0 };
	int r = 0;

	memcpy(servers, k->server, sizeof(servers));
	memcpy(followers, k->follower, sizeof(followers));
	memset(k->server, 0, sizeof(k->server));
	memset(k->follower, 0, sizeof(k->follower));
	memset(k->trouble, 0, sizeof(k->trouble));
	lease_means_free(k->means);
	k->means = means;
	k->dir = lease_directory(means->dir, k->directory);
	k->writer.batch.dir = k->dir;
	for (uint32_t i = 0; i < means->rules.n && !r; i++) {
		const struct config_lease_source *s = &means->rules.source[i];

		if (s->type == SOURCE_RADIUS)
			r = begin_server(k, servers, i);
		else if (!(k->follower[i] = take_follower(followers, s)))
			r = lease_follower_new(s, &k->follower[i]);
	}
	for (uint32_t i = 0; i < CONFIG_MAX_LEASE_SOURCES; i++) {
		radius_server_free(servers[i]);
		lease_follower_free(followers[i]);
	}
	if (r)
		log_error("leases: no memory for all sources");
	begin_recording(k, &former);
	/* A day is looked after again if leases are kept for another time now. */
	if (former.retention != means->rules.retention)
		k->retention.day = 0;
}

/* Each source's trouble is logged when it begins; the agent shows one of them. */
static void note(struct worker *k, uint32_t source, const char *text)
{
	if (*text && strcmp(k->trouble[source].text, text) != 0)
		log_warning("leases: %s", text);
	error_set(&k->trouble[source], 0, "%s", text);
}

/* Opens what was missing, as an address may appear and a secret be mended. */
static void equip(struct worker *k)
{
	for (uint32_t i = 0; k->means && i < k->means->rules.n; i++) {
		struct radius_server *s = k->server[i];
		const struct config_leases *running = s && s->fd >= 0 ? &k->means->rules : NULL;
		struct error err = { 0 }, why = { 0 };
		const char *key = "";
		int r;

		if (!s)
			continue;
		if (radius_server_ready(s) && k->means->fd[i] < 0 && !k->means->clients[i].n)
			continue;
		r = lease_means_source(k->means, i, running, &key, &err);
		if (!r) {
			r = radius_server_equip(s, k->means->fd[i], &k->means->clients[i], k->dir);
			k->means->fd[i] = -1;
			if (r)
				error_set(&err, r, "cannot forward requests: %s", strerror(-r));
		}
		if (!r)
			radius_clients_forget(&k->means->clients[i]);
		else
			error_set(&why, r, "leases[%u]%s%s: %.400s", i, *key ? "." : "", key, err.text);
		note(k, i, why.text);
	}
}

static void answer_all(struct worker *k)
{
	seen_written(&k->seen);
	for (uint32_t i = 0; i < CONFIG_MAX_LEASE_SOURCES; i++)
		if (k->server[i])
			radius_server_written(k->server[i], &k->figures);
}

static void write_group(struct worker *k)
{
	uint64_t now_us = monotonic_us();
	bool failed = k->writer.failed;

	if (k->writer.lines && lease_writer_write(&k->writer, time(NULL), now_us)) {
		if (!failed)
			log_error("leases: %s; requests are not answered until it can be", k->writer.error.text);
		return;
	}
	recorded_sources_save(&k->recorded, k->dir);
	answer_all(k);
}

/* Requests that give no line are answered at once. */
static void write_due(struct worker *k)
{
	if (!k->writer.lines || lease_writer_due(&k->writer) <= monotonic_us())
		write_group(k);
}

static void receive(struct worker *k)
{
	for (uint32_t i = 0; i < CONFIG_MAX_LEASE_SOURCES; i++) {
		struct radius_server *s = k->server[i];
		bool more = true;

		for (unsigned turn = 0; s && more && turn < TURNS && radius_server_fd(s) >= 0; turn++) {
			more = radius_server_receive(s, &k->writer, &k->figures);
			write_due(k);
		}
		if (s)
			radius_forward_work(s->forward, monotonic_us());
	}
}

/* Files wait while the disk takes nothing. */
static void look_at_files(struct worker *k)
{
	int64_t now = time(NULL);

	k->more = false;
	for (uint32_t i = 0; i < CONFIG_MAX_LEASE_SOURCES && !k->writer.failed; i++) {
		if (!k->follower[i])
			continue;
		k->more |= lease_follower_look(k->follower[i], &k->writer, now, &k->figures);
		note(k, i, k->follower[i]->trouble.text);
	}
}

static void look_at_day(struct worker *k)
{
	int r = retention_tick(&k->retention, k->dir, k->means->rules.retention, time(NULL), (int64_t)boottime_s(),
			       &k->tip, &k->removed, &k->day_error);

	if (r >= 0)
		k->day_error.text[0] = '\0';
	k->tell_day |= r > 0;
}

/* Seconds that the clock left out, or the machine slept through, have no record; those that come twice are said. */
static void look_at_clock(struct worker *k, int64_t now, uint64_t now_us)
{
	int64_t offset = now - (int64_t)(now_us / SECOND_US);
	struct clock_step step = { now, k->wall ? offset - k->offset : 0 };

	for (uint32_t i = 0; llabs(step.by) > CLOCK_STEP_S && i < CONFIG_MAX_LEASE_SOURCES; i++)
		if (k->server[i])
			accounting_servers_clock_set(&k->server[i]->senders, step);
	if (step.by > CLOCK_STEP_S)
		lease_writer_lose(&k->writer, k->wall);
	else if (k->means->rules.n && step.by < -CLOCK_STEP_S && lease_writer_step(&k->writer, now - step.by, now))
		log_error("leases: no memory to record that the clock was set back");
	k->offset = offset;
	k->wall = now;
}

static void each_second(struct worker *k)
{
	k->second_us = monotonic_us();
	look_at_clock(k, time(NULL), k->second_us);
	equip(k);
	if (k->means->rules.n)
		lease_writer_mark(&k->writer, time(NULL));
	save_servers(k);
	look_at_files(k);
	look_at_day(k);
}

/* The trouble that is worst for operators, in a text. */
static void find_trouble(const struct worker *k, char text[static TROUBLE_TEXT])
{
	uint64_t now_us = monotonic_us();

	*text = '\0';
	if (k->writer.failed) {
		snprintf(text, TROUBLE_TEXT, "%.440s; requests are not answered until it can be", k->writer.error.text);
		return;
	}
	for (uint32_t i = 0; i < CONFIG_MAX_LEASE_SOURCES && !*text; i++)
		snprintf(text, TROUBLE_TEXT, "%s", k->trouble[i].text);
	if (!*text)
		snprintf(text, TROUBLE_TEXT, "%s", k->day_error.text);
	for (uint32_t i = 0; i < CONFIG_MAX_LEASE_SOURCES && !*text; i++) {
		char addr[ADDR_TEXT];

		if (k->server[i] && radius_forward_stalled(k->server[i]->forward, now_us))
			snprintf(text, TROUBLE_TEXT, "%s:%u does not answer what is forwarded to it; requests wait",
				 addr_format(k->server[i]->rules.forward.addr, addr), k->server[i]->rules.forward.port);
	}
}

static struct identity_figures figures_now(const struct worker *k)
{
	struct identity_figures f = k->figures;

	for (uint32_t i = 0; i < CONFIG_MAX_LEASE_SOURCES; i++)
		if (k->server[i])
			radius_server_add_figures(k->server[i], &f);
	f.lines = k->writer.written;
	f.lost = k->writer.lost;
	f.waiting = k->writer.lines;
	f.last = k->writer.last;
	f.sources = k->means ? k->means->rules.n : 0;
	return f;
}

void worker_report(struct worker *k, struct lease_report *ret)
{
	find_trouble(k, ret->text);
	ret->figures = k->reported = figures_now(k);
	k->reported_us = monotonic_us();
	ret->tell_day = k->tell_day;
	ret->tip = k->tip;
	ret->removed = k->removed;
	k->tell_day = false;
}

int worker_small_socket(struct worker *k)
{
	for (uint32_t i = 0; i < CONFIG_MAX_LEASE_SOURCES; i++) {
		if (!k->server[i] || k->server[i]->fd < 0 || !k->server[i]->small)
			continue;
		k->server[i]->small = false;
		return k->server[i]->fd;
	}
	return -1;
}

static unsigned add_polled(struct pollfd *list, unsigned n, int fd)
{
	if (fd < 0)
		return n;
	list[n] = (struct pollfd){ .fd = fd, .events = POLLIN };
	return n + 1;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static bool is_news(const struct worker *k)
{
	struct identity_figures f = figures_now(k);

	return memcmp(&f, &k->reported, sizeof(f)) != 0;
}

/* Milliseconds until something is due, at least one that has begun. */
static int patience(const struct worker *k)
{
	uint64_t due = earlier(k->second_us + SECOND_US, lease_writer_due(&k->writer)), now_us = monotonic_us();

	for (uint32_t i = 0; i < CONFIG_MAX_LEASE_SOURCES; i++)
		if (k->server[i])
			due = earlier(due, radius_forward_due(k->server[i]->forward));
	if (is_news(k))
		due = earlier(due, k->reported_us + REPORT_US);
	if (k->more || due <= now_us)
		return 0;
	return (int)((due - now_us + 999) / 1000);
}

static void wait_for_work(const struct worker *k, const int others[static WORKER_OTHERS])
{
	struct pollfd list[MAX_POLLED];
	unsigned n = 0;

	for (unsigned i = 0; i < WORKER_OTHERS; i++)
		n = add_polled(list, n, others[i]);
	for (uint32_t i = 0; i < CONFIG_MAX_LEASE_SOURCES; i++) {
		if (!k->server[i])
			continue;
		n = add_polled(list, n, radius_server_fd(k->server[i]));
		n = add_polled(list, n, radius_forward_fd(k->server[i]->forward));
	}
	poll(list, n, patience(k));
}

const struct config_leases *worker_rules(const struct worker *k)
{
	return k->means ? &k->means->rules : NULL;
}

void worker_adopt(struct worker *k, struct lease_means *means)
{
	if (k->means)
		write_group(k);
	save_servers(k);
	adopt(k, means);
	equip(k);
	k->second_us = 0;
}

bool worker_turn(struct worker *k, const int others[static WORKER_OTHERS])
{
	bool second = monotonic_us() - k->second_us >= SECOND_US;

	if (k->means && second)
		each_second(k);
	else if (k->more)
		look_at_files(k);
	if (!k->means && second)
		k->second_us = monotonic_us();
	receive(k);
	if (k->means)
		write_due(k);
	wait_for_work(k, others);
	return second || (is_news(k) && monotonic_us() - k->reported_us >= REPORT_US);
}

int worker_new(struct worker **ret)
{
	struct worker *k = calloc(1, sizeof(*k));

	if (!k)
		return -ENOMEM;
	lease_writer_init(&k->writer, NULL);
	*ret = k;
	return 0;
}

void worker_free(struct worker *k)
{
	struct lease_report last = { 0 };

	if (k->means)
		write_group(k);
	save_servers(k);
	worker_report(k, &last);
	if (last.figures.forward_waiting)
		log_warning("leases: %llu requests were not forwarded, as the further server has not answered",
			    (unsigned long long)last.figures.forward_waiting);
	for (uint32_t i = 0; i < CONFIG_MAX_LEASE_SOURCES; i++) {
		radius_server_free(k->server[i]);
		lease_follower_free(k->follower[i]);
	}
	lease_writer_free(&k->writer);
	seen_free(&k->seen);
	recorded_sources_free(&k->recorded);
	lease_means_free(k->means);
	free(k);
}
