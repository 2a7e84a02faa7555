/* SPDX-License-Identifier: BSD-2-Clause */
/* One request against agents that answer well, badly, late, or not to the end. */
#include <criterion/criterion.h>

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "command.h"

static char directory[] = "/tmp/detnat-cli-XXXXXX";
static struct sockaddr_un address = { .sun_family = AF_UNIX };
static int listener;

static void setup(void)
{
	cr_assert(mkdtemp(directory));
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/agent.sock", directory);
	listener = socket(AF_UNIX, SOCK_STREAM, 0);
	cr_assert_eq(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	cr_assert_eq(listen(listener, 4), 0);
}

static void teardown(void)
{
	unlink(address.sun_path);
	rmdir(directory);
}

TestSuite(cli_run, .init = setup, .fini = teardown, .timeout = 300);

/* An agent that reads a line, checks it, answers with text and goes away. */
static pid_t answer_with(const char *request, const char *text)
{
	pid_t pid = fork();

	if (pid)
		return pid;

	prctl(PR_SET_PDEATHSIG, SIGKILL);

	char line[1024];
	int fd = accept(listener, NULL, NULL);
	ssize_t n = read(fd, line, sizeof(line) - 1);
	size_t sent = 0;

	line[n > 0 ? n : 0] = 0;
	while (sent < strlen(text)) {
		ssize_t part = send(fd, text + sent, strlen(text + sent), MSG_NOSIGNAL);

		if (part < 0)
			break;
		sent += (size_t)part;
	}
	_exit(strcmp(line, request) != 0);
}

static const struct {
	const char *typed[3];
	bool json;
	const char *answer, *out, *error; /* a part of the error */
	int status;
} exchanges[] = {
	{ { "reload" }, false, "{\"ok\":true,\"result\":{}}\n", "reloaded\n", "", 0 },
	{ { "reload" },
	  false,
	  "{\"ok\":true,\"result\":{\"dry_run\":true,\"changed\":true,\"keys\":[1,\"guard\"],\"portmaps\":1}}\n",
	  "would change: -, guard\nthe file differs from the running configuration (detnatctl config diff), 0 sessions "
	  "would end, 0 "
	  "would drain\n",
	  "",
	  0 },
	{ { "reload" }, true, "\n\n{\"ok\":true,\"result\":{}}\n", "{}\n", "", 0 },
	{ { "stats" },
	  true,
	  "{\"ok\":true,\"result\":{\"counters\":{\"x\":18446744073709551615}}}\n",
	  "{\"counters\":{\"x\":18446744073709551615}}\n",
	  "",
	  0 },
	{ { "stats" },
	  false,
	  "{\"ok\":true,\"result\":{\"counters\":{\"drop_quota\":0,\"new_one\":7}}}\n",
	  "COUNTER  VALUE  MEANING\nnew_one      7\n",
	  "",
	  0 },
	{ { "stats" },
	  false,
	  "{\"ok\":true,\"result\":{\"counters\":{\"drop_quota\":0}}}\n",
	  "all counters are zero\n",
	  "",
	  0 },
	{ { "mapping", "list" }, false, "{\"ok\":true,\"result\":[]}\n", "no mappings\n", "", 0 },
	{ { "interface", "list" }, true, "{\"ok\":true,\"result\":[{}]}\n", "[{}]\n", "", 0 },
	{ { "ipfix", "show" }, false, "{\"ok\":true,\"result\":{}}\n", "no collector\n", "", 0 },
	{ { "reload" }, false, "{\"ok\":false,\"status\":1,\"error\":\"FILE:3: x: no\"}\n", "", "FILE:3: x: no", 1 },
	{ { "reload" }, true, "{\"ok\":false,\"status\":2,\"error\":\"bad\"}\n", "", "bad", 2 },
	{ { "reload" }, true, "{\"ok\":false,\"status\":77,\"error\":\"bad\"}\n", "", "bad", 1 },
	{ { "session", "list" },
	  true,
	  "{\"ok\":true,\"stream\":true}\n{\"a\":1}\n\n{\"a\":2}\n{\"end\":true}\n",
	  "[\n{\"a\":1},\n{\"a\":2}\n]\n",
	  "",
	  0 },
	{ { "session", "list" }, false, "{\"ok\":true,\"stream\":true}\n{\"end\":true}\n", "no sessions\n", "", 0 },
	{ { "session", "list" },
	  true,
	  "{\"ok\":true,\"stream\":true}\n{\"a\":1}\n{\"end\":false,\"error\":\"gone\"}\n",
	  "[\n{\"a\":1}",
	  "gone",
	  1 },
	{ { "session", "list" },
	  true,
	  "{\"ok\":true,\"stream\":true}\n{\"a\":1}\n{\"a\"",
	  "[\n{\"a\":1}",
	  "went away",
	  3 },
	{ { "session", "list" }, true, "{\"ok\":true,\"stream\":true}\njunk\n", "[", "is not detnat-agent", 3 },
	{ { "session", "list" }, false, "{\"ok\":true,\"stream\":true}\n{x}\n", "", "is not detnat-agent", 3 },
	{ { "status" }, false, "", "", "went away", 3 },
	{ { "status" }, false, "{\"ok\":true,\"result\":{}}", "", "went away", 3 },
	{ { "status" }, false, "HTTP/1.1 400 Bad Request\n", "", "is not detnat-agent", 3 },
	{ { "status" }, false, "{}\n", "", "is not detnat-agent", 3 },
	{ { "status" }, false, "[]\n", "", "is not detnat-agent", 3 },
	{ { "status" }, false, "{\"ok\":true}\n", "", "is not detnat-agent", 3 },
	{ { "status" }, false, "{\"ok\":false}\n", "", "is not detnat-agent", 3 },
	{ { "status" }, false, "{\"result\":{},\"ok\":true}\n", "", "is not detnat-agent", 3 },
	{ { "status" }, false, "{\"ok\":true,\"stream\":true}\n", "", "is not detnat-agent", 3 },
};

static unsigned count(const char *const words[3])
{
	unsigned n = 0;

	while (n < 3 && words[n])
		n++;
	return n;
}

Test(cli_run, answers_become_output_errors_and_statuses)
{
	for (size_t i = 0; i < ARRAY_SIZE(exchanges); i++) {
		struct error err = { "" };
		unsigned n_words;
		const struct command *c =
			command_find((char *const *)exchanges[i].typed, count(exchanges[i].typed), &n_words, &err);
		char request[128], *text = NULL;
		size_t size;
		struct writer w = { .out = open_memstream(&text, &size), .json = exchanges[i].json };
		int status, ended;
		pid_t pid;

		cr_assert(c);
		snprintf(request, sizeof(request), "{\"verb\":\"%s\",\"args\":{}}\n", command_name(c));
		pid = answer_with(request, exchanges[i].answer);
		status = command_run(c, address.sun_path, cJSON_CreateObject(), &w, &err);
		fclose(w.out);
		waitpid(pid, &ended, 0);
		cr_expect_eq(ended, 0, "%s: the request", exchanges[i].answer);
		cr_expect_eq(status, exchanges[i].status, "%s: %d", exchanges[i].answer, status);
		cr_expect_str_eq(text, exchanges[i].out, "%s: %s", exchanges[i].answer, text);
		cr_expect(strstr(err.text, exchanges[i].error) && !*err.text == !status, "%s: %s", exchanges[i].answer,
			  err.text);
		free(text);
	}
}

Test(cli_run, a_reader_that_goes_away_ends_a_listing_without_an_error)
{
	struct error err = { "" };
	unsigned n_words;
	const struct command *c = command_find((char *[]){ "session", "list" }, 2, &n_words, &err);
	static char listing[1 << 20] = "{\"ok\":true,\"stream\":true}\n";
	int ends[2], ended;
	struct writer w;
	pid_t pid;

	signal(SIGPIPE, SIG_IGN);
	for (size_t n = strlen(listing); n + 16 < sizeof(listing); n += 8)
		strcpy(listing + n, "{\"a\":1}\n");
	pid = answer_with("{\"verb\":\"session list\",\"args\":{}}\n", listing);
	cr_assert_eq(pipe(ends), 0);
	close(ends[0]);
	w = (struct writer){ .out = fdopen(ends[1], "w"), .json = true };
	cr_expect_eq(command_run(c, address.sun_path, cJSON_CreateObject(), &w, &err), 0, "%s", err.text);
	cr_expect_eq(w.failed, EPIPE);
	waitpid(pid, &ended, 0);
}

Test(cli_run, an_agent_that_cannot_be_reached_is_explained)
{
	struct error err = { "" };
	unsigned n_words;
	const struct command *c = command_find((char *[]){ "status" }, 1, &n_words, &err);
	struct writer w = { .out = stdout };
	cJSON *args = cJSON_CreateObject();

	cr_expect_eq(command_run(c, "/nonexistent/agent.sock", args, &w, &err), 3);
	cr_expect(strstr(err.text, "/nonexistent/agent.sock") && strstr(err.text, "start detnat-agent"), "%s",
		  err.text);
	close(listener);
	cr_expect_eq(command_run(c, address.sun_path, args, &w, &err), 3);
	cr_expect(strstr(err.text, "no agent answers"), "%s", err.text);
	cr_expect_eq(command_run(c, directory, args, &w, &err), 3);
	cr_expect_eq(command_run(c, "", args, &w, &err), 3);
}
