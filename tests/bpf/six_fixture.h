/* SPDX-License-Identifier: BSD-2-Clause */
/* Runs the programs of six.bpf.c, which translate between IPv6 and IPv4 and do nothing else to a packet. */
#ifndef DETNAT_TEST_SIX_FIXTURE_H
#define DETNAT_TEST_SIX_FIXTURE_H

#include <stddef.h>
#include <stdint.h>

#include <detnat/reasons.h>

#include "six_scene.h"

/* Octets of the longest packet, without its Ethernet header. */
#define SIX_PACKET_MAX 3000

enum six_program { SIX_ENTER, SIX_UNDO, SIX_LEAVE };

void six_set_up(void);
void six_tear_down(void);

/* The ticks of a second, in the programs. */
#define SIX_HZ 250U

/* Has the last fragments of datagrams, of which there are few, come so many ticks earlier. */
void six_age_identifications(uint32_t ticks);

/* 64:ff9b::/96, host 2001:db8:4000:1200::1, virtual address 224.0.1.7, MTUs not known. */
struct six_scene six_scene_make(void);

/* The prefix of a scene, in text. */
void six_scene_prefix(struct six_scene *scene, const char *text, uint32_t length);

/*
 * Runs an IP packet through a program; out: what it has become, of SIX_PACKET_MAX octets, without anything behind its
 * length. Returns the outcome.
 */
struct six_outcome six_run(enum six_program program, const struct six_scene *scene, const uint8_t *in, size_t size,
			   uint8_t *out, size_t *ret_size);

#endif
