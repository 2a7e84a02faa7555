// SPDX-License-Identifier: BSD-2-Clause
/* top: once, as a table or JSON; or on a terminal, again and again. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>

#include "ask.h"
#include "command.h"
#include "terminal.h"
#include "top_view.h"

/* From one frame to the next, and to the second one, which is the first to know rates. */
#define INTERVAL_MS 2000U
#define FIRST_MS    500U
/* The agent is to be busy with the answers for no more than this part of the time. */
#define PAUSE 10U

/* What ended a wait. */
enum { QUIT = 1, AGAIN = 2 };

struct live {
	const char *socket;
	struct client client;
	bool connected;
	struct top_view view;
	cJSON *status, *stats, *stats_before, *top, *top_before;
	uint64_t stats_us, asked_us; /* when the counters came; what the answers took */
	unsigned frames;
	struct error trouble;
};

/* ---- keys and waiting ------------------------------------------------------------------------------------------- */

/* QUIT, AGAIN where something else is to be shown, or 0. */
static int take_key(struct live *l)
{
	char key;
	ssize_t n = read(STDIN_FILENO, &key, 1);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return 0;
	if (n <= 0 || key == 'q' || key == 'Q')
		return QUIT; /* the terminal has gone, or the operator wants to */
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
	l->view.counters = cJSON_GetObjectItemCaseSensitive(l->stats, "counters");
	l->view.before = cJSON_GetObjectItemCaseSensitive(l->stats_before, "counters");
	l->view.top = l->top;
	l->view.top_before = l->top_before;
	l->view.trouble = *l->trouble.text ? l->trouble.text : NULL;
	top_view_draw(out, &l->view);
	return fclose(out) ? -ENOMEM : terminal_write(text, size);
}

/* Waits for a key, for the agent where fd is not -1, or until the time is up: QUIT, AGAIN, 0 or -errno. */
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

static int wait_answer(const struct client *c, void *arg)
{
	int r = wait_for(arg, c->fd, CLIENT_PATIENCE_S * 1000);

	/* Another order is taken up with the next frame. */
	return r == QUIT ? QUIT : 0;
}

/* ---- the agent -------------------------------------------------------------------------------------------------- */

static void replace(cJSON **held, cJSON *with)
{
	cJSON_Delete(*held);
	*held = with;
}

static int ask_top(struct live *l, cJSON **ret)
{
	cJSON *args = cJSON_CreateObject();
	int r;

	cJSON_AddNumberToObject(args, "n", top_view_subscribers(&l->view));
	cJSON_AddStringToObject(args, "by", l->view.by_quota ? "quota" : "sessions");
	r = client_ask(&l->client, "top", args, wait_answer, l, ret, &l->trouble);
	cJSON_Delete(args);
	return r;
}

/* All that a frame shows: 0, QUIT, or -errno with trouble. */
static int ask_all(struct live *l)
{
	cJSON *status = NULL, *stats = NULL, *top = NULL;
	uint64_t begin_us = monotonic_us();
	int r = l->connected ? 0 : client_connect(l->socket, &l->client, &l->trouble);

	l->connected = !r;
	if (!r)
		r = client_ask(&l->client, "stats", NULL, wait_answer, l, &stats, &l->trouble);
	if (!r) {
		uint64_t now_us = monotonic_us();

		l->view.seconds = (double)(now_us - l->stats_us) / 1e6;
		l->stats_us = now_us;
		r = client_ask(&l->client, "status", NULL, wait_answer, l, &status, &l->trouble);
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
	/* An answer that never came says nothing of the work. */
	uint64_t rest_ms = *l->trouble.text ? 0 : l->asked_us * PAUSE / 1000,
		 interval_ms = l->frames == 1 ? FIRST_MS : INTERVAL_MS;

	return (unsigned)(rest_ms > interval_ms ? rest_ms : interval_ms);
}

/* Frame after frame, until the operator has seen enough, or the terminal has gone. */
static void show(struct live *l)
{
	int r;

	do {
		r = ask_all(l);
		if (r == QUIT || draw(l))
			break;
		r = wait_for(l, -1, pause_ms(l));
	} while (r >= 0 && r != QUIT);
}

static bool live(const char *socket, const cJSON *args, struct writer *w, int *ret_status, struct error *err)
{
	const char *by = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(args, "by"));
	struct live l = { .socket = socket,
			  .client = { .fd = -1 },
			  .view = { .by_quota = by && !strcmp(by, "quota") } };
	int r;

	if (w->json || cJSON_HasObjectItem(args, "n") || cJSON_HasObjectItem(args, "once") || !terminal_usable())
		return false;
	/* An agent that was never there is an error; one that goes away is waited for. */
	*ret_status = client_connect(socket, &l.client, err) ? EXIT_UNREACHABLE : EXIT_DONE;
	if (*ret_status)
		return true;
	l.connected = true;
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

static const struct column columns[] = {
	{ "SUBSCRIBER", "in_addr", cell_text, false, 15 },
	{ "SESSIONS", "sessions", cell_number, true, 8 },
	{ "QUOTA", "quota", cell_number, true, 5 },
	{ "PORTS USED", "ports_used", cell_number, true, 10 },
	{ "PORTS", "ports_per_host", cell_number, true, 5 },
	{ "REFUSED", "quota_exceeded", cell_number, true, 12 },
	{},
};

const struct command top_commands[] = {
	{ .verb = VERB_TOP,
	  .usage = "[-n N] [--by sessions|quota] [--once]",
	  .purpose = "show the subscribers with the most sessions, or refused packets",
	  .details = "On a terminal the view refreshes itself: q ends it, s and r choose the order. With -n, --once, "
		     "--json, "
		     "or where\nthe output is no terminal, N subscribers (1000) are listed once; those without "
		     "sessions, or "
		     "refusals, are left out.",
	  .example = "top -n 10 --by quota",
	  .columns = columns,
	  .empty = "no subscriber to show",
	  .live = live },
	{},
};
