// SPDX-License-Identifier: BSD-2-Clause
/* Interfaces, programs and generators, in namespaces that end with the process. */
#include "bench.h"

#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "links/interfaces.h"
#include "generator.skel.h"

#define BEYOND_SESSIONS 65536 /* as by default */

void die(const char *what, int r)
{
	fprintf(stderr, "bench: %s: %s\n", what, strerror(r < 0 ? -r : r));
	exit(1);
}

static void command(const char *text)
{
	if (system(text))
		die(text, EIO);
}

/* An inside and an outside interface whose peers resolve every address. */
static void make_namespace(struct bench *b)
{
	if (unshare(CLONE_NEWNET | CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("sysfs", "/sys", "sysfs", 0, NULL) || mount("bpf", "/sys/fs/bpf", "bpf", 0, NULL))
		die("making a namespace", errno);
	command("ip link set lo up;"
		"ip link add bin type veth peer name pin; ip link add bout type veth peer name pout;"
		"ip link set bin address 02:02:02:02:02:02; ip link set bout address 02:02:02:02:02:02;"
		"for i in bin pin bout pout; do ip link set $i up; ethtool -K $i gro on; done;"
		"ip addr add 192.0.2.1/24 dev bin; ip addr add 198.51.100.1/24 dev bout;"
		"ip neigh add 192.0.2.2 lladdr 02:00:00:00:00:01 dev bin;"
		"ip neigh add 198.51.100.7 lladdr 02:00:00:00:00:02 dev bout;"
		"ip route add 172.16.0.0/12 via 192.0.2.2; ip route add 10.0.0.0/8 via 192.0.2.2;"
		"ip route add default via 198.51.100.7;"
		"for i in $(seq 64); do ip neigh add 198.51.100.$((64 + i)) lladdr 02:00:00:00:01:$(printf %02x $i) "
		"dev bout; done;"
		"echo 1 > /proc/sys/net/ipv4/ip_forward");
	b->inside_ifindex = if_nametoindex("bin");
	b->outside_ifindex = if_nametoindex("bout");
}

static void describe_device(struct bench *b, uint32_t ifindex, uint8_t roles)
{
	const struct device record = {
		.mac = { 2, 2, 2, 2, 2, 2 },
		.roles = roles,
		.flags = DEVICE_REDIRECT | DEVICE_NATIVE,
		.addr = roles == DEVICE_INSIDE ? 0xc0000201 : 0xc6336401,
		.mtu = 1500,
	};

	device_store(&b->d, ifindex, &record);
}

static int entry_program(struct bench *b, uint32_t entry)
{
	uint32_t id;
	int fd;

	if (bpf_map_lookup_elem(b->d.entries, &entry, &id))
		die("entries", errno);
	fd = bpf_prog_get_fd_by_id(id);
	if (fd < 0)
		die("a main program", errno);
	return fd;
}

static void set_target(const struct core *c, uint32_t target, int fd)
{
	const struct bpf_map *map = target >= TARGET_FIRST_TC ? c->skel->maps.tc_targets : c->skel->maps.xdp_targets;

	if (bpf_map_update_elem(bpf_map__fd(map), &target, &fd, 0))
		die("targets", errno);
}

static void make_generator(struct bench *b, struct core *c)
{
	c->skel = generator__open();
	if (c->skel)
		object_set_types(c->skel->obj);
	if (!c->skel || bpf_map__set_max_entries(c->skel->maps.flows, b->list_max) || generator__load(c->skel))
		die("loading the generator", errno);
	c->flows = mmap(NULL, b->list_max * sizeof(*c->flows), PROT_READ | PROT_WRITE, MAP_SHARED,
			bpf_map__fd(c->skel->maps.flows), 0);
	c->position = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(c->skel->maps.positions), 0);
	if (c->flows == MAP_FAILED || c->position == MAP_FAILED)
		die("mmap", errno);
	set_target(c, TARGET_FLOOR, bpf_program__fd(c->skel->progs.floor_program));
	set_target(c, TARGET_EMPTY, bpf_program__fd(c->skel->progs.empty));
	set_target(c, TARGET_MOVED, bpf_program__fd(c->skel->progs.moved));
	set_target(c, TARGET_TC_FLOOR, bpf_program__fd(c->skel->progs.floor_tc));
	set_target(c, TARGET_TC_EMPTY, bpf_program__fd(c->skel->progs.empty_tc));
}

static struct config config_of(uint32_t extent_buckets)
{
	return (struct config){ .pin_path = (char *)"/sys/fs/bpf/detnat",
				.overflow_sessions = BEYOND_SESSIONS,
				.extent_buckets = extent_buckets ? extent_buckets : EXTENTS_BY_SIZE };
}

uint32_t world_extent_buckets(const struct row *row)
{
	const struct config config = config_of(row->extent_buckets);

	return extents_room(&config);
}

void world_programs(struct bench *b, enum forwarding forwarding, const struct row *row)
{
	const enum feature feature = row->feature;
	const struct settings settings = {
		.hz = b->d.hz,
		.redirect = forwarding == FORWARDING_REDIRECT,
		.hairpin = 1,
		.quota_icmp_code = 1,
		.portmaps = feature == FEATURE_PORTMAPPED || feature == FEATURE_PORTMAPS ||
			    feature == FEATURE_PORTMAPS_ELSEWHERE,
		.open_mappings = feature == FEATURE_OPEN,
		.bindings = feature == FEATURE_ONE_PORT,
		.policy_routing = feature == FEATURE_RULES ? POLICY_SOURCES
				  : feature == FEATURE_VRF ? POLICY_INTERFACES
							   : POLICY_NONE,
		.vrf = feature == FEATURE_VRF,
		.tenants = feature == FEATURE_TENANTS || feature == FEATURE_VRF,
		.growth = feature == FEATURE_GROWTH || row_is_granted(row),
		.limits = feature == FEATURE_LIMITS,
		.six = row_has_six(row),
		.extent_buckets = world_extent_buckets(row),
	};
	const bool vouched = feature != FEATURE_NO_AGENT && feature != FEATURE_RULES && feature != FEATURE_VRF;
	const uint32_t until = datapath_ticks(&b->d) + (vouched ? 0x40000000U : -1U);
	struct error err;

	if ((row_has_six(row) && datapath_six_make(&b->d, &err)) || datapath_load(&b->d, &settings, &err))
		die(err.text, EINVAL);
	datapath_settle(&b->d);
	b->row = row;
	/* As an agent does where no reverse-path filter is on. */
	b->d.global->fib_until = b->d.global->sources_until = until;
	close_fd(&b->inside_fd);
	close_fd(&b->outside_fd);
	b->inside_fd = entry_program(b, ENTRY_INSIDE);
	b->outside_fd = entry_program(b, ENTRY_OUTSIDE);
	for (unsigned i = 0; i < MAX_CORES && b->core[i].skel; i++) {
		set_target(&b->core[i], TARGET_INSIDE, b->inside_fd);
		set_target(&b->core[i], TARGET_OUTSIDE, b->outside_fd);
		set_target(&b->core[i], TARGET_TC_OUTSIDE, b->d.tc_outside);
	}
}

/* The highest cores that the process may run on: interrupts are most often the lowest's. */
static void choose_cores(struct bench *b)
{
	cpu_set_t set;
	unsigned n = 0;

	if (sched_getaffinity(0, sizeof(set), &set))
		die("cores", errno);
	for (int cpu = CPU_SETSIZE - 1; cpu >= 0 && n < MAX_CORES; cpu--)
		if (CPU_ISSET(cpu, &set))
			b->core[n++].cpu = cpu;
	while (n < MAX_CORES)
		b->core[n++].cpu = -1;
}

void world_make(struct bench *b, const struct room *room)
{
	const struct config config = config_of(room->extent_buckets);
	struct error err;

	*b = (struct bench){ .inside_fd = -1, .outside_fd = -1, .list_max = room->list };
	b->seed = monotonic_us() * 0x9e3779b97f4a7c15ULL | 1;
	choose_cores(b);
	make_namespace(b);
	if (datapath_open(&config, false, &b->d, &err))
		die(err.text, EINVAL);
	describe_device(b, b->inside_ifindex, DEVICE_INSIDE);
	describe_device(b, b->outside_ifindex, DEVICE_OUTSIDE);
	for (unsigned i = 0; i < room->cores && b->core[i].cpu >= 0; i++) {
		b->core[i].b = b;
		make_generator(b, &b->core[i]);
	}
	world_programs(b, FORWARDING_REDIRECT, row_get(0));
	copy_open(b);
	if (mappings_open(&b->d, &b->m, &err))
		die(err.text, EINVAL);
	core_pin(&b->core[0]);
}

void world_end(struct bench *b)
{
	for (unsigned i = 0; i < MAX_CORES; i++)
		generator__destroy(b->core[i].skel);
	close_fd(&b->inside_fd);
	close_fd(&b->outside_fd);
	copy_close();
	internet_free(b->internet);
	mappings_close(b->m);
	datapath_close(&b->d);
}
