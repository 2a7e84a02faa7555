/* SPDX-License-Identifier: BSD-2-Clause */
/* Cores that write and read one entry of the cache of next hops at once, with answers from before a change and after.
 */
#include <criterion/criterion.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <detnat/cached_hop.h>

/* Under ThreadSanitizer, which sees a race without its being lost, fewer do. */
#ifdef __SANITIZE_THREAD__
#define ROUNDS 20000U
#else
#define ROUNDS 1000000U
#endif

enum { BEFORE = 7, AFTER = 8, NOW = 1000 };

static struct cached_hop entry;
static atomic_bool ended;

static struct cached_question question(uint32_t epoch)
{
	return (struct cached_question){ .dst = 0x0a000002, .in_ifindex = 3, .epoch = epoch };
}

/* Of this epoch, which shows in each of its words. */
static struct fib_hop hop_of(uint32_t epoch)
{
	struct fib_hop hop = { .ifindex = epoch, .mtu = (uint16_t)epoch, .flags = (uint8_t)epoch };

	memset(hop.dmac, (int)epoch, sizeof(hop.dmac));
	memset(hop.smac, (int)epoch, sizeof(hop.smac));
	return hop;
}

static void keep(uint32_t epoch)
{
	const struct cached_question q = question(epoch);
	const struct fib_hop hop = hop_of(epoch);

	cached_hop_write(&entry, &q, NOW, &hop);
}

static bool reads(uint32_t epoch, uint32_t now, struct fib_hop *ret)
{
	const struct cached_question q = question(epoch);

	*ret = (struct fib_hop){ 0 };
	return cached_hop_read(&entry, &q, now, ret);
}

static bool is_of(const struct fib_hop *hop, uint32_t epoch)
{
	const struct fib_hop wanted = hop_of(epoch);

	return !memcmp(hop, &wanted, sizeof(wanted));
}

static void *keep_on(void *arg)
{
	while (!ended)
		keep(arg ? AFTER : BEFORE);
	return arg;
}

Test(cached_hop, is_read_whole_and_of_the_epoch_asked_for_while_others_write_it, .timeout = 300)
{
	unsigned wrong = 0, read[2] = { 0 };
	pthread_t writers[2];

	for (uintptr_t i = 0; i < 2; i++)
		cr_assert_eq(pthread_create(&writers[i], NULL, keep_on, (void *)i), 0);
	for (unsigned round = 0; round < ROUNDS || !read[0] || !read[1]; round++) {
		uint32_t epoch = round & 1 ? AFTER : BEFORE;
		struct fib_hop hop;

		if (!reads(epoch, NOW, &hop))
			continue;
		read[round & 1]++;
		wrong += !is_of(&hop, epoch);
	}
	ended = true;
	for (int i = 0; i < 2; i++)
		pthread_join(writers[i], NULL);
	cr_expect_eq(wrong, 0, "%u of %u and %u", wrong, read[0], read[1]);
	cr_expect_eq(entry.version & 1, 0, "both have ended");
}

Test(cached_hop, answers_its_own_question_until_its_last_tick)
{
	struct cached_question other = question(AFTER);
	struct fib_hop hop;

	cr_expect(!reads(0, NOW, &hop), "it is empty");
	keep(AFTER);
	cr_expect(reads(AFTER, NOW, &hop) && is_of(&hop, AFTER));
	cr_expect(!reads(AFTER, NOW + 1, &hop), "a tick later");
	cr_expect(!reads(BEFORE, NOW, &hop), "another epoch");
	other.in_ifindex++;
	cr_expect(!cached_hop_read(&entry, &other, NOW, &hop), "another interface");
	other = question(AFTER);
	other.src++;
	cr_expect(!cached_hop_read(&entry, &other, NOW, &hop), "another source");
	entry.version++;
	cr_expect(!reads(AFTER, NOW, &hop), "a core writes");
	keep(BEFORE);
	entry.version++;
	cr_expect(reads(AFTER, NOW, &hop), "which no other does meanwhile");
}
