/* SPDX-License-Identifier: BSD-2-Clause */
#include "service.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "agent.h"
#include "change.h"
#include "control.h"
#include "detach.h"
#include "devices.h"
#include "events.h"
#include "fragments.h"
#include "history_tables.h"
#include "housekeeping.h"
#include "log.h"
#include "metrics.h"
#include "notify.h"
#include "startup.h"
#include "trace.h"
#include "transmit.h"
#include "unsolicited.h"
#include "usage.h"

struct service {
	struct agent agent;
	struct events *events;
	struct unsolicited *unsolicited;
	struct transmit *transmit;
	struct housekeeping *housekeeping;
	struct event *signals[3];
	bool reload_waits; /* a reload by signal is queued and has not read the file yet */
};

/* ---- signals --------------------------------------------------------------------------------------------------- */

static void on_end(evutil_socket_t number, short what, void *arg)
{
	struct service *s = arg;

	log_info("ending by %s", number == SIGTERM ? "SIGTERM" : "SIGINT");
	s->agent.ending = true;
	event_base_loopbreak(s->agent.base);
}

static void on_reloaded(void *arg, int r, const struct error *err)
{
	struct service *s = arg;

	s->reload_waits = false;
	if (r)
		log_error("%s; nothing was changed", err->text);
	else
		log_info("reloaded %s", s->agent.config_path);
	notify_ready();
}

static void on_hangup(evutil_socket_t number, short what, void *arg)
{
	struct service *s = arg;

	/* Before ready there is nothing to reload; and one reload serves all signals that came before it. */
	if (!s->agent.changes || s->reload_waits)
		return;
	s->reload_waits = !change_submit_reload(s->agent.changes, on_reloaded, s);
	if (s->reload_waits)
		notify_reloading();
	else
		log_error("no memory to reload");
}

static int catch_signals(struct service *s, struct error *err)
{
	const struct {
		int number;
		event_callback_fn handler;
	} caught[] = { { SIGTERM, on_end }, { SIGINT, on_end }, { SIGHUP, on_hangup } };

	_Static_assert(ARRAY_SIZE(caught) == ARRAY_SIZE(s->signals), "one event a signal");
	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < ARRAY_SIZE(caught); i++) {
		s->signals[i] = evsignal_new(s->agent.base, caught[i].number, caught[i].handler, s);
		if (!s->signals[i] || evsignal_add(s->signals[i], NULL))
			return error_set(err, -ENOMEM, "signals cannot be caught");
	}
	return 0;
}

/* ---- routing rules ----------------------------------------------------------------------------------------------- */

static int edit_nothing(struct config *c, void *arg, struct error *err)
{
	return 0;
}

static void on_adapted(void *arg, int r, const struct error *err)
{
	if (r)
		log_error("the programs do not take notice of the routing rules: %s", err->text);
	else
		log_info("the routing rules have changed; the programs were replaced");
}

/* How next hops are cached is built into the programs. */
static void on_routing_change(void *arg)
{
	const struct agent *a = arg;

	if (a->changes && change_submit(a->changes, edit_nothing, on_adapted, NULL))
		log_error("no memory to take notice of the routing rules");
}

/* ---- start and end --------------------------------------------------------------------------------------------- */

static void resolve(void *arg, uint32_t addr, uint32_t ifindex)
{
	devices_resolve(arg, addr, ifindex);
}

/* Everything up to the ready line, in the order in which each needs what stands before it. */
static int start(struct service *s, struct startup *up, struct error *err)
{
	struct agent *a = &s->agent;
	enum routing routing = ROUTING_BY_DESTINATION;
	const struct config *wanted;
	int r = datapath_open(up->file, &a->datapath, err);

	if (r)
		return r;
	startup_read_running(up);
	wanted = startup_wanted(up);
	if (a->datapath.reused)
		log_info("taking over the datapath at %s", a->datapath.pin_dir);
	r = mappings_open(&a->datapath, &a->mappings, err);
	if (!r)
		r = history_open_tables(wanted->state_dir, &a->datapath, a->mappings, &a->history, err);
	if (!r && ipfix_new(&a->ipfix))
		r = error_set(err, -ENOMEM, "out of memory");
	if (!r)
		r = usage_new(a, &a->usage, err);
	if (!r)
		r = metrics_new(a, &a->metrics, err);
	if (!r)
		r = devices_new(a->base, &a->datapath, &a->devices, err);
	if (!r)
		devices_on_routing_change(a->devices, on_routing_change, a);
	if (!r) {
		routing = devices_routing(a->devices);
		r = change_apply_now(a, wanted, up->file_hash, err);
	}
	if (!r)
		usage_hurry(a->usage);
	if (!r)
		r = events_new(a->base, &a->datapath, a->ipfix, resolve, a->devices, &s->events, err);
	if (!r)
		r = fragments_new(a->base, &a->datapath, s->events, &a->config->fragments, &a->fragments, err);
	if (!r)
		r = unsolicited_new(a->base, &a->datapath, &s->unsolicited, err);
	if (!r)
		r = transmit_new(a->base, &a->datapath, &s->transmit, err);
	if (!r)
		r = housekeeping_new(a, &s->housekeeping, err);
	if (!r && change_queue_new(a, &a->changes))
		r = error_set(err, -ENOMEM, "out of memory");
	if (!r && trace_new(a, &a->trace))
		r = error_set(err, -ENOMEM, "out of memory");
	if (!r && devices_routing(a->devices) != routing)
		on_routing_change(a);
	if (!r)
		r = history_ready(a->history, err);
	return r ? r : control_new(a, wanted->control_socket, &a->control, err);
}

/* Takes everything down but the datapath. */
static void stop(struct service *s)
{
	struct agent *a = &s->agent;

	control_free(take_pointer(a->control));
	change_queue_free(take_pointer(a->changes));
	trace_free(take_pointer(a->trace));
	housekeeping_free(take_pointer(s->housekeeping));
	unsolicited_free(take_pointer(s->unsolicited));
	transmit_free(take_pointer(s->transmit));
	fragments_free(take_pointer(a->fragments));
	events_free(take_pointer(s->events));
	metrics_free(take_pointer(a->metrics));
	usage_free(take_pointer(a->usage));
	if (a->ipfix) {
		struct timespec now;

		clock_gettime(CLOCK_REALTIME, &now);
		ipfix_tick(a->ipfix, (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000);
	}
	devices_free(take_pointer(a->devices));
	ipfix_free(take_pointer(a->ipfix));
	mappings_close(take_pointer(a->mappings));
}

/* A first start that failed leaves nothing behind; over pins that were there, the datapath goes on as it was. */
static void fail(struct service *s)
{
	struct datapath *d = &s->agent.datapath;
	struct error err = { 0 };

	stop(s);
	if (d->pin_dir && !d->reused && s->agent.config && devices_detach_all(d, &err))
		log_error("%s", err.text);
	if (s->agent.history && d->reused)
		history_stop(s->agent.history);
	else if (s->agent.history)
		history_detach(s->agent.history);
	history_close(take_pointer(s->agent.history));
	if (d->pin_dir)
		datapath_discard(d);
}

/* The datapath is removed, and nothing is mapped any more. */
static int end_detached(struct agent *a, struct error *err)
{
	int r = detach_datapath(&a->datapath, a->config->pin_path, err);

	if (!r) {
		history_detach(a->history);
		log_info("the datapath at %s was removed", a->config->pin_path);
	}
	history_close(take_pointer(a->history));
	return r;
}

static int end(struct service *s, struct error *err)
{
	struct agent *a = &s->agent;

	notify_stopping();
	stop(s);
	if (a->config->detach_on_exit)
		return end_detached(a, err);
	history_stop(a->history);
	history_close(take_pointer(a->history));
	log_info("the datapath at %s stays attached", a->datapath.pin_dir);
	datapath_close(&a->datapath);
	return 0;
}

static int run(struct service *s, struct startup *up, struct error *err)
{
	const struct config *c;
	int r = start(s, up, err);

	if (r) {
		fail(s);
		return s->agent.ending ? 0 : r;
	}
	c = s->agent.config;
	printf("detnat-agent %s: %zu interface%s, %zu mapping%s, ready\n", AGENT_VERSION, c->n_interfaces,
	       c->n_interfaces == 1 ? "" : "s", c->n_mappings, c->n_mappings == 1 ? "" : "s");
	fflush(stdout);
	notify_ready();
	event_base_dispatch(s->agent.base);
	return end(s, err);
}

enum exit_status service_run(const char *config_path, struct error *err)
{
	__attribute__((cleanup(startup_free))) struct startup up = { 0 };
	struct service s = { .agent.config_path = config_path };
	int r = startup_read(config_path, &up, err);

	if (r)
		return EXIT_BAD_CONFIGURATION;
	clock_gettime(CLOCK_MONOTONIC, &s.agent.started);
	clock_gettime(CLOCK_REALTIME, &s.agent.started_wall);
	s.agent.base = event_base_new();
	r = s.agent.base ? catch_signals(&s, err) : error_set(err, -ENOMEM, "out of memory");
	if (!r)
		r = run(&s, &up, err);
	for (size_t i = 0; i < ARRAY_SIZE(s.signals); i++)
		if (s.signals[i])
			event_free(s.signals[i]);
	if (s.agent.base)
		event_base_free(s.agent.base);
	config_free(s.agent.config);
	return r ? EXIT_FAILED : EXIT_DONE;
}

enum exit_status service_check(const char *config_path, struct error *err)
{
	__attribute__((cleanup(startup_free))) struct startup up = { 0 };

	if (startup_read(config_path, &up, err) || metrics_check(startup_wanted(&up), up.running, config_path, err))
		return EXIT_BAD_CONFIGURATION;
	devices_check_forwarding(startup_wanted(&up));
	return EXIT_DONE;
}
