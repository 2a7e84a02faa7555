/* SPDX-License-Identifier: BSD-2-Clause */
/* What is simulated: the arguments of `simulate`, with their defaults. */
#ifndef DETNAT_SCALE_OPTIONS_H
#define DETNAT_SCALE_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum layout { LAYOUT_PAIR, LAYOUT_RING, LAYOUT_ECMP };

/* Which part of a packet an ECMP router hashes, and what it does with the other subscribers when a gateway goes. */
enum hash { HASH_SOURCE, HASH_ADDRESSES, HASH_PORTS };
enum rehash { REHASH_THRESHOLD, REHASH_MODULO, REHASH_RESILIENT };

struct options {
	/* subscribers */
	double subscribers;
	double mbit; /* Mbit/s of each in the busy hour, both directions together */
	double octets;
	double sessions;	      /* in use, of each */
	double destinations;	      /* of each */
	double short_life, long_life; /* mean of sessions, s */
	double long_percent;	      /* of openings */
	double silent_percent;	      /* of sessions in use: the inside does not send before it hears something */
	double displaced_percent;     /* not at their first choice of an outside port */
	/* gateways */
	double layout, hash, rehash; /* enum */
	double cores, mpps, load_percent, spare;
	double memory; /* octets a subscriber */
	/* failures */
	double mtbf, repair, upgrades, upgrade; /* h, h, a year, h */
	double detection, convergence;		/* s */
	/* replication */
	double min_age, interval;      /* s */
	double opening_octets;	       /* on the link */
	double opening_us;	       /* of a core, on either side */
	double copy_octets, copy_rate; /* of a session; sessions a second of the first copy */
	/* the run */
	double years, seed;
	bool compare;
};

extern const struct options default_options;

/*
 * Reads the arguments into *ret. Returns 0; 1 after --help, which it prints to `out`; -EINVAL after a complaint to
 * `err` that says what to do, with *ret as it was.
 */
int options_read(int argc, char *const *argv, struct options *ret, FILE *out, FILE *err);

/* The word for a value of an option that takes words, NULL if it has none. */
const char *options_word(const char *name, double value);

#endif
