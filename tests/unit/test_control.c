/* SPDX-License-Identifier: BSD-2-Clause */
/* The control socket's server on real tables: the protocol, clients that misbehave, listings that nobody reads. */
#include <criterion/criterion.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

#include "config/active.h"
#include "control/control.h"
#include "tables/grant_table.h"
#include "tables/mapping_changes.h"
#include "tables_fixture.h"

#define IN   "10.0.0.0/18"
#define OUT  "1.1.1.0/30"
#define EACH 8U /* sessions of a subscriber */

static const char *configuration = "{\"interfaces\":{\"inside\":[\"eth1\"],\"outside\":[\"eth0\"]},"
				   "\"mappings\":[{\"in\":\"" IN "\",\"out\":\"" OUT "\"}]}";
static char directory[] = "/tmp/detnat-control-XXXXXX";
static struct sockaddr_un address = { .sun_family = AF_UNIX };
static struct event_base *base;
static struct active_config active;
static struct datapath datapath;
static struct parts context = { .active = &active, .datapath = &datapath };
static struct control *control;
static pid_t server;

static void on_terminate(evutil_socket_t number, short what, void *arg)
{
	event_base_loopbreak(base);
}

static void serve(int ready)
{
	struct error err = { "" };
	struct event *terminate;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	base = event_base_new();
	terminate = evsignal_new(base, SIGTERM, on_terminate, NULL);
	event_add(terminate, NULL);
	if (control_new(base, &context, address.sun_path, false, &control, &err))
		_exit(1);
	if (write(ready, "", 1) != 1)
		_exit(1);
	event_base_dispatch(base);
	control_free(control);
	_exit(0);
}

/* Sessions in every slot of the first subscribers. */
static void fill(unsigned subscribers)
{
	struct session s = { .ext_addr = 0xc6336407, .ext_port = 443, .proto = IPPROTO_UDP, .state = SESSION_UDP };

	for (uint32_t n = 0; n < subscribers; n++) {
		for (uint32_t i = 0; i < EACH; i++) {
			s.in_port = (uint16_t)(4000 + i);
			s.out_port = (uint16_t)(1024 + i);
			tables_put(context.mappings, tables_addr("10.0.0.0") + n, i, &s, 100000);
		}
	}
}

/* The server is a process of its own, so that the test can be an impatient client. */
static void start(unsigned subscribers)
{
	struct mapping_spec spec = tables_spec(IN, OUT);
	struct error err = { "" };
	int ready[2];
	char c;

	tables_make(&datapath);
	cr_assert_eq(mappings_open(&datapath, &context.mappings, &err), 0, "%s", err.text);
	cr_assert_geq(tables_add(context.mappings, &spec), 0);
	cr_assert_eq(grants_open(context.mappings, &context.grants, &err), 0, "%s", err.text);
	fill(subscribers);
	cr_assert_eq(config_parse(configuration, strlen(configuration), "test", &active.config, &err), 0, "%s",
		     err.text);
	cr_assert(mkdtemp(directory));
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/agent.sock", directory);
	cr_assert_eq(pipe(ready), 0);
	server = fork();
	if (!server)
		serve(ready[1]);
	cr_assert_eq(read(ready[0], &c, 1), 1);
}

static void teardown(void)
{
	int status = 0;

	if (server <= 0)
		return;
	kill(server, SIGTERM);
	waitpid(server, &status, 0);
	cr_expect(WIFEXITED(status) && !WEXITSTATUS(status), "the server ended by itself: %d", status);
	cr_expect_eq(access(address.sun_path, F_OK), -1);
	rmdir(directory);
}

TestSuite(control, .fini = teardown, .timeout = 300);

static int dial(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0, "%s", strerror(errno));
	return fd;
}

static void say(int fd, const char *text)
{
	cr_assert_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* All that comes until n lines have, or the end. */
static const char *hear(int fd, unsigned n)
{
	static char text[1 << 16];
	size_t size = 0;

	while (n && size < sizeof(text) - 1) {
		if (read(fd, text + size, 1) != 1)
			break;
		n -= text[size++] == '\n';
	}
	text[size] = 0;
	return text;
}

static double now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

/* Memory of its own: the tables, which it has mapped, do not count. */
static unsigned long server_kilobytes(void)
{
	unsigned long anonymous = 0;
	char line[128];
	FILE *f;

	snprintf(line, sizeof(line), "/proc/%d/status", server);
	f = fopen(line, "r");
	cr_assert(f);
	while (fgets(line, sizeof(line), f) && sscanf(line, "RssAnon: %lu kB", &anonymous) != 1)
		;
	fclose(f);
	cr_assert(anonymous);
	return anonymous;
}

#define TIMEOUTS_ANSWER \
	"{\"ok\":true,\"result\":{\"udp\":300,\"tcp_established\":7440,\"tcp_transitory\":240,\"icmp\":60}}\n"
#define REFUSED_2 "{\"ok\":false,\"status\":2,"
#define REFUSED_1 "{\"ok\":false,\"status\":1,"

/* What is answered, by its beginning, and whether the client is then cut off. */
static const struct {
	const char *sent, *answer;
	bool cut;
} exchanges[] = {
	{ "{\"verb\":\"timeouts show\"}\n", TIMEOUTS_ANSWER, false },
	{ "{\"verb\":\"timeouts show\",\"args\":{}}\r\n", TIMEOUTS_ANSWER, false },
	{ " { \"args\" : { } , \"verb\" : \"timeouts show\" } \n", TIMEOUTS_ANSWER, false },
	{ "\n\n{\"verb\":\"timeouts show\"}\n", NULL, true },
	{ "{\"verb\":\"forward\",\"args\":{\"addr\":\"10.0.0.2\"}}\n",
	  "{\"ok\":true,\"result\":{\"in_addr\":\"10.0.0.2\",\"out_addr\":\"1.1.1.0\",\"port_lo\":1054,\"port_hi\":"
	  "1068}}\n",
	  false },
	{ "{\"verb\":\"reverse\",\"args\":{\"endpoint\":\"1.1.1.1:1276\"}}\n",
	  "{\"ok\":true,\"result\":{\"out_addr\":\"1.1.1.1\",\"out_port\":1276,\"in_addr\":\"10.0.16.16\"}}\n", false },
	{ "{\"verb\":\"reverse\",\"args\":{\"endpoint\":\"1.1.1.1:1023\"}}\n", REFUSED_1, false },
	{ "{\"verb\":\"reverse\",\"args\":{\"endpoint\":\"1.1.1.1:62464\"}}\n", REFUSED_1, false },
	{ "{\"verb\":\"forward\",\"args\":{\"addr\":\"10.0.64.0\"}}\n", REFUSED_1, false },
	{ "{\"verb\":\"session list\",\"args\":{\"addr\":\"192.0.2.1\"}}\n", REFUSED_1, false },
	{ "{\"verb\":\"user show\",\"args\":{\"addr\":\"192.0.2.1\"}}\n", REFUSED_1, false },
	{ "{\"verb\":\"no such\"}\n", REFUSED_2, false },
	{ "{\"verb\":\"forward\"}\n", REFUSED_2, false },
	{ "{\"verb\":\"forward\",\"args\":{\"addr\":10}}\n", REFUSED_2, false },
	{ "{\"verb\":\"forward\",\"args\":{\"addr\":\"10.0.0\"}}\n", REFUSED_2, false },
	{ "{\"verb\":\"forward\",\"args\":{\"addr\":\"10.0.0.2\",\"addr\":\"10.0.0.3\"}}\n", REFUSED_2, false },
	{ "{\"verb\":\"stats\",\"args\":{\"all\":true}}\n", REFUSED_2, false },
	{ "{\"verb\":\"timeouts set\"}\n", REFUSED_2, false },
	{ "{\"verb\":\"timeouts set\",\"args\":{\"udp\":0}}\n", REFUSED_2, false },
	{ "{\"verb\":\"timeouts set\",\"args\":{\"udp\":604801}}\n", REFUSED_2, false },
	{ "{\"verb\":\"timeouts set\",\"args\":{\"udp\":1.5}}\n", REFUSED_2, false },
	{ "{\"verb\":\"timeouts set\",\"args\":{\"udp\":1e300}}\n", REFUSED_2, false },
	{ "{\"verb\":\"timeouts set\",\"args\":{\"udp\":\"5\"}}\n", REFUSED_2, false },
	{ "{\"verb\":\"mapping add\",\"args\":{\"in\":\"10.0.0.0/8\",\"out\":\"9.9.9\"}}\n", REFUSED_2, false },
	{ "{\"verb\":\"session list\",\"args\":{\"all\":1}}\n", REFUSED_2, false },
	{ "{\"verb\":\"interface add\",\"args\":{\"name\":\"a/b\",\"role\":\"inside\"}}\n", REFUSED_2, false },
	{ "junk\n", REFUSED_2, true },
	{ "\xff\xfe\n", REFUSED_2, true },
	{ "{}\n", REFUSED_2, true },
	{ "[]\n", REFUSED_2, true },
	{ "{\"verb\":7}\n", REFUSED_2, true },
	{ "{\"verb\":\"stats\"}{\n", REFUSED_2, true },
	{ "{\"verb\":\"stats\",\"more\":1}\n", REFUSED_2, true },
	{ "{\"verb\":\"stats\",\"verb\":\"stats\"}\n", REFUSED_2, true },
	{ "{\"verb\":\"stats\",\"args\":[]}\n", REFUSED_2, true },
	{ "{\"verb\":\"forward\",\"args\":{\"addr\":\"10.0.0.2\\u0000\"}}\n", REFUSED_2, true },
};

Test(control, each_request_has_its_answer)
{
	start(0);
	for (size_t i = 0; i < ARRAY_SIZE(exchanges); i++) {
		const char *wanted = exchanges[i].answer ? exchanges[i].answer : REFUSED_2;
		int fd = dial();

		say(fd, exchanges[i].sent);
		const char *got = hear(fd, 1);

		cr_expect(!strncmp(got, wanted, strlen(wanted)), "%s%s", exchanges[i].sent, got);
		if (exchanges[i].cut) {
			cr_expect_eq(read(fd, &(char){ 0 }, 1), 0, "%s", exchanges[i].sent);
		} else {
			say(fd, "{\"verb\":\"timeouts show\"}\n");
			cr_expect_str_eq(hear(fd, 1), TIMEOUTS_ANSWER);
		}
		close(fd);
	}
}

Test(control, lines_sent_at_once_are_answered_in_order_even_after_the_end)
{
	int fd;

	start(1);
	fd = dial();
	say(fd, "{\"verb\":\"forward\",\"args\":{\"addr\":\"10.0.0.2\"}}\n{\"verb\":\"session list\"}\n"
		"{\"verb\":\"timeouts show\"}\n{\"verb\":");
	shutdown(fd, SHUT_WR);

	const char *got = hear(fd, 100);
	unsigned lines = 0;

	for (const char *p = got; *p; p++)
		lines += *p == '\n';
	cr_assert_eq(lines, 1 + 1 + EACH + 1 + 1, "%s", got);
	cr_assert(strstr(got, "\"port_hi\":1068}}\n{\"ok\":true,\"stream\":true}\n{\"proto\":\"udp\",\"in_addr\":\"10."
			      "0.0.0\""),
		  "%s", got);
	cr_assert(strstr(got, "\n{\"end\":true}\n" TIMEOUTS_ANSWER), "%s", got);
}

Test(control, a_line_too_long_is_cut_off_and_the_longest_is_not)
{
	static char line[CONTROL_MAX_BATCH + 2];
	int fd;

	start(0);
	memset(line, ' ', sizeof(line));
	memcpy(line, "{\"verb\":\"timeouts show\"}", 24);
	line[CONTROL_MAX_BATCH - 1] = '\n';
	line[CONTROL_MAX_BATCH] = 0;
	fd = dial();
	say(fd, line);
	cr_assert_str_eq(hear(fd, 1), TIMEOUTS_ANSWER);
	line[CONTROL_MAX_BATCH - 1] = ' ';
	line[CONTROL_MAX_BATCH] = '\n';
	send(fd, line, sizeof(line) - 1, MSG_NOSIGNAL);
	cr_assert(!strncmp(hear(fd, 1), REFUSED_2, strlen(REFUSED_2)));
	cr_assert_leq(read(fd, line, 1), 0);
}

/* Clients that misbehave. */

#define MANY 200

static void silent(int fd)
{
}

static void partial(int fd)
{
	say(fd, "{\"verb\":\"timeouts");
}

static void junk(int fd)
{
	say(fd, "\x01\x02junk\n");
}

static void megabyte(int fd)
{
	static char block[1 << 16];
	size_t sent = 0;
	ssize_t n;

	if (!*block)
		memset(block, 'x', sizeof(block));
	fcntl(fd, F_SETFL, O_NONBLOCK);
	while (sent < 1 << 20 && (n = send(fd, block, sizeof(block), MSG_NOSIGNAL)) > 0)
		sent += (size_t)n;
}

static void questions(int fd)
{
	static const char question[] = "{\"verb\":\"status\"}\n{\"verb\":\"timeouts show\"}\n";

	fcntl(fd, F_SETFL, O_NONBLOCK);
	while (send(fd, question, strlen(question), MSG_NOSIGNAL) == (ssize_t)strlen(question))
		;
}

static void listings(int fd)
{
	say(fd, "{\"verb\":\"session list\"}\n{\"verb\":\"session list\"}\n");
}

static void (*const nuisances[])(int fd) = { silent, partial, junk, megabyte, questions, listings };

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Median of how long a new client waits for an answer, milliseconds: other programs on the machine count for nothing.
 */
static double patience(void)
{
	double times[41];

	for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
		double begin = now_ms();
		int fd = dial();

		say(fd, "{\"verb\":\"timeouts show\"}\n");
		cr_assert_str_eq(hear(fd, 1), TIMEOUTS_ANSWER);
		close(fd);
		times[i] = now_ms() - begin;
	}
	qsort(times, ARRAY_SIZE(times), sizeof(*times), compare);
	return times[ARRAY_SIZE(times) / 2];
}

Test(control, nobody_is_held_up_by_two_hundred_that_misbehave)
{
	unsigned long before;

	start(16384);
	patience();
	before = server_kilobytes();
	for (size_t i = 0; i < ARRAY_SIZE(nuisances); i++) {
		int fds[MANY];

		for (unsigned n = 0; n < MANY; n++)
			nuisances[i](fds[n] = dial());
		cr_expect_lt(patience(), 50, "nuisance %zu", i);
		for (unsigned n = 0; n < MANY; n++)
			close(fds[n]);
	}
	/* Bounded: so much for each of them, however much they sent and however little they read. */
	cr_expect_lt(server_kilobytes(), before + MANY * 256, "%lu", server_kilobytes());
}

static void ask(int fd)
{
	say(fd, "{\"verb\":\"timeouts show\"}\n");
	cr_assert_str_eq(hear(fd, 1), TIMEOUTS_ANSWER);
}

Test(control, more_than_the_most_clients_push_out_those_idle_longest)
{
	enum { EXTRA = 100 };
	int fds[CONTROL_MAX_CLIENTS + EXTRA];
	char c;

	start(0);
	for (unsigned n = 0; n < CONTROL_MAX_CLIENTS; n++)
		fds[n] = dial();
	/* The last one answered, all are there; then the first is the one idle for the shortest time. */
	ask(fds[CONTROL_MAX_CLIENTS - 1]);
	ask(fds[0]);
	for (unsigned n = CONTROL_MAX_CLIENTS; n < ARRAY_SIZE(fds); n++)
		fds[n] = dial();
	for (unsigned n = 1; n <= EXTRA; n++)
		cr_assert_eq(read(fds[n], &c, 1), 0);
	for (unsigned n = EXTRA + 1; n < ARRAY_SIZE(fds); n++)
		cr_expect_eq(recv(fds[n], &c, 1, MSG_DONTWAIT), -1);
	ask(fds[0]);
	cr_expect_lt(patience(), 50);
}

/* Listings. */

/* With blanks, it would be longer than a file may be. */
static char *long_configuration(void)
{
	static const char tenant[] = "tttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttt1";
	size_t size;
	char *text;
	FILE *f = open_memstream(&text, &size);

	fprintf(f,
		"{\"tenants\":[{\"name\":\"%1$s\",\"id\":1,\"interfaces\":{\"inside\":[\"eth1\"],\"outside\":"
		"[\"eth0\"]}}],\"mappings\":[{\"in\":\"100.100.0.0/16\",\"out\":\"203.100.112.0/"
		"20\",\"tenant\":\"%1$s\"}",
		tenant);
	for (unsigned i = 0; i < 1024; i++)
		fprintf(f,
			",{\"in\":\"10.%u.%u.0/24\",\"out\":\"198.18.%u.%u/"
			"32\",\"tenant\":\"%s\",\"comment\":\"%0256u\"}",
			i >> 8, i & 255, i >> 8, i & 255, tenant, i);
	fputs("],\"portmaps\":[", f);
	for (unsigned i = 0; i < MAX_PORTMAPS; i++)
		fprintf(f,
			"%s{\"name\":\"%063u\",\"proto\":\"tcp\",\"in\":\"100.100.%u.%u:60000\",\"out\":\"203.100.%u.%"
			"u:%u\","
			"\"tenant\":\"%s\"}",
			i ? "," : "", i, i >> 8, i & 255, 112 + (i >> 12), i >> 4 & 255, 1024 + 4032 * (i & 15),
			tenant);
	fputs("]}", f);
	fclose(f);
	cr_assert(size < CONFIG_MAX_SIZE && size + 29UL * MAX_PORTMAPS > CONFIG_MAX_SIZE, "%zu", size);
	return text;
}

Test(control, what_a_file_may_have_is_handed_out_to_be_saved)
{
	_cleanup_free_ char *text = long_configuration();
	int fd;

	configuration = text;
	active.path = "/nonexistent.json";
	start(0);
	fd = dial();
	say(fd, "{\"verb\":\"config save\"}\n");
	cr_expect(strstr(hear(fd, 1), "\"ok\":true"), "%s", hear(fd, 1));
	close(fd);
}

Test(control, a_listing_is_whole_and_is_not_held_in_memory)
{
	const unsigned subscribers = 16384;
	unsigned long lines = 0, before;
	int fd, other;

	start(subscribers);
	patience();
	before = server_kilobytes();
	fd = dial();
	say(fd, "{\"verb\":\"session list\"}\n");
	/* Nobody reads yet: what is produced has its bound. Answers to others are how to know that the agent went on.
	 */
	for (int i = 0; i < 20; i++)
		patience();
	cr_expect_lt(server_kilobytes(), before + 1024, "%lu", server_kilobytes() - before);
	shutdown(fd, SHUT_WR);
	for (;;) {
		static char text[1 << 16];
		ssize_t n = read(fd, text, sizeof(text));

		if (n <= 0)
			break;
		for (ssize_t i = 0; i < n; i++)
			lines += text[i] == '\n';
	}
	cr_expect_eq(lines, 1 + subscribers * EACH + 1, "%lu", lines);
	cr_expect_lt(server_kilobytes(), before + 1024, "%lu", server_kilobytes() - before);
	other = dial();
	say(other, "{\"verb\":\"status\"}\n");
	cr_expect(strstr(hear(other, 1), "\"sessions\":131072,"));
}

Test(control, a_listing_is_filtered)
{
	int fd;

	start(3);
	fd = dial();
	say(fd, "{\"verb\":\"session list\",\"args\":{\"addr\":\"10.0.0.1\",\"proto\":\"udp\",\"all\":false}}\n");
	cr_assert(!strncmp(hear(fd, 1), "{\"ok\":true,\"stream\":true}\n", 26));
	for (unsigned i = 0; i < EACH; i++)
		cr_expect(strstr(hear(fd, 1), "\"in_addr\":\"10.0.0.1\""));
	cr_expect_str_eq(hear(fd, 1), "{\"end\":true}\n");
	say(fd, "{\"verb\":\"session list\",\"args\":{\"proto\":\"tcp\"}}\n");
	cr_expect_str_eq(hear(fd, 2), "{\"ok\":true,\"stream\":true}\n{\"end\":true}\n");
}
