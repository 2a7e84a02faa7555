// SPDX-License-Identifier: BSD-2-Clause
/* top: once, as a table or JSON, or continuously on a terminal. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>

#include "client.h"
#include "command.h"
#include "json_get.h"
#include "terminal.h"
#include "top_view.h"

/* Time between frames; the second frame, the first with rates, comes sooner. */
#define INTERVAL_MS 2000U
#define FIRST_MS    500U
/* After answers that took a time t, pause for at least PAUSE * t, to limit the load on the agent. */
#define PAUSE 10U

/* Results of a wait. */
enum { QUIT = 1, AGAIN = 2 };

struct live {
	const char *socket;
	struct client client;
	bool connected;
	struct top_view view;
	cJSON *status, *stats, *stats_before, *top, *top_before;
	uint64_t stats_us, asked_us; /* when the counters arrived; how long the answers took */
	unsigned frames;
	struct error trouble;
};

/* Returns QUIT, AGAIN if a new frame is needed, or 0. */
static int take_key(struct live *l)
{
	char key;
	ssize_t n = read(STDIN_FILENO, &key, 1);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return 0;
	if (n <= 0 || key == 'q' || key == 'Q')
		return QUIT; /* end of input, or the operator wants to quit */
	if (key == 's' || key == 'r')
		l->view.by_quota = key == 'r';
	return key == 's' || key == 'r' || key == ' ' ? AGAIN : 0;
}

static int draw(struct live *l)
{
	_cleanup_free_ char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return -ENOMEM;
	terminal_size(&l->view.rows, &l->view.columns);
	l->view.status = l->status;
	l->view.counters = json_get(l->stats, "counters");
	l->view.before = json_get(l->stats_before, "counters");
	l->view.octets = json_get(l->stats, "octets");
	l->view.octets_before = json_get(l->stats_before, "octets");
	l->view.top = l->top;
	l->view.top_before = l->top_before;
	l->view.trouble = *l->trouble.text ? l->trouble.text : NULL;
	top_view_draw(out, &l->view);
	return fclose(out) ? -ENOMEM : terminal_write(text, size);
}

/* Waits for a key, for the agent if fd is not -1, or until the time is up. Returns QUIT, AGAIN, 0 or -errno. */
static int wait_for(struct live *l, int fd, unsigned ms)
{
	uint64_t end_us = monotonic_us() + ms * 1000ULL;

	for (;;) {
		struct pollfd p[] = { { .fd = STDIN_FILENO, .events = POLLIN }, { .fd = fd, .events = POLLIN } };
		uint64_t now_us = monotonic_us();
		int left = end_us > now_us ? (int)((end_us - now_us + 999) / 1000) : 0, r;

		r = poll(p, 2, left);
		if (r < 0 && errno != EINTR)
			return -errno;
		if (terminal_changed() && draw(l))
			return QUIT;
		if (r <= 0) {
			if (!r)
				return 0;
			continue;
		}
		if (p[0].revents) {
			r = take_key(l);
			if (r)
				return r;
		}
		if (p[1].revents)
			return 0;
	}
}

static int before_wait(const struct client *c, void *arg)
{
	int r = wait_for(arg, c->fd, CLIENT_PATIENCE_S * 1000);

	/* The key's new order takes effect in the next frame. */
	return r == QUIT ? -ECANCELED : 0;
}

static void replace(cJSON **held, cJSON *with)
{
	cJSON_Delete(*held);
	*held = with;
}

static int read_elements(struct live *l, cJSON **ret)
{
	_cleanup_json_ cJSON *list = cJSON_CreateArray();
	struct answer a;
	int r;

	while ((r = client_element(&l->client, true, &a, &l->trouble)) > 0)
		cJSON_AddItemToArray(list, a.json);
	if (!r)
		*ret = take_pointer(list);
	return r;
}

/*
 * Sends a request and stores the result in *ret, the elements of a stream as an array. Returns 0, or -errno with
 * trouble.
 */
static int ask(struct live *l, const char *verb, const cJSON *args, cJSON **ret)
{
	struct answer a = { 0 };
	int r = client_request(&l->client, verb, args, &l->trouble);

	if (!r)
		r = client_answer(&l->client, &a, &l->trouble);
	if (!r && a.stream)
		r = read_elements(l, ret);
	else if (!r)
		*ret = a.json;
	return r;
}

static int ask_top(struct live *l, cJSON **ret)
{
	cJSON *args = cJSON_CreateObject();
	int r;

	cJSON_AddNumberToObject(args, "n", top_view_subscribers(&l->view));
	cJSON_AddStringToObject(args, "by", l->view.by_quota ? "quota" : "sessions");
	r = ask(l, "top", args, ret);
	cJSON_Delete(args);
	return r;
}

/* Requests all data of a frame. Returns 0, -ECANCELED if the operator quits, or -errno with trouble. */
static int ask_all(struct live *l)
{
	cJSON *status = NULL, *stats = NULL, *top = NULL;
	uint64_t begin_us = monotonic_us();
	int r = l->connected ? 0 : client_connect(l->socket, &l->client, &l->trouble);

	l->connected = !r;
	if (!r)
		r = ask(l, "stats", NULL, &stats);
	if (!r) {
		uint64_t now_us = monotonic_us();

		l->view.seconds = (double)(now_us - l->stats_us) / 1e6;
		l->stats_us = now_us;
		r = ask(l, "status", NULL, &status);
	}
	if (!r)
		r = ask_top(l, &top);
	l->asked_us = monotonic_us() - begin_us;
	if (r) {
		cJSON_Delete(status);
		cJSON_Delete(stats);
		cJSON_Delete(top);
		if (l->connected)
			client_close(&l->client);
		l->connected = false;
		return r;
	}
	replace(&l->stats_before, take_pointer(l->stats));
	replace(&l->top_before, take_pointer(l->top));
	l->stats = stats;
	l->top = top;
	replace(&l->status, status);
	*l->trouble.text = 0;
	l->frames++;
	return 0;
}

static unsigned pause_ms(const struct live *l)
{
	/* A request without an answer says nothing about the agent's load. */
	uint64_t rest_ms = *l->trouble.text ? 0 : l->asked_us * PAUSE / 1000,
		 interval_ms = l->frames == 1 ? FIRST_MS : INTERVAL_MS;

	return (unsigned)(rest_ms > interval_ms ? rest_ms : interval_ms);
}

/* Draws frames until the operator quits or the terminal is gone. */
static void show(struct live *l)
{
	int r;

	do {
		r = ask_all(l);
		if (r == -ECANCELED || draw(l))
			break;
		r = wait_for(l, -1, pause_ms(l));
	} while (r >= 0 && r != QUIT);
}

static enum top_order order_of(const cJSON *args)
{
	const char *by = json_text(args, "by", NULL);
	uint32_t order;

	return by && !word_number(order_words, by, &order) ? (enum top_order)order : TOP_BY_SESSIONS;
}

static bool live(const char *socket, const cJSON *args, struct writer *w, int *ret_status, struct error *err)
{
	enum top_order order = order_of(args);
	struct live l = { .socket = socket,
			  .client = { .fd = -1, .before_wait = before_wait },
			  .view = { .by_quota = order == TOP_BY_QUOTA } };
	int r;

	/* The other orders have no live view; --ports alone is for the agent to refuse. */
	if ((order != TOP_BY_SESSIONS && order != TOP_BY_QUOTA) || cJSON_HasObjectItem(args, "ports"))
		return false;
	if (w->json || cJSON_HasObjectItem(args, "n") || cJSON_HasObjectItem(args, "once") || !terminal_usable())
		return false;
	/* An agent that does not run at the start is an error; if it goes away later, wait for it. */
	*ret_status = client_connect(socket, &l.client, err) ? EXIT_UNREACHABLE : EXIT_DONE;
	if (*ret_status)
		return true;
	l.connected = true;
	l.client.before_wait_arg = &l;
	terminal_size(&l.view.rows, &l.view.columns);
	r = terminal_enter();
	if (!r) {
		show(&l);
		terminal_leave();
	}
	client_close(&l.client);
	replace(&l.status, NULL);
	replace(&l.stats, NULL);
	replace(&l.stats_before, NULL);
	replace(&l.top, NULL);
	replace(&l.top_before, NULL);
	if (r)
		*ret_status = error_set(err, EXIT_REFUSED, "the terminal cannot be used: %s", strerror(-r));
	return true;
}

#define SUBSCRIBER                                                       \
	{ "SUBSCRIBER", "in_addr", cell_text, false, 15 },               \
	{                                                                \
		"TENANT", "tenant", cell_text, false, WIDTH_IF_FIRST(12) \
	}
#define OTHERS                                                                                                     \
	{ "SESSIONS", "sessions", cell_number, true, 8 }, { "QUOTA", "quota", cell_number, true, 5 },              \
		{ "PORTS USED", "ports_used", cell_number, true, 10 }, { "PORTS", "ports", cell_number, true, 5 }, \
		{ "REFUSED", "quota_exceeded", cell_number, true, 12 },                                            \
	{                                                                                                          \
	}

static const struct column columns[] = { SUBSCRIBER, OTHERS };

/* The figure that they are ordered by, before the others. */
static const struct column half_open_columns[] = {
	SUBSCRIBER,
	{ "HALF-OPEN", "half_open", cell_number, true, 9 },
	OTHERS,
};
static const struct column destination_columns[] = {
	SUBSCRIBER,
	{ "DESTINATIONS", "destinations", cell_number, true, 12 },
	OTHERS,
};
static const struct column rate_columns[] = {
	SUBSCRIBER,
	{ "OPENED/S", "rate", cell_number, true, 8 },
	OTHERS,
};

static const struct column inbound_columns[] = {
	SUBSCRIBER,
	{ "INBOUND/S", "inbound", cell_number, true, 9 },
	OTHERS,
};

static const struct column *columns_of(const cJSON *args)
{
	switch (order_of(args)) {
	case TOP_BY_RATE:
		return rate_columns;
	case TOP_BY_HALF_OPEN:
		return half_open_columns;
	case TOP_BY_DESTINATIONS:
		return destination_columns;
	case TOP_BY_INBOUND:
		return inbound_columns;
	case TOP_BY_SESSIONS:
	case TOP_BY_QUOTA:
		break;
	}
	return columns;
}

const struct view view_top = {
	.columns = columns, .columns_of = columns_of, .empty = "no subscriber to show", .live = live
};
