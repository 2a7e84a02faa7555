// SPDX-License-Identifier: BSD-2-Clause
/*
 * monitor: notices as they happen, one per line, until the client goes. Notices that a client does not read in time are
 * lost, and it learns their number.
 */
#include <errno.h>
#include <string.h>

#include "base/json_scan.h"
#include "base/notice.h"
#include "base/timestamp.h"
#include "control/handlers.h"

struct monitoring {
	struct request *request;
	struct notice_listener listener;
	struct prefix in; /* only events of these inside addresses */
	bool filtered;
	bool sessions; /* the datapath reports them for this client, too */
	uint64_t lost;
};

static cJSON *notice_json(const struct notice *n)
{
	cJSON *json = cJSON_CreateObject();
	char time[TIME_US_TEXT];

	cJSON_AddStringToObject(json, "time", time_format_us(n->wall_ns, time));
	cJSON_AddStringToObject(json, "kind", word_text(notice_words, n->kind));
	cJSON_AddStringToObject(json, "event", n->event);
	for (unsigned i = 0; i < n->n_params; i++) {
		const struct notice_param *p = &n->param[i];

		if (p->text)
			cJSON_AddStringToObject(json, p->name, p->text);
		else
			json_add_u64(json, p->name, p->number);
	}
	cJSON_AddStringToObject(json, "text", n->text);
	return json;
}

static int send_notice(struct monitoring *m, const struct notice *n)
{
	_cleanup_json_ cJSON *json = notice_json(n);
	_cleanup_free_ char *text = json ? cJSON_PrintUnformatted(json) : NULL;

	return text && evbuffer_add_printf(m->request->stream, "%s\n", text) >= 0 ? 0 : -ENOMEM;
}

static bool has_room(const struct monitoring *m)
{
	return evbuffer_get_length(m->request->stream) < REQUEST_OUTPUT_HIGH;
}

static int tell_losses(struct monitoring *m)
{
	char text[NOTICE_TEXT] = "";
	struct notice n = notice_now(NOTICE_TROUBLES, LOG_LEVEL_WARNING, "lost", text);
	int r;

	if (!m->lost)
		return 0;
	snprintf(text, sizeof(text), "%llu events were not read in time and are lost", (unsigned long long)m->lost);
	notice_add_number(&n, "lost", m->lost);
	r = send_notice(m, &n);
	if (!r)
		m->lost = 0;
	return r;
}

static bool is_wanted(const struct monitoring *m, const struct notice *n)
{
	return !m->filtered || (n->in.plen && prefixes_overlap(m->in, n->in));
}

static void on_notice(void *arg, const struct notice *n)
{
	struct monitoring *m = arg;

	if (!is_wanted(m, n))
		return;
	if (!has_room(m) || tell_losses(m) || send_notice(m, n)) {
		m->lost++;
		/* The step is called once the client has read most of its output. */
		m->request->idle = false;
	}
}

static int monitor_step(struct request *r, cJSON **ret_result, struct error *err)
{
	struct monitoring *m = r->state;

	if (has_room(m) && tell_losses(m))
		return error_set(err, -ENOMEM, "the agent is out of memory");
	r->idle = !m->lost;
	return 1;
}

static void monitoring_free(void *state)
{
	struct monitoring *m = state;

	notice_unlisten(&m->listener);
	if (m->sessions)
		change_monitor_sessions(m->request->context->changes, false);
	free(m);
}

/* Reports of sessions make each opening more expensive, so requesting them needs the right to make changes. */
static int want_sessions(struct monitoring *m, struct error *err)
{
	const struct request *r = m->request;

	if (!r->peer.may_change)
		return error_set(err, -EPERM,
				 "%s sessions makes the datapath report each session, which needs root or membership "
				 "of group " GROUP_ADMINS,
				 r->spec->name);
	if (change_monitor_sessions(r->context->changes, true))
		return error_set(err, -ENOMEM, "the agent is out of memory");
	m->sessions = true;
	return 0;
}

int verb_monitor(struct request *r, cJSON **ret_result, struct error *err)
{
	const struct arg_value *kinds = request_arg(r, "kinds"), *in = request_arg(r, "in");
	struct monitoring *m = calloc(1, sizeof(*m));
	int ret = 0;

	if (!m)
		return error_set(err, -ENOMEM, "the agent is out of memory");
	m->request = r;
	m->filtered = in->given;
	m->in = in->prefix;
	m->listener = (struct notice_listener){ .kinds = (uint16_t)(kinds->given ? kinds->number : NOTICE_DEFAULTS),
						.heard = on_notice,
						.arg = m };
	if (m->listener.kinds & NOTICE_SESSIONS)
		ret = want_sessions(m, err);
	if (ret) {
		free(m);
		return ret;
	}
	request_stream(r);
	request_run(r, monitor_step, m, monitoring_free);
	r->endless = true;
	notice_listen(&m->listener);
	return 0;
}
