/* SPDX-License-Identifier: BSD-2-Clause */
#include "punt/parked_fragments.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <netinet/ip.h>
#include <string.h>
#include <sys/queue.h>

#include "base/hash.h"
#include "base/limiter.h"
#include "base/log.h"
#include "host/ring_reader.h"
#include "host/timer.h"

/* Time between turns while fragments are parked. */
#define TURN_MS 2
/* Limits of a turn, so that it takes about a millisecond: fragments taken, examined, looked up in the map, and sent. */
#define TAKEN_PER_TURN	128U
#define LOOKED_PER_TURN 4096U
#define ASKED_PER_TURN	512U
#define SENT_PER_TURN	64U
/* A fragment parked for longer than YOUNG_NS is looked up every LATER_NS only. */
#define YOUNG_NS (50 * NS_PER_MS)
#define LATER_NS (50 * NS_PER_MS)

/* The datapath parks nothing if the agent has not reported for this long. */
#define HEARD_OF_S 3U

/* Senders reported per second, each at most once. */
#define REPORTS 256U

struct owner {
	struct hash_entry entry;
	uint32_t addr;
	uint32_t tenant; /* of an inside address; else 0 */
	uint32_t n;	 /* fragments */
};

struct parked {
	TAILQ_ENTRY(parked) by_age;
	uint64_t since_ns;
	uint64_t next_ns; /* when the map is next checked for the first fragment */
	struct owner *owner;
	size_t size;
	struct early_fragment e; /* allocated only up to the end of the frame */
};

TAILQ_HEAD(parked_list, parked);

struct fragments {
	struct datapath *d;
	struct events *events;
	struct config_fragments limits;
	int pass;
	struct ring_reader *ring;
	struct event *second;
	struct parked_list waiting; /* oldest first */
	struct parked *next;	    /* where the next turn continues; NULL: at the oldest */
	struct hash_table owners;   /* those with parked fragments */
	uint32_t n;
	uint32_t n_outside; /* of n, from outside */
	size_t bytes;
	unsigned asked;	       /* in this turn */
	uint64_t now_ns;       /* CLOCK_MONOTONIC, of this turn */
	uint32_t n_given_up;   /* in this turn: the first fragment did not arrive */
	uint32_t n_over_limit; /* in this turn */
	struct limiter_place reports[REPORTS];
};

/* The address whose limit applies: the subscriber, or the outside address that the fragment was sent to. */
static struct owner owner_of(const struct fragment_key *key)
{
	return (struct owner){ .addr = key->side == FRAGMENT_FROM_INSIDE ? key->src : key->dst, .tenant = key->tenant };
}

static uint64_t hash(const void *entry)
{
	const struct owner *o = entry;

	return HASH_OF(o->addr, (uint64_t)o->tenant);
}

static bool same(const void *a, const void *b)
{
	const struct owner *x = a, *y = b;

	return x->addr == y->addr && x->tenant == y->tenant;
}

static const struct hash_type owners = { sizeof(struct owner), 0, hash, same };

static void owner_leave(struct fragments *f, struct owner *o)
{
	if (!--o->n)
		hash_del(&owners, &f->owners, o);
}

static void leave(struct fragments *f, struct parked *p)
{
	TAILQ_REMOVE(&f->waiting, p, by_age);
	owner_leave(f, p->owner);
	f->n--;
	f->n_outside -= p->e.key.side == FRAGMENT_FROM_OUTSIDE;
	f->bytes -= p->size;
	free(p);
}

/* Hosts outside can send any number of fragments, so they get at most half of the room. */
static bool has_room(const struct fragments *f, const struct early_fragment *e, size_t size)
{
	return f->n < f->limits.max_parked && f->bytes + size <= f->limits.max_bytes &&
	       (e->key.side == FRAGMENT_FROM_INSIDE || f->n_outside < f->limits.max_parked / 2);
}

/* A subscriber has reached the limit (RFC 8158, fragments pending reassembly). */
static void report(struct fragments *f, const struct early_fragment *e)
{
	const struct nat_event event = {
		.type = EVENT_FRAGMENTS,
		.time_ns = f->now_ns,
		.in_addr = e->key.src,
		.ext_addr = e->key.dst,
		.proto = e->key.proto,
		.tenant = e->key.tenant,
		.limit = f->limits.per_subscriber,
	};

	if (e->key.side == FRAGMENT_FROM_INSIDE &&
	    limiter_ask(f->reports, REPORTS, e->key.src, f->now_ns, NS_PER_S) == LIMITER_GO)
		events_report(f->events, &event);
}

static void park(struct fragments *f, const struct early_fragment *e, size_t size)
{
	const struct owner like = owner_of(&e->key);
	struct owner *owner = hash_find(&owners, &f->owners, &like);
	struct parked *p;

	/* It lay in the ring buffer while no agent was running. */
	if (f->now_ns > e->time_ns && f->now_ns - e->time_ns > f->limits.timeout * NS_PER_S) {
		f->n_given_up++;
		return;
	}
	if (owner && owner->n >= f->limits.per_subscriber) {
		f->n_over_limit++;
		report(f, e);
		return;
	}
	size += offsetof(struct parked, e);
	p = has_room(f, e, size) ? malloc(size) : NULL;
	if (p && !owner)
		owner = hash_add(&owners, &f->owners, &like);
	if (!p || !owner) {
		free(p);
		f->n_over_limit++;
		return;
	}
	p->since_ns = e->time_ns;
	p->next_ns = 0;
	p->owner = owner;
	p->size = size;
	memcpy(&p->e, e, size - offsetof(struct parked, e));
	TAILQ_INSERT_TAIL(&f->waiting, p, by_age);
	owner->n++;
	f->n++;
	f->n_outside += e->key.side == FRAGMENT_FROM_OUTSIDE;
	f->bytes += size;
}

static void on_frame(void *arg, void *data, size_t size)
{
	const struct early_fragment *e = data;

	if (size >= offsetof(struct early_fragment, frame) &&
	    size - offsetof(struct early_fragment, frame) >= e->length && e->length <= FRAGMENT_FRAME_MAX)
		park(arg, e, offsetof(struct early_fragment, frame) + e->length);
}

/* Whether the datapath has seen the first fragment. */
static bool is_due(struct fragments *f, struct parked *p)
{
	struct fragment value;

	if (f->now_ns < p->next_ns)
		return false;
	f->asked++;
	p->next_ns = f->now_ns < p->since_ns + YOUNG_NS ? 0 : f->now_ns + LATER_NS;
	return !bpf_map_lookup_elem(f->d->fragments, &p->e.key, &value) && value.word[0] == p->e.key.word[0];
}

/* Examines a bounded number of parked fragments; the next turn continues where this one stopped. */
static void send_due(struct fragments *f)
{
	uint32_t left = f->n < LOOKED_PER_TURN ? f->n : LOOKED_PER_TURN;

	f->asked = 0;
	for (unsigned sent = 0; left && f->asked < ASKED_PER_TURN && sent < SENT_PER_TURN; left--) {
		struct parked *p = f->next ? f->next : TAILQ_FIRST(&f->waiting);

		f->next = TAILQ_NEXT(p, by_age);
		if (is_due(f, p)) {
			sent++;
			if (fragments_inject(f->d, f->pass, &p->e))
				f->n_given_up++;
		} else if (f->now_ns < p->since_ns + f->limits.timeout * NS_PER_S) {
			continue;
		} else {
			f->n_given_up++;
		}
		leave(f, p);
	}
}

static void count_loss(const struct fragments *f, enum reason reason, uint32_t n)
{
	int r = n ? datapath_count(f->d, reason, n) : 0;

	if (r)
		log_warning("%u dropped fragments are counted nowhere: %s", n, strerror(-r));
}

static void count_losses(struct fragments *f)
{
	count_loss(f, REASON_drop_fragment, f->n_given_up);
	count_loss(f, REASON_drop_fragment_limit, f->n_over_limit);
	f->n_given_up = f->n_over_limit = 0;
}

static void begin_turn(void *arg)
{
	struct fragments *f = arg;

	f->now_ns = clock_ns(CLOCK_MONOTONIC);
}

static uint64_t end_turn(void *arg, unsigned taken)
{
	struct fragments *f = arg;

	send_due(f);
	count_losses(f);
	return f->n ? TURN_MS : RING_READER_IDLE;
}

static const struct ring_reader_ops fragments_ring = {
	.budget = TAKEN_PER_TURN,
	.pause_ms = TURN_MS,
	.turn_begins = begin_turn,
	.sample = on_frame,
	.turn_ended = end_turn,
};

/* Tells the datapath that an agent is running and parks fragments. */
static void on_second(evutil_socket_t fd, short what, void *arg)
{
	const struct fragments *f = arg;
	uint32_t until = datapath_ticks(f->d) + ticks_of_seconds(HEARD_OF_S, f->d->hz);

	__atomic_store_n(&f->d->global->fragments_until, f->limits.max_parked ? (until ? until : 1) : 0,
			 __ATOMIC_RELAXED);
}

static int fragments_open(struct fragments *f, struct event_base *base)
{
	int r = fragments_inject_open(&f->pass);

	if (r)
		return r;
	f->second = timer_each_second(base, on_second, f);
	if (!f->second)
		return -ENOMEM;
	return ring_reader_new(base, f->d->early_fragments, &fragments_ring, f, &f->ring);
}

int fragments_new(struct event_base *base, struct datapath *d, struct events *v, const struct config_fragments *limits,
		  struct fragments **ret, struct error *err)
{
	struct fragments *f = calloc(1, sizeof(*f));
	int r;

	if (!f)
		return error_set(err, -ENOMEM, "out of memory");
	f->d = d;
	f->events = v;
	f->pass = -1;
	TAILQ_INIT(&f->waiting);
	f->limits = *limits;
	r = fragments_open(f, base);
	if (r) {
		fragments_free(f);
		return error_set(err, r, "cannot take fragments: %s", strerror(-r));
	}
	on_second(-1, 0, f);
	ring_reader_turn(f->ring);
	*ret = f;
	return 0;
}

void fragments_configure(struct fragments *f, const struct config_fragments *limits)
{
	if (!f)
		return;
	f->limits = *limits;
	on_second(-1, 0, f);
}

void fragments_free(struct fragments *f)
{
	if (!f)
		return;

	struct parked *p;

	if (f->d->global)
		__atomic_store_n(&f->d->global->fragments_until, 0, __ATOMIC_RELAXED);
	if (f->second)
		event_free(f->second);
	ring_reader_free(f->ring);
	while ((p = TAILQ_FIRST(&f->waiting))) {
		f->n_given_up++;
		leave(f, p);
	}
	count_losses(f);
	hash_free(&f->owners);
	close_fd(&f->pass);
	free(f);
}

/*
 * Frames are injected by BPF_PROG_TEST_RUN with live frames: through the attached program where XDP is native, else
 * through a program that returns XDP_PASS, after which the kernel runs the attached program itself (generic XDP).
 */

int fragments_inject_open(int *ret_program)
{
	LIBBPF_OPTS(bpf_prog_load_opts, opts);
	const struct bpf_insn pass[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_PASS },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	int fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "detnat_pass", "Dual BSD/GPL", pass, ARRAY_SIZE(pass), &opts);

	if (fd < 0)
		return fd;
	*ret_program = fd;
	return 0;
}

static int attached_program(const struct datapath *d, const struct device *in)
{
	switch (in->roles) {
	case DEVICE_INSIDE:
		return d->xdp_inside;
	case DEVICE_OUTSIDE:
		return d->xdp_outside;
	default:
		return d->xdp_both;
	}
}

/* At egress the frame is addressed to the next hop, and the kernel has lowered its TTL. */
static void make_ingress(uint8_t *frame, const struct device *in)
{
	struct iphdr ip;
	uint32_t check;

	memcpy(frame, in->mac, ETH_ALEN);
	memcpy(&ip, frame + ETH_HLEN, sizeof(ip));
	ip.ttl++;
	/* The TTL's 16-bit word grew by 0x0100 (RFC 1624). */
	check = (uint32_t)(uint16_t)~ntohs(ip.check) + 0x0100;
	check = (check & 0xffff) + (check >> 16);
	ip.check = htons((uint16_t)~check);
	memcpy(frame + ETH_HLEN, &ip, sizeof(ip));
}

int fragments_inject(const struct datapath *d, int program, struct early_fragment *e)
{
	const struct device *in = e->ifindex < MAX_IFINDEX ? &d->device[e->ifindex] : NULL;
	struct xdp_md ctx = { .data_end = e->length, .ingress_ifindex = e->ifindex };
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = e->frame, .data_size_in = e->length, .ctx_in = &ctx,
		    .ctx_size_in = sizeof(ctx), .repeat = 1, .flags = BPF_F_TEST_XDP_LIVE_FRAMES);

	if (!in || !in->roles || e->length < ETH_HLEN + sizeof(struct iphdr))
		return -ENODEV;
	if (e->hook == FRAGMENT_AT_TC)
		make_ingress(e->frame, in);
	/* If XDP is attached to the interface below, frames passed up here would be seen by no program. */
	if (in->flags & DEVICE_NATIVE || in->lower)
		program = attached_program(d, in);
	return bpf_prog_test_run_opts(program, &run);
}
