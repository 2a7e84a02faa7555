/* SPDX-License-Identifier: BSD-2-Clause */
#include "service/service.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>

#include "service/agent.h"
#include "change/change.h"
#include "control/control.h"
#include "links/detach.h"
#include "links/devices.h"
#include "punt/event_ring.h"
#include "punt/parked_fragments.h"
#include "guard/guard.h"
#include "history/history.h"
#include "history/queue.h"
#include "service/guard_install.h"
#include "service/housekeeping.h"
#include "base/log.h"
#include "metrics/metrics.h"
#include "datapath/migration.h"
#include "host/notify.h"
#include "service/prepare.h"
#include "host/privileges.h"
#include "service/startup.h"
#include "sessions/check.h"
#include "punt/tracing.h"
#include "punt/sender.h"
#include "base/trouble.h"
#include "punt/unsolicited_tcp.h"
#include "metrics/usage_monitor.h"

struct service {
	struct agent agent;
	struct events *events;
	struct unsolicited *unsolicited;
	struct transmit *transmit;
	struct housekeeping *housekeeping;
	struct event *signals[3];
	bool guard_is_new;  /* there was none when the agent started */
	bool replace;	    /* a datapath of another layout that cannot be taken over */
	bool reload_wanted; /* by a signal that came before there was anything to reload */
	bool reload_waits;  /* a reload by signal is queued and has not read the file yet */
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
	if (!r)
		log_info("reloaded %s", s->agent.config_path);
	notify_ready();
}

static void on_hangup(evutil_socket_t number, short what, void *arg)
{
	struct service *s = arg;

	/* One reload serves all signals that came before it. */
	if (s->reload_waits)
		return;
	if (!s->agent.changes) {
		s->reload_wanted = true;
		return;
	}
	s->reload_waits = !change_submit_reload(s->agent.changes, on_reloaded, s);
	if (s->reload_waits)
		notify_reloading();
	else
		log_error("no memory to reload");
}

void service_release_signals(void)
{
	sigset_t held;

	sigemptyset(&held);
	sigaddset(&held, SIGHUP);
	sigaddset(&held, SIGTERM);
	sigaddset(&held, SIGINT);
	sigprocmask(SIG_UNBLOCK, &held, NULL);
}

static int catch_signals(struct service *s, struct error *err)
{
	const struct {
		int number;
		event_callback_fn handler;
	} caught[] = { { SIGTERM, on_end }, { SIGINT, on_end }, { SIGHUP, on_hangup } };

	_Static_assert(ARRAY_SIZE(caught) == ARRAY_SIZE(s->signals), "one event a signal");
	for (size_t i = 0; i < ARRAY_SIZE(caught); i++) {
		s->signals[i] = evsignal_new(s->agent.base, caught[i].number, caught[i].handler, s);
		if (!s->signals[i] || evsignal_add(s->signals[i], NULL))
			return error_set(err, -ENOMEM, "signals cannot be caught");
	}
	service_release_signals();
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

static void resolve(void *arg, int family, const void *addr, uint32_t ifindex)
{
	devices_resolve(arg, family, addr, ifindex);
}

/* What an agent took over from another layout before it was killed may be long ago: the counts first. */
static void compare_tables(struct mappings *m)
{
	struct findings findings = { 0 };
	struct table_check *check;
	int r = table_check_new(m, true, &findings, &check);

	if (r) {
		log_warning("no memory to compare the tables");
		return;
	}
	while ((r = table_check_step(check, 100000)) > 0)
		if (r == TABLE_CHECK_WAITS)
			usleep(1000);
	table_check_free(check);
	findings_free(&findings);
}

/* Before anything is attached: what is mapped, or is about to be, is shut but where programs are in place already. */
static int start_guard(struct service *s, const struct startup *up, struct error *err)
{
	struct agent *a = &s->agent;
	const char *pin_path = up->file->pin_path;

	s->guard_is_new = !guard_is_there(pin_path);
	if (guard_new(a->base, pin_path, &a->guard))
		return error_set(err, -ENOMEM, "out of memory");
	guard_open_carriers(a->guard, pin_path);
	guard_configure(a->guard, up->running, startup_wanted(up));
	return 0;
}

static void note_trouble(struct agent *a, const struct error *err)
{
	trouble_set(TROUBLE_CONFIG, "%s; what ran before goes on, reload when this is mended", err->text);
	a->reload_failed = true;
}

/* The configuration that is wanted; where that cannot be done, what ran before. */
static int apply(struct service *s, struct startup *up, struct error *err)
{
	struct agent *a = &s->agent;
	const struct config *wanted = startup_wanted(up);
	struct error first;
	int r;

	if (up->file_unusable)
		note_trouble(a, &up->trouble);
	r = change_apply_now(a, wanted, up->file_hash, err);
	/* A part is in force, and there is no way back. */
	if (r && a->config) {
		note_trouble(a, err);
		return 0;
	}
	if (!r || a->ending || !a->datapath.reused || !up->running || wanted == up->running || up->file_unusable)
		return r;
	first = *err;
	if (change_apply_now(a, up->running, up->running_hash, err)) {
		*err = first;
		return r;
	}
	note_trouble(a, &first);
	return 0;
}

/* Everything up to the ready line, in the order in which each needs what stands before it. */
static int start(struct service *s, struct startup *up, struct error *err)
{
	struct agent *a = &s->agent;
	enum routing routing = ROUTING_BY_DESTINATION;
	struct error replaced = { 0 };
	int r = datapath_open(up->file, s->replace, &a->datapath, err);

	if (r)
		return r;
	startup_read_running(up);
	if (a->datapath.reused)
		log_info("taking over the datapath at %s", a->datapath.pin_dir);
	r = start_guard(s, up, err);
	if (!r)
		r = mappings_open(&a->datapath, &a->mappings, err);
	if (!r && a->datapath.migration && migration_is_resumed(a->datapath.migration))
		compare_tables(a->mappings);
	if (!r && a->datapath.replaced && history_detach_at(startup_wanted(up)->state_dir, &replaced))
		log_warning("%s; it lacks that the former datapath was removed", replaced.text);
	if (!r)
		r = history_queue_new(a->base, startup_wanted(up)->state_dir, &a->datapath, a->mappings, &a->history,
				      err);
	if (!r && ipfix_new(&a->ipfix))
		r = error_set(err, -ENOMEM, "out of memory");
	if (!r)
		r = usage_new(a, &a->usage, err);
	if (!r)
		r = metrics_new(a, &a->metrics, err);
	if (!r)
		r = devices_new(a->base, &a->datapath, a->guard, &a->devices, err);
	if (!r)
		devices_on_routing_change(a->devices, on_routing_change, a);
	if (!r) {
		routing = devices_routing(a->devices);
		r = apply(s, up, err);
	}
	if (!r) {
		datapath_note_config(&a->datapath, a->config_path);
		usage_hurry(a->usage);
	}
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
		history_queue_ready(a->history);
	return r ? r : control_new(a, a->config->control_socket, a->datapath.reused, &a->control, err);
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
	guard_count(a->guard, &a->datapath);
	guard_free(take_pointer(a->guard));
	ipfix_free(take_pointer(a->ipfix));
	history_queue_drain(a->history);
	mappings_close(take_pointer(a->mappings));
}

/* A first start that failed leaves nothing behind; over pins that were there, the datapath goes on as it was. */
static void fail(struct service *s, const struct startup *up)
{
	struct datapath *d = &s->agent.datapath;
	struct error err = { 0 };

	stop(s);
	if (d->pin_dir && !d->reused && s->agent.config && devices_detach_all(d, &err))
		log_error("%s", err.text);
	if (d->pin_dir && !d->reused && s->guard_is_new)
		guard_remove(up->file->pin_path);
	history_queue_close(take_pointer(s->agent.history), d->reused ? EVENT_STOP : EVENT_DETACH);
	if (d->pin_dir)
		datapath_discard(d);
}

/* The datapath is removed, and nothing is mapped any more. */
static int end_detached(struct agent *a, struct error *err)
{
	int r = detach_datapath(&a->datapath, a->config->pin_path, err);
	bool ignored;

	if (!r)
		r = detach_guard(a->config->pin_path, &ignored, err);
	if (!r)
		log_info("the datapath at %s was removed", a->config->pin_path);
	history_queue_close(take_pointer(a->history), r ? EVENT_STOP : EVENT_DETACH);
	return r;
}

static int end(struct service *s, struct error *err)
{
	struct agent *a = &s->agent;

	notify_stopping();
	stop(s);
	if (a->config->detach_on_exit)
		return end_detached(a, err);
	history_queue_close(take_pointer(a->history), EVENT_STOP);
	log_info("the datapath at %s stays attached", a->datapath.pin_dir);
	datapath_close(&a->datapath);
	return 0;
}

static int run(struct service *s, struct startup *up, struct error *err)
{
	const struct config *c;
	int r = start(s, up, err);

	if (r) {
		fail(s, up);
		return s->agent.ending ? 0 : r;
	}
	privileges_drop();
	c = s->agent.config;
	log_say("detnat-agent %s: %zu interface%s, %zu mapping%s, ready\n", AGENT_VERSION, c->n_interfaces,
		c->n_interfaces == 1 ? "" : "s", c->n_mappings, c->n_mappings == 1 ? "" : "s");
	notify_ready();
	if (s->reload_wanted)
		on_hangup(SIGHUP, EV_SIGNAL, s);
	event_base_dispatch(s->agent.base);
	return end(s, err);
}

/* Clients and maps need descriptors; the soft limit is for programs that use select(). */
static void raise_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

enum exit_status service_run(const char *config_path, bool replace, struct error *err)
{
	__attribute__((cleanup(startup_free))) struct startup up = { 0 };
	struct service s = { .agent.config_path = config_path, .replace = replace };
	int r = privileges_check(err);

	if (!r)
		r = startup_read(config_path, true, replace, &up, err);
	if (r)
		return error_passes(r) ? EXIT_FAILED : EXIT_BAD_CONFIGURATION;
	clock_gettime(CLOCK_MONOTONIC, &s.agent.started);
	clock_gettime(CLOCK_REALTIME, &s.agent.started_wall);
	raise_descriptors();
	s.agent.base = event_base_new();
	r = s.agent.base ? catch_signals(&s, err) : error_set(err, -ENOMEM, "out of memory");
	/* Where an agent that ran as another user has left something. */
	if (!r && !geteuid())
		r = prepare_for(up.file, 0, 0, err);
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

	if (startup_read(config_path, false, false, &up, err) ||
	    metrics_check(startup_wanted(&up), up.running, config_path, err))
		return EXIT_BAD_CONFIGURATION;
	devices_check_forwarding(startup_wanted(&up));
	return EXIT_DONE;
}
