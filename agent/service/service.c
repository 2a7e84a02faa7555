/* SPDX-License-Identifier: BSD-2-Clause */
#include "service/service.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

#include <detnat/version.h>

#include "attacks/attacks.h"
#include "base/log.h"
#include "base/trouble.h"
#include "change/change.h"
#include "change/change_due.h"
#include "control/control.h"
#include "datapath/migration.h"
#include "diagnosis/doctor.h"
#include "diagnosis/standing.h"
#include "growth/block_growth.h"
#include "guard/guard.h"
#include "host/accounts.h"
#include "host/service_manager.h"
#include "identity/identity.h"
#include "links/detach.h"
#include "links/devices.h"
#include "metrics/metrics.h"
#include "metrics/usage_monitor.h"
#include "pcp/pcp.h"
#include "peers/replication.h"
#include "punt/event_ring.h"
#include "punt/parked_fragments.h"
#include "punt/sender.h"
#include "punt/tracing.h"
#include "punt/unsolicited_tcp.h"
#include "recorder/history.h"
#include "recorder/queue.h"
#include "service/housekeeping.h"
#include "service/prepare.h"
#include "service/signals.h"
#include "service/startup.h"
#include "sessions/check.h"
#include "suspects/suspects.h"
#include "syslog/syslog.h"

struct service {
	struct parts parts;
	struct active_config active;
	struct datapath datapath;
	struct events *events;
	struct unsolicited *unsolicited;
	struct transmit *transmit;
	struct change_due *due;
	struct control *control;
	struct housekeeping *housekeeping;
	struct sweep_figures sweeps;
	bool ending; /* requested by a signal */
	struct signals signals;
	bool guard_is_new;  /* none existed when the agent started */
	bool replace;	    /* replace a datapath of another layout that cannot be taken over */
	bool reload_wanted; /* by a signal before the first configuration was active */
	bool reload_waits;  /* a reload by signal is queued and has not read the file yet */
};

static void end_by_signal(void *arg)
{
	struct service *s = arg;

	s->ending = true;
	event_base_loopbreak(s->parts.base);
}

static void on_reloaded(void *arg, int r, const struct error *err)
{
	struct service *s = arg;

	s->reload_waits = false;
	if (!r)
		log_info("reloaded %s", s->active.path);
	notify_ready();
}

static void reload_by_signal(void *arg)
{
	const struct history_by by = history_by(BY_RELOAD);
	struct service *s = arg;

	/* One reload serves all signals before it. */
	if (s->reload_waits)
		return;
	if (!s->parts.changes) {
		s->reload_wanted = true;
		return;
	}
	s->reload_waits = !change_submit_reload(s->parts.changes, &(struct reload_options){ .by = by }, on_reloaded, s);
	if (s->reload_waits)
		notify_reloading();
	else
		log_error("no memory to reload");
}

static void on_adapted(void *arg, int r, const struct error *err)
{
	if (r)
		log_error("the programs cannot be replaced after a change of the routing rules: %s", err->text);
	else
		log_info("the routing rules have changed; the programs were replaced");
}

/* The programs are built for one way to cache next hops. */
static void on_routing_change(void *arg)
{
	struct service *s = arg;

	if (s->parts.changes && change_submit_programs(s->parts.changes, NULL, on_adapted, NULL))
		log_error("no memory to replace the programs after a change of the routing rules");
}

static void resolve(void *arg, int family, const void *addr, uint32_t ifindex, bool router)
{
	devices_resolve(arg, family, addr, ifindex, router);
}

/* Before anything is attached: closes all addresses that are or will be mapped, except on interfaces with programs. */
static int start_guard(struct service *s, const struct startup *up, struct error *err)
{
	const char *pin_path = up->file->pin_path;

	s->guard_is_new = !guard_is_there(pin_path);
	if (guard_new(s->parts.base, pin_path, &s->parts.guard))
		return error_set(err, -ENOMEM, "out of memory");
	guard_open_carriers(s->parts.guard, pin_path);
	guard_configure(s->parts.guard, up->running, startup_wanted(up));
	return 0;
}

static void note_trouble(struct service *s, const struct error *err)
{
	trouble_set(TROUBLE_CONFIG, "%s; the previous configuration stays in force; reload when this is mended",
		    err->text);
	s->active.reload_failed = true;
}

/* Applies the wanted configuration or, if that fails, the previous one. */
static int apply(struct service *s, struct startup *up, struct error *err)
{
	const struct config *wanted = startup_wanted(up);
	struct error first;
	int r;

	if (up->file_unusable)
		note_trouble(s, &up->trouble);
	r = change_apply_now(&s->parts, wanted, up->file_hash, up->running, err);
	/* A part is active, and cannot be undone. */
	if (r && s->active.config) {
		note_trouble(s, err);
		return 0;
	}
	if (!r || s->ending || !s->datapath.reused || !up->running || wanted == up->running || up->file_unusable)
		return r;
	first = *err;
	if (change_apply_now(&s->parts, up->running, up->running_hash, NULL, err)) {
		*err = first;
		return r;
	}
	note_trouble(s, &first);
	return 0;
}

/* The datapath, the guard, the tables and their history. */
static int start_tables(struct service *s, struct startup *up, struct error *err)
{
	struct error replaced = { 0 };
	int r = datapath_open(up->file, s->replace, &s->datapath, err);

	if (r)
		return r;
	startup_read_running(up);
	if (s->datapath.reused)
		log_info("taking over the datapath at %s", s->datapath.pin_dir);
	r = start_guard(s, up, err);
	if (!r)
		r = mappings_open(&s->datapath, &s->parts.mappings, err);
	if (!r)
		r = portmaps_open(s->parts.mappings, &s->parts.portmaps, err);
	if (!r)
		r = grants_open(s->parts.mappings, &s->parts.grants, err);
	if (r)
		return r;
	for (size_t i = 0; up->running && i < up->running->n_tenants; i++)
		mappings_name_tenant(s->parts.mappings, up->running->tenants[i].id, up->running->tenants[i].name);
	/* The earlier agent may have been killed long ago, so the counts are compared first. */
	if (s->datapath.migration && migration_is_resumed(s->datapath.migration))
		table_check_now(s->parts.mappings);
	if (s->datapath.replaced && history_detach_at(startup_wanted(up)->state_dir, NULL, &replaced))
		log_warning("%s; the history lacks the removal of the previous datapath", replaced.text);
	r = history_queue_new(s->parts.base, startup_wanted(up)->state_dir, &s->datapath, s->parts.mappings,
			      s->parts.portmaps, s->parts.grants, &s->parts.history, err);
	if (!r)
		history_queue_grants(s->parts.history, startup_wanted(up)->grant_retention);
	return r;
}

static int replace_programs(void *arg, change_prepare prepare, change_done done, void *done_arg)
{
	struct service *s = arg;

	return change_submit_programs(s->parts.changes, prepare, done, done_arg);
}

/* The modules on which changes of the configuration act. */
static int start_modules(struct service *s, struct error *err)
{
	struct parts *p = &s->parts;
	int r = ipfix_new(&p->ipfix) || syslog_new(p->base, &p->syslog) || identity_new(p->base, &p->identity)
			? error_set(err, -ENOMEM, "out of memory")
			: 0;

	if (!r && (attacks_new(p->base, p->mappings, &p->attacks) || suspects_new(p, &p->suspects)))
		r = error_set(err, -ENOMEM, "out of memory");
	if (!r)
		r = growth_new(p->base, p->mappings, p->grants, p->history, &p->growth, err);
	if (!r)
		r = usage_new(p->base, &s->active, p->mappings, p->suspects, &p->usage, err);
	if (!r)
		r = devices_new(p->base, &s->datapath, p->guard, &p->devices, err);
	if (!r)
		r = pcp_new(p->base, &s->datapath, p->mappings, p->portmaps, &p->pcp, err);
	if (!r)
		r = replication_new(p->base, &s->datapath, p->mappings, p->portmaps, p->grants, p->growth,
				    &p->replication, err);
	if (!r)
		r = metrics_new(p->base, p, &p->metrics, err);
	if (!r && trace_new(p->base, &s->datapath, p->mappings, replace_programs, s, &p->trace))
		r = error_set(err, -ENOMEM, "out of memory");
	if (r)
		return r;
	ipfix_on_mappings(p->ipfix, p->mappings);
	portmaps_on_change(p->portmaps, events_portmap_changed, p->ipfix);
	growth_on_change(p->growth, events_grant_changed, p->ipfix);
	devices_on_routing_change(p->devices, on_routing_change, s);
	return 0;
}

static void grow(void *arg, uint64_t place, uint64_t time_ns)
{
	growth_ask(arg, place, time_ns);
}

/* Readers of the datapath's ring buffers, periodic work and the queue of changes. */
static int start_workers(struct service *s, struct error *err)
{
	struct parts *p = &s->parts;
	int r = events_new(p->base, &s->datapath, &s->active, p->ipfix, resolve, p->devices, &s->events, err);

	if (!r)
		r = fragments_new(p->base, &s->datapath, s->events, &s->active.config->fragments, &p->fragments, err);
	if (!r)
		r = unsolicited_new(p->base, &s->datapath, &s->unsolicited, err);
	if (!r)
		r = transmit_new(p->base, &s->datapath, &s->transmit, err);
	if (r)
		return r;
	history_queue_on_set(p->history, events_clock_set, s->events);
	events_on_growth(s->events, grow, p->growth);
	r = housekeeping_new(p->base, p, &s->housekeeping, err);
	if (!r && (change_queue_new(p, &p->changes) || change_due_new(p, &s->due)))
		r = error_set(err, -ENOMEM, "out of memory");
	return r;
}

/* Everything up to the ready line, each module after those that it needs. */
static int start(struct service *s, struct startup *up, struct error *err)
{
	enum routing routing;
	int r = start_tables(s, up, err);

	if (!r)
		r = start_modules(s, err);
	if (r)
		return r;
	routing = devices_routing(s->parts.devices);
	r = apply(s, up, err);
	if (r)
		return r;
	datapath_note_config(&s->datapath, s->active.path);
	usage_hurry(s->parts.usage);
	r = start_workers(s, err);
	if (r)
		return r;
	if (devices_routing(s->parts.devices) != routing)
		on_routing_change(s);
	history_queue_ready(s->parts.history);
	return control_new(s->parts.base, &s->parts, s->active.config->control_socket, s->datapath.reused, &s->control,
			   err);
}

/* Stops everything except the datapath. */
static void stop(struct service *s)
{
	struct parts *p = &s->parts;

	control_free(take_pointer(s->control));
	standing_end();
	change_queue_free(take_pointer(p->changes));
	change_due_free(take_pointer(s->due));
	if (s->active.config && !s->active.config->detach_on_exit)
		change_end_trace(p);
	trace_free(take_pointer(p->trace));
	housekeeping_free(take_pointer(s->housekeeping));
	unsolicited_free(take_pointer(s->unsolicited));
	transmit_free(take_pointer(s->transmit));
	fragments_free(take_pointer(p->fragments));
	events_free(take_pointer(s->events));
	metrics_free(take_pointer(p->metrics));
	usage_free(take_pointer(p->usage));
	suspects_free(take_pointer(p->suspects));
	pcp_free(take_pointer(p->pcp));
	replication_free(take_pointer(p->replication));
	growth_free(take_pointer(p->growth));
	if (p->ipfix)
		ipfix_tick(p->ipfix, wall_clock_ms());
	devices_free(take_pointer(p->devices));
	guard_count(p->guard, &s->datapath);
	guard_free(take_pointer(p->guard));
	ipfix_free(take_pointer(p->ipfix));
	identity_free(take_pointer(p->identity));
	attacks_free(take_pointer(p->attacks));
	syslog_free(take_pointer(p->syslog));
	history_queue_drain(p->history);
	grants_close(take_pointer(p->grants));
	portmaps_close(take_pointer(p->portmaps));
	mappings_close(take_pointer(p->mappings));
}

/* A first start that fails leaves nothing behind; an existing datapath continues unchanged. */
static void fail(struct service *s, const struct startup *up)
{
	struct datapath *d = &s->datapath;
	struct error err = { 0 };

	stop(s);
	if (d->pin_dir && !d->reused && s->active.config) {
		guard_shut_all(up->file->pin_path, s->active.config, startup_wanted(up));
		if (devices_detach_all(d, &err))
			log_error("%s", err.text);
	}
	if (d->pin_dir && !d->reused && s->guard_is_new)
		guard_remove(up->file->pin_path);
	history_queue_close(take_pointer(s->parts.history), d->reused ? EVENT_STOP : EVENT_DETACH);
	if (d->pin_dir)
		datapath_discard(d);
}

/* For "on_exit": "detach". */
static int end_detached(struct service *s, struct error *err)
{
	int r = detach_datapath(&s->datapath, s->active.config, err);
	bool ignored;

	if (!r)
		r = detach_guard(s->active.config->pin_path, &ignored, err);
	if (!r)
		log_info("the datapath at %s was removed", s->active.config->pin_path);
	history_queue_close(take_pointer(s->parts.history), r ? EVENT_STOP : EVENT_DETACH);
	return r;
}

static int end(struct service *s, struct error *err)
{
	notify_stopping();
	stop(s);
	if (s->active.config->detach_on_exit)
		return end_detached(s, err);
	history_queue_close(take_pointer(s->parts.history), EVENT_STOP);
	datapath_log_kept(&s->datapath);
	datapath_close(&s->datapath);
	return 0;
}

static int run(struct service *s, struct startup *up, struct error *err)
{
	const struct config *c;
	int r = start(s, up, err);

	if (r) {
		fail(s, up);
		return s->ending ? 0 : r;
	}
	privileges_drop();
	identity_run(s->parts.identity);
	c = s->active.config;
	log_say("detnat-agent %s: %zu interface%s, %zu mapping%s, ready\n", DETNAT_VERSION, c->n_interfaces,
		c->n_interfaces == 1 ? "" : "s", c->n_mappings, c->n_mappings == 1 ? "" : "s");
	notify_ready();
	if (s->reload_wanted)
		reload_by_signal(s);
	event_base_dispatch(s->parts.base);
	return end(s, err);
}

/* Clients and maps need descriptors; the soft limit only protects programs that use select(). */
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
	struct service s = {
		.parts = { .active = &s.active,
			   .datapath = &s.datapath,
			   .sweeps = &s.sweeps,
			   .warn = doctor_warn,
			   .ending = &s.ending },
		.active.path = config_path,
		.replace = replace,
		.signals = { .end = end_by_signal, .reload = reload_by_signal, .arg = &s },
	};
	int r = privileges_check(err);

	if (!r)
		r = startup_read(config_path, true, replace, &up, err);
	if (r)
		return error_passes(r) ? EXIT_FAILED : EXIT_BAD_CONFIGURATION;
	clock_gettime(CLOCK_MONOTONIC, &s.parts.started);
	clock_gettime(CLOCK_REALTIME, &s.parts.started_wall);
	raise_descriptors();
	s.parts.base = event_base_new();
	r = s.parts.base ? signals_catch(&s.signals, s.parts.base, err) : error_set(err, -ENOMEM, "out of memory");
	/* An earlier agent may have run as another user. */
	if (!r && !geteuid())
		r = prepare_for(up.file, 0, 0, err);
	if (!r)
		r = run(&s, &up, err);
	signals_free(&s.signals);
	if (s.parts.base)
		event_base_free(s.parts.base);
	config_free(s.active.config);
	config_free(s.active.copy);
	running_text_free(&s.active.text);
	return r ? EXIT_FAILED : EXIT_DONE;
}
