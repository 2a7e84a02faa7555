/* SPDX-License-Identifier: BSD-2-Clause */
/* Sessions that threads open, change and give up as the datapath does, while the agent sweeps, walks and closes. */
#include <criterion/criterion.h>

#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>

#include "rounds.h"
#include "tables_fixture.h"

#define NOW 100000U

/* Under ThreadSanitizer, which sees a race without its being lost, fewer do. */
#ifdef __SANITIZE_THREAD__
#define ROUNDS 200U
#else
#define ROUNDS 2000U
#endif

static struct datapath d;
static struct mappings *m;
static int number;

static void setup(void)
{
	struct error err = { 0 };
	struct mapping_spec spec = tables_spec("10.0.0.0/24", "1.1.1.0/28");

	tables_make(&d);
	cr_assert_eq(mappings_open(&d, &m, &err), 0, "%s", err.text);
	number = tables_add(m, &spec);
}

TestSuite(sessions_under_traffic, .init = setup, .timeout = 300);

static void sweep(session_visit closed, void *arg)
{
	struct session_sweep *s;

	cr_assert_eq(session_sweep_new(m, &s), 0);
	while (session_sweep_step(s, 1000, closed, arg))
		;
	session_sweep_free(s);
}

static void walk(session_visit visit, void *arg)
{
	struct session_walk *w;

	cr_assert_eq(session_walk_new(m, &w), 0);
	while (session_walk_step(w, 1000, visit, arg))
		;
	session_walk_free(w);
}

static atomic_bool stop;
static _Atomic(uint32_t) clock_ticks;

enum { HOT_SUBSCRIBERS = 2, HOT_SLOTS = 4 };

static bool change(__u64 *word, __u64 from, __u64 to)
{
	return __atomic_compare_exchange_n(word, &from, to, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

/* Opens in a slot that is free or expired, as the datapath does under the lock. Some sessions are expired from the
 * start. */
static void play_open(struct subscriber *s, struct slot *slot, uint64_t from, uint16_t port, uint32_t seen)
{
	uint32_t unlocked = 0;
	bool counts = !word_is_live(from) || word_state(from) == SESSION_TIME_WAIT;

	if (!__atomic_compare_exchange_n(&s->lock, &unlocked, 1, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		return;
	if (counts)
		__atomic_fetch_add(&s->sessions, 1, __ATOMIC_SEQ_CST);
	if (change(&slot->truth, from, (uint64_t)SESSION_OPENING << 32)) {
		/* The outside port tells the key, so that a reader can tell a mix of two. */
		__atomic_store_n(&slot->key, slot_key(port * 65537U, port, port), __ATOMIC_SEQ_CST);
		__atomic_store_n(&slot->truth, state_word(port, IPPROTO_TCP, SESSION_ESTABLISHED, seen),
				 __ATOMIC_SEQ_CST);
	} else if (counts) {
		__atomic_fetch_sub(&s->sessions, 1, __ATOMIC_SEQ_CST);
	}
	__atomic_store_n(&s->lock, 0, __ATOMIC_SEQ_CST);
}

/* Opens, refreshes, moves to time-wait and opens again, with the datapath's protocol and counts. */
static void *play_datapath(void *arg)
{
	uint64_t random = (uintptr_t)arg * 0x9e3779b97f4a7c15ULL;

	while (!stop) {
		random = random * 6364136223846793005ULL + 1442695040888963407ULL;

		uint32_t n = random >> 33 & (HOT_SUBSCRIBERS - 1), i = random >> 40 & (HOT_SLOTS - 1);
		uint32_t seen = clock_ticks - (random >> 44 & 3);
		struct subscriber *s = mappings_subscriber(m, number, n);
		struct slot *slot = &mappings_buckets(m, number, n)->slot[i];
		uint64_t truth = __atomic_load_n(&slot->truth, __ATOMIC_ACQUIRE);

		if (!truth || (word_is_live(truth) && random >> 46 & 1)) {
			if (!truth || word_state(truth) == SESSION_TIME_WAIT ||
			    (int32_t)(clock_ticks - word_seen(truth)) > 1)
				play_open(s, slot, truth, (uint16_t)(random >> 48), seen);
		} else if (word_state(truth) == SESSION_ESTABLISHED) {
			uint8_t state = random & 0x800 ? SESSION_ESTABLISHED : SESSION_TIME_WAIT;

			if (change(&slot->truth, truth, word_with(truth, state, seen)) && state == SESSION_TIME_WAIT)
				__atomic_fetch_sub(&s->sessions, 1, __ATOMIC_SEQ_CST);
		}
	}
	return NULL;
}

struct seen {
	uint64_t visited;
	uint64_t freed;
};

static int check_session(const struct session *s, void *arg)
{
	struct seen *seen = arg;

	cr_assert(s->in_port == s->out_port && s->ext_port == s->out_port && s->ext_addr == s->out_port * 65537U,
		  "key of one session, truth of another");
	seen->visited++;
	return 0;
}

static int check_freed(const struct session *s, void *arg)
{
	struct seen *seen = arg;

	check_session(s, arg);
	seen->freed++;
	cr_assert_eq(s->counts, false);
	return 0;
}

Test(sessions_under_traffic, counts_are_exact_after_sweeping_walking_and_closing)
{
	struct mapping_spec spec = tables_spec("10.0.0.0/24", "1.1.1.0/28");
	struct seen seen = { 0 };
	pthread_t threads[2];
	uint32_t ticks = NOW;

	/* Everything expires in a tick or two, so that sweep and refresh meet all the time. */
	for (unsigned i = 0; i < N_TIMEOUTS; i++)
		spec.timeout_ticks[i] = 1;
	mappings_update(m, &spec);
	clock_ticks = ticks;
	for (uintptr_t i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, play_datapath, (void *)(i + 1));
	for (unsigned round = 0; round < rounds_of(ROUNDS) || seen.freed < rounds_of(ROUNDS); round++) {
		if (round % 64 == 0) {
			clock_ticks = ++ticks;
			tables_set_ticks(&d, ticks);
		}
		sweep(check_freed, &seen);
		if (round % 2)
			continue;
		walk(check_session, &seen);
		for (uint16_t port = (uint16_t)round; port < (uint16_t)round + 20; port++)
			sessions_close_in(m, 0, (struct endpoint){ tables_addr("10.0.0.1"), port },
					  (struct endpoint){ port * 65537U, port }, 0);
	}
	stop = true;
	for (unsigned i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	for (uint32_t n = 0; n < HOT_SUBSCRIBERS; n++) {
		const struct slot *slots = mappings_buckets(m, number, n)->slot;
		uint32_t live = 0;

		for (unsigned i = 0; i < HOT_SLOTS; i++)
			live += word_is_live(slots[i].truth) && word_state(slots[i].truth) != SESSION_TIME_WAIT;
		cr_assert_eq(mappings_subscriber(m, number, n)->sessions, live, "subscriber %u", n);
	}
	cr_assert_gt(seen.visited, seen.freed);
	tables_set_ticks(&d, ticks + 10);
	for (unsigned i = 0; i < 64; i++)
		sweep(NULL, NULL);
	seen.visited = 0;
	walk(check_session, &seen);
	cr_assert_eq(seen.visited, 0);
}
