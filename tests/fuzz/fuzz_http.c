// SPDX-License-Identifier: BSD-2-Clause
/*
 * Clients of the metrics server that send any octets, in pieces, and read the answer: it is one of the statuses that
 * there are, whole.
 */
#include "../../agent/metrics/http.c"

#include <netinet/in.h>
#include <poll.h>

static struct event_base *base;
static struct http *server;

static int document(struct evbuffer *out, unsigned form, void *arg)
{
	return evbuffer_add_printf(out, "detnat_sessions 1\n") < 0 ? -ENOMEM : 0;
}

int LLVMFuzzerInitialize(int *argc, char ***argv);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static const struct http_form forms[] = { { "text/plain", "text/plain" },
						  { "application/openmetrics-text", "application/openmetrics-text" } };
	static const struct http_site site = { "/metrics", forms, ARRAY_SIZE(forms), document, NULL };

	base = event_base_new();
	server = calloc(1, sizeof(*server));
	if (!base || !server)
		abort();
	server->base = base;
	server->site = site;
	TAILQ_INIT(&server->clients);
	server->tick = evtimer_new(base, on_tick, server);
	return 0;
}

static void expect_answer(const char *text, size_t size)
{
	static const char *const starts[] = { "HTTP/1.1 200 ", "HTTP/1.1 400 ", "HTTP/1.1 404 ", "HTTP/1.1 405 ",
					      "HTTP/1.1 431 " };

	if (!size)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(starts); i++)
		if (size > strlen(starts[i]) && !memcmp(text, starts[i], strlen(starts[i])) &&
		    memmem(text, size, "\r\n\r\n", 4))
			return;
	abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* The first octet says how long the pieces are. */
	size_t piece = size ? data[0] + 1U : 1, got = 0;
	char answer_text[4096];
	ssize_t n;
	int fd[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd))
		abort();
	on_accept(NULL, fd[0], NULL, 0, server);
	for (size_t at = 1; at < size; at += piece) {
		if (send(fd[1], data + at, size - at < piece ? size - at : piece, MSG_NOSIGNAL) < 0)
			break;
		event_base_loop(base, EVLOOP_NONBLOCK);
	}
	shutdown(fd[1], SHUT_WR);
	for (int i = 0; i < 4; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
	while (got < sizeof(answer_text) && (n = recv(fd[1], answer_text + got, sizeof(answer_text) - got, 0)) > 0)
		got += (size_t)n;
	expect_answer(answer_text, got);
	close(fd[1]);
	event_base_loop(base, EVLOOP_NONBLOCK);
	while (!TAILQ_EMPTY(&server->clients))
		client_free(TAILQ_FIRST(&server->clients));
	return 0;
}
