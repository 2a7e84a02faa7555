/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Maps whose room no test uses up are small: the kernel sets up each bucket and element that a map may ever have, which
 * took a third of the time of the datapath's tests.
 */
#ifndef DETNAT_TEST_SMALL_MAPS_H
#define DETNAT_TEST_SMALL_MAPS_H

#include <stdbool.h>

/* Set before set_up() by a test that needs the maps as the agent makes them. */
extern bool full_sized_maps;

#endif
