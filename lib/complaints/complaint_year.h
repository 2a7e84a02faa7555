/* SPDX-License-Identifier: BSD-2-Clause */
/* A year that a text says of its log. */
#ifndef DETNAT_COMPLAINT_YEAR_H
#define DETNAT_COMPLAINT_YEAR_H

#include "complaints/complaint_private.h"

/* The year, 0 if the text says none, -1 if it says several, or doubts one. */
int complaint_said_year(const struct reading *x);

#endif
