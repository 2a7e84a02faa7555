/* SPDX-License-Identifier: BSD-2-Clause */
/* The text format of metrics, and the server that they are had from, by what comes back over a socket. */
#include <criterion/criterion.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "metrics/exposition.h"
#include "metrics/http.h"

/* The format. */

static struct evbuffer *out;

static void make_buffer(void)
{
	out = evbuffer_new();
}

TestSuite(metrics_write, .init = make_buffer);

static void expect_text(const char *wanted)
{
	size_t length = evbuffer_get_length(out);
	char *text = malloc(length + 1);

	evbuffer_remove(out, text, length);
	text[length] = '\0';
	cr_expect_str_eq(text, wanted, "%s", text);
	free(text);
}

Test(metrics_write, samples_with_and_without_labels)
{
	metrics_single(out, "a_total", "counter", UINT64_MAX, "Help.");
	metrics_family(out, "b", "gauge", "More help.");
	metrics_sample(out, "b", "x=\"1\",y=\"2\"", 0);
	metrics_sample_seconds(out, "b", NULL, 1.5);
	metrics_duration(out, "c_seconds", 0.25, 3, "Time.");
	expect_text("# HELP a_total Help.\n# TYPE a_total counter\na_total 18446744073709551615\n"
		    "# HELP b More help.\n# TYPE b gauge\nb{x=\"1\",y=\"2\"} 0\nb 1.500000\n"
		    "# HELP c_seconds Time.\n# TYPE c_seconds summary\nc_seconds_sum 0.250000\nc_seconds_count 3\n");
}

Test(metrics_write, labels_are_escaped_and_stay_different)
{
	static const struct {
		const char *text;
		const char *escaped;
	} rows[] = {
		{ "eth0.100", "eth0.100" },
		{ "", "" },
		{ "a\"b", "a\\\"b" },
		{ "a\\b", "a\\\\b" },
		{ "a\nb", "a\\\\x0ab" },
		{ "caf\xc3\xa9", "caf\\\\xc3\\\\xa9" },
		{ "\xff\xfe", "\\\\xff\\\\xfe" },
		{ "\x7f", "\\\\x7f" },
	};
	char text[64];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		metrics_escape(rows[i].text, text, sizeof(text));
		cr_expect_str_eq(text, rows[i].escaped, "row %zu: %s", i, text);
	}
	/* Nothing is cut in the middle of an escape. */
	metrics_escape("abc\"", text, 5);
	cr_expect_str_eq(text, "abc");
}

/* The server. */

static struct event_base *base;
static struct http *http;
static struct endpoint at = { INADDR_LOOPBACK, 0 };
static int document_r;
static size_t document_size = 6;

static int document(struct evbuffer *to, unsigned form, void *arg)
{
	_cleanup_free_ char *text = malloc(document_size);

	cr_assert_eq(arg, &document_r);
	memset(text, 'm', document_size);
	if (!document_r)
		evbuffer_add(to, text, document_size);
	return document_r;
}

static const struct http_form forms[] = { { "text/x", "text/x" }, { "application/y", "application/y; version=1" } };
static const struct http_site site = { "/metrics", forms, ARRAY_SIZE(forms), document, &document_r };

/* A port that was free a moment ago. */
static uint16_t free_port(void)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(addr);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	cr_assert_eq(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	getsockname(fd, (struct sockaddr *)&addr, &size);
	close(fd);
	return ntohs(addr.sin_port);
}

static void serve(void)
{
	base = event_base_new();
	at.port = free_port();
	cr_assert_eq(http_new(base, at, &site, &http), 0);
}

static void end(void)
{
	http_free(http);
	event_base_free(base);
}

TestSuite(metrics_http, .init = serve, .fini = end, .timeout = 300);

static int dial(void)
{
	const struct sockaddr_in addr = { .sin_family = AF_INET,
					  .sin_addr.s_addr = htonl(at.addr),
					  .sin_port = htons(at.port) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	cr_assert_eq(connect(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
	cr_assert_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return fd;
}

static void turn(void)
{
	event_base_loop(base, EVLOOP_NONBLOCK);
}

/* All that comes until the connection ends; its length, -errno where it was reset. */
static ssize_t hear(int fd, char *text, size_t size)
{
	size_t length = 0;
	ssize_t n;

	for (;;) {
		turn();
		n = recv(fd, text + length, size - 1 - length, 0);
		if (n > 0)
			length += (size_t)n;
		else if (!n || errno != EAGAIN)
			break;
	}
	text[length] = '\0';
	return n ? -errno : (ssize_t)length;
}

static const char *ask(const char *request)
{
	static char text[65536];
	int fd = dial();

	cr_assert_eq(send(fd, request, strlen(request), 0), (ssize_t)strlen(request));
	cr_assert_geq(hear(fd, text, sizeof(text)), 0);
	close(fd);
	return text;
}

Test(metrics_http, answers)
{
	static const struct {
		const char *request;
		const char *answer;
	} rows[] = {
		{ "GET /metrics HTTP/1.1\r\n\r\n",
		  "HTTP/1.1 200 OK\r\nContent-Type: text/x\r\nContent-Length: 6\r\nCache-Control: no-store\r\n"
		  "Connection: close\r\n\r\nmmmmmm" },
		{ "HEAD /metrics HTTP/1.1\r\n\r\n",
		  "HTTP/1.1 200 OK\r\nContent-Type: text/x\r\nContent-Length: 6\r\nCache-Control: no-store\r\n"
		  "Connection: close\r\n\r\n" },
		{ "GET /other HTTP/1.1\r\n\r\n", "HTTP/1.1 404 Not Found\r\nContent-Type: "
						 "text/plain\r\nContent-Length: 10\r\nCache-Control: no-store\r\n"
						 "Connection: close\r\n\r\nNot Found\n" },
		{ "HEAD /other HTTP/1.1\r\n\r\n", "HTTP/1.1 404 Not Found\r\nContent-Type: "
						  "text/plain\r\nContent-Length: 10\r\nCache-Control: no-store\r\n"
						  "Connection: close\r\n\r\n" },
		{ "PUT /metrics HTTP/1.1\r\n\r\n",
		  "HTTP/1.1 405 Method Not Allowed\r\nContent-Type: text/plain\r\nContent-Length: 19\r\n"
		  "Allow: GET, HEAD\r\nCache-Control: no-store\r\nConnection: close\r\n\r\nMethod Not Allowed\n" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *answer = ask(rows[i].request);

		cr_expect_str_eq(answer, rows[i].answer, "row %zu: %s", i, answer);
	}
	document_r = -EIO;
	cr_expect(!strncmp(ask("GET /metrics HTTP/1.1\r\n\r\n"), "HTTP/1.1 500 ", 13));
}

Test(metrics_http, big_document_reaches_a_slow_reader_whole)
{
	static char text[9 << 20];
	int fd = dial();

	document_size = 8 << 20;
	cr_assert_eq(send(fd, "GET /metrics HTTP/1.1\r\n\r\n", 25, 0), 25);
	for (int i = 0; i < 100; i++)
		turn();
	/* Saying no more is not leaving. */
	shutdown(fd, SHUT_WR);
	cr_expect_gt(hear(fd, text, sizeof(text)), 8 << 20);
	cr_expect_eq(text[strlen(text) - 1], 'm');
	close(fd);
}

Test(metrics_http, oldest_connection_gives_way_when_all_are_taken)
{
	int fd[HTTP_MAX_CLIENTS];
	char text[4096];

	for (unsigned i = 0; i < HTTP_MAX_CLIENTS; i++) {
		fd[i] = dial();
		turn();
	}
	cr_expect_geq(hear(fd[0], text, sizeof(text)), 0, "the first one was cut off");
	cr_expect_str_empty(text);
	cr_expect_eq(recv(fd[1], text, 1, 0), -1, "the second one was not");
	cr_expect(!strncmp(ask("GET /metrics HTTP/1.1\r\n\r\n"), "HTTP/1.1 200 ", 13));
}

Test(metrics_http, want_of_descriptors_is_waited_out)
{
	const struct rlimit few = { 0, 4096 };
	struct rlimit before;
	char text[4096];
	int fd;

	getrlimit(RLIMIT_NOFILE, &before);
	fd = dial();
	cr_assert_eq(send(fd, "GET /metrics HTTP/1.1\r\n\r\n", 25, 0), 25);
	setrlimit(RLIMIT_NOFILE, &(struct rlimit){ few.rlim_cur, before.rlim_max });
	turn();

	/* The loop sleeps now, though the listener has a connection: the next thing is the tick. */
	uint64_t begin = monotonic_us();

	event_base_loop(base, EVLOOP_ONCE);
	cr_expect_gt(monotonic_us() - begin, 50000);
	setrlimit(RLIMIT_NOFILE, &before);
	cr_expect_gt(hear(fd, text, sizeof(text)), 0);
	cr_expect(!strncmp(text, "HTTP/1.1 200 ", 13));
}

Test(metrics_http, endpoint_in_use_or_not_of_this_machine_is_told)
{
	struct http *second = NULL;

	cr_expect_eq(http_new(base, at, &site, &second), -EADDRINUSE);
	cr_expect_eq(http_try(at), -EADDRINUSE);
	cr_expect_eq(http_try((struct endpoint){ 0xcb007109, 9469 }), -EADDRNOTAVAIL);
	cr_expect_null(second);
	http_free(http);
	http = NULL;
	cr_expect_eq(http_try(at), 0);
	cr_expect_eq(http_new(base, at, &site, &http), 0, "the trial leaves nothing behind");
}

Test(metrics_http, freed_server_closes_its_connections)
{
	int fd = dial();
	char c;

	turn();
	http_free(http);
	http = NULL;
	for (int i = 0; i < 10; i++)
		turn();
	cr_expect_eq(recv(fd, &c, 1, 0), 0);
}
