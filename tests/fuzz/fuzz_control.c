/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control socket on any octets: what comes back is whole lines of JSON, every line of the client's is answered or
 * the client is cut off, and arguments that reach a verb have been checked. The verbs themselves are stand-ins here.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "control/control.h"
#include "control/handlers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct event_base *base;
static const struct parts context;
static struct control *control;
static char directory[] = "/tmp/detnat-fuzz-XXXXXX";
static struct sockaddr_un address = { .sun_family = AF_UNIX };

static void require(bool what)
{
	if (!what)
		abort();
}

/* Verbs: the answer at once, in slices, as a stream, and after a change. */

static void check_args(const struct request *r)
{
	for (unsigned i = 0; r->spec->args[i].kind; i++) {
		const struct arg_spec *spec = &r->spec->args[i];
		const struct arg_value *value = &r->args[i];

		require(value->given || spec->style != ARG_WORD);
		if (!value->given)
			continue;
		if (spec->kind == ARG_NUMBER || spec->kind == ARG_SLOTS)
			require(value->number >= spec->min && value->number <= spec->max);
		if (spec->kind == ARG_PREFIX)
			require(!(value->prefix.base & ~prefix_mask(value->prefix.plen)));
		if (spec->kind == ARG_NAME)
			require(strlen(value->text) < IFNAMSIZ);
	}
}

static int at_once(struct request *r, cJSON **ret_result, struct error *err)
{
	check_args(r);
	*ret_result = answer_empty(r);
	return 0;
}

static int step(struct request *r, cJSON **ret_result, struct error *err)
{
	unsigned *left = r->state;

	if (r->stream)
		evbuffer_add_printf(r->stream, "{\"left\":%u}\n", *left);
	if (*left)
		return (*left)--, 1;
	if (!r->stream)
		*ret_result = answer_empty(r);
	return 0;
}

static int in_slices(struct request *r, cJSON **ret_result, struct error *err)
{
	unsigned *left = malloc(sizeof(*left));

	check_args(r);
	*left = 3;
	request_run(r, step, left, free);
	return 0;
}

static int as_stream(struct request *r, cJSON **ret_result, struct error *err)
{
	in_slices(r, ret_result, err);
	request_stream(r);
	return 0;
}

static int edit_nothing(struct config *c, void *arg, struct error *err)
{
	return 0;
}

static int by_change(struct request *r, cJSON **ret_result, struct error *err)
{
	check_args(r);
	return request_change(r, edit_nothing, answer_empty, err);
}

static int refused(struct request *r, cJSON **ret_result, struct error *err)
{
	check_args(r);
	return error_set(err, -ENOENT, "refused");
}

/* Every verb of the table is answered at once but for these, which take the other ways of handlers.h. */
static verb_handler stand_in(enum verb v)
{
	switch (v) {
	case VERB_mapping_add:
	case VERB_mapping_del:
	case VERB_mapping_set:
	case VERB_interface_add:
	case VERB_interface_del:
	case VERB_timeouts_set:
	case VERB_timeouts_reset:
	case VERB_ipfix_set:
	case VERB_ipfix_disable:
	case VERB_reload:
	case VERB_pool_drain:
	case VERB_pool_restore:
	case VERB_portmap_add:
	case VERB_portmap_del:
	case VERB_user_move:
		return by_change;
	case VERB_mapping_list:
	case VERB_status:
		return in_slices;
	case VERB_session_list:
		return as_stream;
	case VERB_reverse:
	case VERB_session_close:
		return refused;
	default:
		return at_once;
	}
}

#define VERB(id, ...)                                                           \
	int verb_##id(struct request *r, cJSON **ret_result, struct error *err) \
	{                                                                       \
		return stand_in(VERB_##id)(r, ret_result, err);                 \
	}
#define LOCAL_VERB(id, ...)
#include "proto/verbs.def"

/* Changes: done in a later turn of the event loop. */

struct change {
	change_done done;
	void *arg;
};

static void on_change(evutil_socket_t fd, short what, void *arg)
{
	struct change *c = arg;
	struct error err = { "" };

	c->done(c->arg, 0, &err);
	free(c);
}

int change_submit(struct change_queue *q, change_edit edit, change_done done, void *arg)
{
	static const struct timeval at_next_turn;
	struct change *c = malloc(sizeof(*c));

	*c = (struct change){ done, arg };
	return event_base_once(base, -1, EV_TIMEOUT, on_change, c, &at_next_turn);
}

int change_submit_with(struct change_queue *q, change_edit edit, change_done done, void *arg,
		       const struct change_options *options)
{
	return change_submit(q, edit, done, arg);
}

int change_submit_programs(struct change_queue *q, change_prepare prepare, change_done done, void *arg)
{
	return change_submit(q, edit_nothing, done, arg);
}

int change_submit_reload(struct change_queue *q, const struct reload_options *options, change_done done, void *arg)
{
	return change_submit(q, edit_nothing, done, arg);
}

int change_submit_back(struct change_queue *q, const struct history_by *by, change_done done, void *arg)
{
	return change_submit(q, edit_nothing, done, arg);
}

int change_check_edit(const struct change_queue *q, change_edit edit, void *arg, struct error *err)
{
	return 0;
}

/* The client. */

static void stop(void)
{
	control_free(control);
	event_base_free(base);
	rmdir(directory);
}

static void start(void)
{
	struct error err = { "" };

	require(mkdtemp(directory));
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/agent.sock", directory);
	base = event_base_new();
	require(!control_new(base, &context, address.sun_path, false, &control, &err));
	atexit(stop);
}

static void check_line(const char *line, size_t size)
{
	cJSON *json = cJSON_ParseWithLength(line, size);

	require(json);
	cJSON_Delete(json);
}

/* Takes whole lines off the buffer; how many octets are left of one that is not whole yet. */
static size_t check_lines(char *buffer, size_t size)
{
	char *newline;

	while ((newline = memchr(buffer, '\n', size))) {
		check_line(buffer, (size_t)(newline - buffer));
		size -= (size_t)(newline + 1 - buffer);
		memmove(buffer, newline + 1, size);
	}
	return size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char answer[1 << 20];
	size_t sent = 0, got = 0;
	int fd;

	if (!base)
		start();
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	require(!connect(fd, (struct sockaddr *)&address, sizeof(address)));
	for (;;) {
		ssize_t n = sent < size ? send(fd, data + sent, size - sent, MSG_NOSIGNAL) : 0;

		if (n > 0)
			sent += (size_t)n;
		if (n < 0 && errno != EAGAIN)
			sent = size; /* cut off */
		if (sent >= size)
			shutdown(fd, SHUT_WR);
		event_base_loop(base, EVLOOP_NONBLOCK);
		n = recv(fd, answer + got, sizeof(answer) - got, 0);
		if (!n || (n < 0 && errno != EAGAIN))
			break;
		if (n > 0)
			got = check_lines(answer, got + (size_t)n);
		require(got < sizeof(answer));
	}
	require(!got);
	close(fd);
	return 0;
}
