/* SPDX-License-Identifier: BSD-2-Clause */
/* The event queue on a ring buffer that a BPF program fills; needs the right to load one, else skips. */
#include <criterion/criterion.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include <detnat/events.h>

#include "base/limiter.h"
#include "base/notice.h"
#include "config_fixture.h"
#include "host/ring_reader.h"
#include "punt/event_ring.h"

/* Limiter. */

Test(limiter, once_a_period_and_no_more_than_places)
{
	struct limiter_place places[2] = { 0 };
	static const struct {
		uint64_t now_ns;
		uint64_t key;
		enum limiter_verdict verdict;
	} rows[] = {
		{ 1, 7, LIMITER_GO },  { 1, 7, LIMITER_AGAIN },	   { 5, 7, LIMITER_AGAIN },
		{ 5, 8, LIMITER_GO },  { 10, 9, LIMITER_CROWDED }, { 10, 7, LIMITER_AGAIN },
		{ 11, 9, LIMITER_GO }, { 11, 7, LIMITER_CROWDED }, { 14, 8, LIMITER_AGAIN },
		{ 15, 8, LIMITER_GO }, { 21, 0, LIMITER_GO },	   { 21, 0, LIMITER_AGAIN },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		cr_assert_eq(limiter_ask(places, 2, rows[i].key, rows[i].now_ns, 10), rows[i].verdict, "row %zu", i);
}

Test(limiter, memory_keeps_what_is_recalled_and_forgets_the_oldest_first)
{
	struct limiter_place places[LIMITER_WAYS] = { 0 };

	for (uint64_t key = 1; key <= LIMITER_WAYS; key++)
		*limiter_recall(places, LIMITER_WAYS, key) = (struct limiter_place){ key, 100 + key };
	for (uint64_t key = 1; key <= LIMITER_WAYS; key++)
		cr_assert_eq(limiter_recall(places, LIMITER_WAYS, key)->until_ns, 100 + key);
	*limiter_recall(places, LIMITER_WAYS, 9) = (struct limiter_place){ 9, 200 };
	cr_assert_eq(limiter_recall(places, LIMITER_WAYS, 9)->until_ns, 200);
	cr_assert_eq(limiter_recall(places, LIMITER_WAYS, 1)->key, 2, "key 1 went; 2 is the oldest now");
	cr_assert_eq(limiter_recall(places, LIMITER_WAYS, 4)->until_ns, 104);
}

Test(limiter, memory_of_thousands_remembers_as_many_as_the_log_can_name_in_an_hour)
{
	static struct limiter_place places[EVENTS_TOLD];
	const uint32_t first = 0x0a000001, n = 60 * EVENTS_LINES;
	unsigned forgotten = 0;

	for (uint64_t key = first; key < first + n; key++)
		*limiter_recall(places, EVENTS_TOLD, key) = (struct limiter_place){ key, 100 };
	for (uint64_t key = first; key < first + n; key++)
		forgotten += limiter_recall(places, EVENTS_TOLD, key)->key != key;
	cr_assert_leq(forgotten, n / 50, "%u", forgotten);
}

/* The queue. */

static struct datapath datapath;
static struct event_base *base;
static struct ipfix *exporter;
static struct events *events;
static struct error error;
static int producer = -1;
static int collector = -1;

static struct {
	unsigned calls;
	int family;
	uint8_t addr[16];
	uint32_t ifindex;
} resolved;

static void on_resolve(void *arg, int family, const void *addr, uint32_t ifindex, bool router)
{
	cr_assert_eq(arg, &resolved);
	resolved.calls++;
	resolved.family = family;
	memcpy(resolved.addr, addr, family == AF_INET6 ? 16 : 4);
	resolved.ifindex = ifindex;
}

#define INSN(c, d, s, o, i) ((struct bpf_insn){ .code = (c), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (i) })
#define LOAD(size, d, s, o) INSN(BPF_LDX | BPF_MEM | (size), d, s, o, 0)
#define MOVE(d, s)	    INSN(BPF_ALU64 | BPF_MOV | BPF_X, d, s, 0, 0)
#define SET(d, i)	    INSN(BPF_ALU64 | BPF_MOV | BPF_K, d, 0, 0, i)
#define ADD(d, i)	    INSN(BPF_ALU64 | BPF_ADD | BPF_K, d, 0, 0, i)

/* Loads an XDP program that puts the first 40 octets of a packet into the ring buffer; -errno. */
static int load_producer(int ring)
{
	const int size = sizeof(struct nat_event);
	struct bpf_insn program[64];
	size_t n = 0;

	program[n++] = LOAD(BPF_W, 2, 1, 0);
	program[n++] = LOAD(BPF_W, 3, 1, 4);
	program[n++] = MOVE(4, 2);
	program[n++] = ADD(4, size);
	program[n++] = INSN(BPF_JMP | BPF_JGT | BPF_X, 4, 3, 2 * size / 8 + 7, 0);
	for (int i = 0; i < size; i += 8) {
		program[n++] = LOAD(BPF_DW, 4, 2, (short)i);
		program[n++] = INSN(BPF_STX | BPF_MEM | BPF_DW, 10, 4, (short)(i - size), 0);
	}
	program[n++] = INSN(BPF_LD | BPF_DW | BPF_IMM, 1, BPF_PSEUDO_MAP_FD, 0, ring);
	program[n++] = INSN(0, 0, 0, 0, 0);
	program[n++] = MOVE(2, 10);
	program[n++] = ADD(2, -size);
	program[n++] = SET(3, size);
	program[n++] = SET(4, 0);
	program[n++] = INSN(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_ringbuf_output);
	program[n++] = SET(0, XDP_DROP);
	program[n++] = INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	return bpf_prog_load(BPF_PROG_TYPE_XDP, "producer", "GPL", program, n, NULL);
}

/* Has the program put n copies of an event into the ring buffer. */
static void produce(const struct nat_event *e, int n)
{
	uint8_t packet[64] = { 0 };
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = packet, .data_size_in = sizeof(packet), .repeat = n);

	memcpy(packet, e, sizeof(*e));
	cr_assert_eq(bpf_prog_test_run_opts(producer, &run), 0);
}

static void turn(void)
{
	event_base_loop(base, EVLOOP_NONBLOCK);
}

static uint64_t clock_ms(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static struct config_ipfix settings(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const struct timeval patience = { .tv_sec = 5 };
	socklen_t size = sizeof(at);

	collector = socket(AF_INET, SOCK_DGRAM, 0);
	cr_assert_eq(bind(collector, (struct sockaddr *)&at, sizeof(at)), 0);
	cr_assert_eq(getsockname(collector, (struct sockaddr *)&at, &size), 0);
	cr_assert_eq(setsockopt(collector, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
	return (struct config_ipfix){
		.enabled = true,
		.n_collectors = 1,
		.collectors = { { .at = { INADDR_LOOPBACK, ntohs(at.sin_port) } } },
		.path_mtu = 65535,
		.template_interval = 600,
		.events = IPFIX_QUOTA | IPFIX_SESSIONS,
	};
}

static void set_up(void)
{
	datapath.events = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "events", 0, 0, 1 << 20, NULL);
	if (datapath.events == -EPERM)
		cr_skip_test("may not make BPF maps");
	cr_assert_geq(datapath.events, 0);
	producer = load_producer(datapath.events);
	cr_assert_geq(producer, 0, "%s", strerror(-producer));

	libbpf_set_print(NULL);

	struct config_ipfix c = settings();

	base = event_base_new();
	cr_assert_eq(ipfix_new(&exporter), 0);
	cr_assert_eq(ipfix_configure(exporter, &c, &error), 0);
	cr_assert_eq(events_new(base, &datapath, NULL, exporter, on_resolve, &resolved, &events, &error), 0, "%s",
		     error.text);
}

static void tear_down(void)
{
	events_free(events);
	ipfix_free(exporter);
	event_base_free(base);
	close(collector);
	close(producer);
	close(datapath.events);
}

TestSuite(events, .init = set_up, .fini = tear_down);

static const struct nat_event resolve_event = { .type = EVENT_RESOLVE, .in_addr = 0x0a000009, .ifindex = 3 };

/* Records that the exporter sends at a flush, and those it sent before. */
static uint64_t records(void)
{
	ipfix_flush(exporter, clock_ms(CLOCK_REALTIME));
	return ipfix_figures(exporter).records_sent;
}

Test(events, turn_takes_a_bounded_number_and_the_next_one_goes_on)
{
	const struct nat_event opened = { .type = EVENT_SESSION_OPENED };

	produce(&opened, 2 * EVENTS_PER_TURN + 500);
	event_base_loop(base, EVLOOP_ONCE);
	cr_assert_eq(records(), EVENTS_PER_TURN);
	event_base_loop(base, EVLOOP_ONCE);
	cr_assert_eq(records(), 2 * EVENTS_PER_TURN);
	event_base_loop(base, EVLOOP_ONCE);
	cr_assert_eq(records(), 2 * EVENTS_PER_TURN + 500);
	turn();
	cr_assert_eq(records(), 2 * EVENTS_PER_TURN + 500);
}

static void count_sample(void *arg, void *data, size_t size)
{
	(*(unsigned *)arg)++;
}

/* The reader alone: the queue also looks into its ring each second. */
Test(events, ring_that_was_emptied_wakes_the_loop_again)
{
	static const struct ring_reader_ops ops = { .sample = count_sample };
	const struct nat_event opened = { .type = EVENT_SESSION_OPENED };
	struct ring_reader *reader;
	unsigned taken = 0;

	events_free(events);
	events = NULL;
	cr_assert_eq(ring_reader_new(base, datapath.events, &ops, &taken, &reader), 0);
	for (unsigned i = 1; i <= 3; i++) {
		produce(&opened, 1);
		cr_assert_eq(event_base_loop(base, EVLOOP_ONCE), 0, "nothing is waited for");
		cr_assert_eq(taken, i);
	}
	ring_reader_free(reader);
}

Test(events, time_of_an_event_is_converted_to_wall_clock)
{
	const struct nat_event opened = { .type = EVENT_SESSION_OPENED,
					  .time_ns = (clock_ms(CLOCK_MONOTONIC) - 5000) * 1000000 };
	uint64_t happened = clock_ms(CLOCK_REALTIME) - 5000;
	uint8_t message[256];
	uint64_t told = 0;

	produce(&opened, 1);
	turn();
	ipfix_flush(exporter, clock_ms(CLOCK_REALTIME));
	do
		cr_assert_gt(recv(collector, message, sizeof(message), 0), 28);
	while (message[16] == 0);
	for (int i = 0; i < 8; i++)
		told = told << 8 | message[20 + i];
	cr_assert_leq(told > happened ? told - happened : happened - told, 100, "%lu, not %lu", told, happened);
}

Test(events, second_sends_what_was_gathered)
{
	const struct nat_event quota = { .type = EVENT_QUOTA, .in_addr = 0x0a000002, .limit = 1000 };
	uint8_t message[256];

	produce(&quota, 1);
	for (int i = 0; i < 5 && ipfix_figures(exporter).records_sent == 0; i++)
		event_base_loop(base, EVLOOP_ONCE);
	cr_assert_eq(ipfix_figures(exporter).records_sent, 1);
	cr_assert_gt(recv(collector, message, sizeof(message), 0), 28);
}

Test(events, neighbour_is_asked_for_once_a_second_however_often_it_is_missed)
{
	produce(&resolve_event, 500);
	turn();
	cr_assert_eq(resolved.calls, 1);
	cr_assert_eq(resolved.family, AF_INET);
	cr_assert_arr_eq(resolved.addr, ((uint8_t[]){ 10, 0, 0, 9 }), 4);
	cr_assert_eq(resolved.ifindex, 3);
	cr_assert_eq(records(), 0);
}

Test(events, neighbours_of_one_address_are_asked_for_on_each_interface)
{
	struct nat_event e = { .type = EVENT_RESOLVE };

	for (unsigned i = 0; i < 16; i++) {
		e.in_addr = i % 2 ? 0xffffffff : 0;
		e.ifindex = 1 + i / 2;
		produce(&e, 2);
	}
	turn();
	cr_assert_eq(resolved.calls, 16, "%u", resolved.calls);
}

Test(events, neighbour_of_ipv6_is_asked_for_by_its_own_address)
{
	struct nat_event e = { .type = EVENT_RESOLVE_IPV6, .gateway = { 0xfe, 0x80, [15] = 5 }, .ifindex = 3 };

	produce(&e, 2);
	e.gateway[15] = 6;
	produce(&e, 1);
	turn();
	cr_assert_eq(resolved.calls, 2, "each once");
	cr_assert_eq(resolved.family, AF_INET6);
	cr_assert_arr_eq(resolved.addr, e.gateway, 16);
	cr_assert_eq(resolved.ifindex, 3);
	cr_assert_eq(records(), 0);
}

Test(events, spray_of_neighbours_asks_for_a_bounded_number)
{
	struct nat_event e = resolve_event;

	for (unsigned i = 0; i < 2 * EVENTS_RESOLVES; i++) {
		e.in_addr++;
		produce(&e, 1);
	}
	turn();
	cr_assert_eq(resolved.calls, EVENTS_RESOLVES);
}

Test(events, router_is_asked_for_in_the_midst_of_such_a_spray)
{
	struct nat_event e = resolve_event;

	for (unsigned i = 0; i < EVENTS_RESOLVES; i++) {
		e.in_addr++;
		produce(&e, 1);
	}
	e.in_addr = 0x0a000001;
	e.limit = 1;
	produce(&e, 1);
	turn();
	cr_assert_eq(resolved.calls, EVENTS_RESOLVES + 1);
	cr_assert_arr_eq(resolved.addr, ((uint8_t[]){ 10, 0, 0, 1 }), 4);
}

/* What the log said, as lines that hold a text. */
static unsigned lines_with(FILE *log, const char *text)
{
	char line[512];
	unsigned n = 0;

	rewind(log);
	while (fgets(line, sizeof(line), log))
		n += strstr(line, text) != NULL;
	return n;
}

Test(events, one_of_the_agents_own_is_logged_and_exported)
{
	const struct nat_event e = { .type = EVENT_QUOTA, .in_addr = 0x0a000002, .limit = 64 };
	FILE *log = tmpfile();
	int console = dup(STDERR_FILENO);

	dup2(fileno(log), STDERR_FILENO);
	events_report(events, &e);
	events_report(events, &e);
	fflush(stderr);
	dup2(console, STDERR_FILENO);
	close(console);

	cr_assert_eq(lines_with(log, "subscriber 10.0.0.2 is at its quota of 64 sessions"), 1);
	fclose(log);
	cr_assert_eq(records(), 2);
}

Test(events, log_is_bounded_by_subscriber_and_overall)
{
	struct nat_event e = { .type = EVENT_QUOTA, .in_addr = 0x0a000001, .limit = 1000 };
	FILE *log = tmpfile();
	int console = dup(STDERR_FILENO);

	dup2(fileno(log), STDERR_FILENO);
	produce(&e, 100);
	e.type = EVENT_PORTS_EXHAUSTED;
	produce(&e, 100);
	e.type = EVENT_EXTENTS_FULL;
	for (unsigned i = 0; i < 3 * EVENTS_LINES; i++) {
		e.in_addr++;
		produce(&e, 1);
	}
	turn();
	for (int i = 0; i < 5 && !lines_with(log, "of subscribers not named here"); i++)
		event_base_loop(base, EVLOOP_ONCE);
	fflush(stderr);
	dup2(console, STDERR_FILENO);
	close(console);

	cr_assert_eq(lines_with(log, "subscriber 10.0.0.1 is at its quota of 1000 sessions"), 1);
	cr_assert_eq(lines_with(log, "subscriber 10.0.0.1 has no free port left"), 1);
	cr_assert_eq(lines_with(log, "subscriber 10.0.0.1 "), 2);
	cr_assert_eq(lines_with(log, "subscriber 10.0.0.2 was refused a session"), 1);
	cr_assert_eq(lines_with(log, "subscriber "), EVENTS_LINES);
	cr_assert_eq(lines_with(log, ": 42 further refusals, of subscribers not named here"), 1);
	fclose(log);
	cr_assert_eq(records(), 100, "each is in IPFIX all the same");
}

/* Keeps the parameter `mapping` of a refusal; "" without one. */
static void note_mapping(void *arg, const struct notice *n)
{
	char *mapping = arg;

	mapping[0] = '\0';
	for (unsigned i = 0; i < n->n_params; i++)
		if (!strcmp(n->param[i].name, "mapping"))
			snprintf(mapping, LABEL_TEXT, "%s", n->param[i].text);
}

Test(events, refusal_names_the_innermost_mapping_of_the_subscriber)
{
	static const struct {
		uint32_t in_addr;
		const char *mapping;
	} rows[] = {
		{ 0x0a000002, "city" },
		{ 0x0a000102, "shop" },
		{ 0x0a000182, "till" },
		{ 0x0a010002, "" },
	};
	_cleanup_config_ struct config *c =
		config_of("{\"interfaces\": {\"inside\": [\"in0\"], \"outside\": [\"out0\"]}, \"mappings\": ["
			  "{\"name\": \"city\", \"in\": \"10.0.0.0/18\", \"out\": \"1.1.1.0/30\"},"
			  "{\"name\": \"till\", \"in\": \"10.0.1.128/25\", \"out\": \"1.1.1.9/32\"},"
			  "{\"name\": \"shop\", \"in\": \"10.0.1.0/24\", \"out\": \"1.1.1.8/32\"}]}");
	const struct active_config active = { .config = c };
	char mapping[LABEL_TEXT] = "";
	struct notice_listener listener = { .kinds = NOTICE_REFUSALS, .heard = note_mapping, .arg = mapping };

	events_free(events);
	cr_assert_eq(events_new(base, &datapath, &active, exporter, on_resolve, &resolved, &events, &error), 0, "%s",
		     error.text);
	notice_listen(&listener);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		snprintf(mapping, sizeof(mapping), "unheard");
		events_report(events, &(struct nat_event){ .type = EVENT_QUOTA, .in_addr = rows[i].in_addr });
		cr_expect_str_eq(mapping, rows[i].mapping, "%zu: %s", i, mapping);
	}
	notice_unlisten(&listener);
}

Test(events, junk_in_the_ring_is_passed_over)
{
	const struct nat_event junk = { .type = 200, .in_addr = 1 };
	const struct nat_event opened = { .type = EVENT_SESSION_OPENED };

	produce(&junk, 10);
	produce(&opened, 1);
	turn();
	cr_assert_eq(records(), 1);
	cr_assert_eq(resolved.calls, 0);
}

Test(events, freed_queue_takes_what_waits)
{
	const struct nat_event opened = { .type = EVENT_SESSION_OPENED };

	produce(&opened, 3);
	events_free(events);
	events = NULL;
	cr_assert_eq(records(), 3);
}

Test(events, session_that_the_agent_closed_is_reported)
{
	const struct session s = { .in_addr = 0x0a000003, .out_addr = 0x01010100, .ext_addr = 0xc6336407, .proto = 6 };

	cr_assert_eq(events_session_closed(&s, exporter), 0);
	cr_assert_eq(records(), 1);
}

Test(events, map_that_is_no_ring_buffer_is_refused)
{
	const struct datapath wrong = { .events = bpf_map_create(BPF_MAP_TYPE_ARRAY, "wrong", 4, 4, 1, NULL) };
	struct events *none = NULL;

	cr_assert_eq(events_new(base, &wrong, NULL, exporter, on_resolve, NULL, &none, &error), -EINVAL);
	cr_assert_null(none);
	cr_assert(strstr(error.text, "cannot read the datapath's events"), "%s", error.text);
	close(wrong.events);
}
