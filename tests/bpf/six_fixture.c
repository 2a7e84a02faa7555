// SPDX-License-Identifier: BSD-2-Clause
#include "six_fixture.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <string.h>
#include <detnat/tables.h>

#include "six.skel.h"

static struct six *six;

/* Whether the programs use a map. The others are those of the whole datapath, and pinned. */
static bool is_used(const char *name)
{
	static const char *const names[] = { "packets6", "identifications", "counters" };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (!strcmp(name, names[i]))
			return true;
	return !!strchr(name, '.');
}

void six_set_up(void)
{
	struct bpf_map *map;

	six = six__open();
	cr_assert_not_null(six, "%s", strerror(errno));
	bpf_object__for_each_map(map, six->obj)
	{
		bpf_map__set_pin_path(map, NULL);
		bpf_map__set_autocreate(map, is_used(bpf_map__name(map)));
	}
	((struct settings *)(void *)&six->rodata->settings)->hz = SIX_HZ;
	cr_assert_eq(six__load(six), 0, "%s", strerror(errno));
}

void six_tear_down(void)
{
	six__destroy(six);
}

void six_scene_prefix(struct six_scene *scene, const char *text, uint32_t length)
{
	struct address6 prefix;
	__u64 octets[2];

	cr_assert_eq(inet_pton(AF_INET6, text, octets), 1);
	prefix = (struct address6){ be64_number(octets[0]), be64_number(octets[1]) };
	cr_assert(nat64_prefix_is_valid(&prefix, length), "%s/%u", text, length);
	record6_set_prefix(&scene->record, &prefix, length);
}

struct six_scene six_scene_make(void)
{
	struct six_scene scene = { .record = { .lowest_mtu = LOWEST_IPV6_MTU, .subscriber_plen = 56, .hosts = 16 },
				   .virt = 0xe0000107,
				   .out_addr = 0xc6336401 };

	cr_assert_eq(inet_pton(AF_INET6, "2001:db8:4000:1200::1", scene.host), 1);
	six_scene_prefix(&scene, "64:ff9b::", 96);
	return scene;
}

void six_age_identifications(uint32_t ticks)
{
	const int fd = bpf_map__fd(six->maps.identifications);
	struct identification_key {
		uint32_t out_addr, dst;
		uint16_t ident;
		uint8_t proto, pad;
	} keys[64];
	struct identification {
		uint64_t src[2];
		uint32_t ident, since;
	} value;
	size_t n = 0;

	while (n < sizeof(keys) / sizeof(*keys) && !bpf_map_get_next_key(fd, n ? &keys[n - 1] : NULL, &keys[n]))
		n++;
	for (size_t i = 0; i < n; i++) {
		cr_assert_eq(bpf_map_lookup_elem(fd, &keys[i], &value), 0);
		value.since -= ticks;
		cr_assert_eq(bpf_map_update_elem(fd, &keys[i], &value, BPF_EXIST), 0);
	}
}

/* Octets of an IP packet by its header, at most those that there are. */
static size_t packet_length(const uint8_t *packet, size_t size)
{
	size_t length = size;

	if (size >= 40 && packet[0] >> 4 == 6)
		length = 40 + (packet[4] << 8 | packet[5]);
	else if (size >= 20)
		length = packet[2] << 8 | packet[3];
	return length < size ? length : size;
}

struct six_outcome six_run(enum six_program program, const struct six_scene *scene, const uint8_t *in, size_t size,
			   uint8_t *out, size_t *ret_size)
{
	static const uint8_t macs[] = { 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 3 };
	const struct bpf_program *programs[] = { six->progs.six_enter, six->progs.six_undo, six->progs.six_leave };
	uint8_t frame[ETH_HLEN + SIX_PACKET_MAX], made[ETH_HLEN + SIX_PACKET_MAX];
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = (uint32_t)(ETH_HLEN + size),
		    .data_out = made, .data_size_out = sizeof(made), .repeat = 1);
	int is6;

	cr_assert_leq(size, SIX_PACKET_MAX);
	memcpy(frame, macs, sizeof(macs));
	frame[12] = program == SIX_LEAVE ? 0x08 : 0x86;
	frame[13] = program == SIX_LEAVE ? 0x00 : 0xdd;
	memcpy(frame + ETH_HLEN, in, size);
	six->bss->six_scene = *scene;
	six->bss->six_outcome = (struct six_outcome){ -100, 0, 0 };
	cr_assert_eq(bpf_prog_test_run_opts(bpf_program__fd(programs[program]), &opts), 0, "%zu octets: %s", size,
		     strerror(errno));
	cr_assert_geq(opts.data_size_out, ETH_HLEN);
	if (!six->bss->six_outcome.result || (program == SIX_LEAVE && six->bss->six_outcome.result < 0)) {
		is6 = program != SIX_ENTER;
		cr_expect_arr_eq(made, macs, sizeof(macs), "Ethernet addresses stay");
		cr_expect_eq(made[12] << 8 | made[13], is6 ? ETH_P_IPV6 : ETH_P_IP, "EtherType");
	}
	*ret_size = packet_length(made + ETH_HLEN, opts.data_size_out - ETH_HLEN);
	memcpy(out, made + ETH_HLEN, *ret_size);
	return six->bss->six_outcome;
}
