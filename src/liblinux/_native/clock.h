/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What an event loop tells the clock of its run.
 */
#ifndef LIBLINUX_NATIVE_CLOCK_H
#define LIBLINUX_NATIVE_CLOCK_H

#include "native.h"

struct native_clock {
	PyObject_HEAD struct native_process *process;
	PyObject *suspect, *crawl; /* to be called, with no arguments */
	long long reads, most_reads; /* since something has happened */
	long long rounds, most_rounds;
	long long events;
};

/* Something has come from outside of the program, or time has passed. */
void native_clock_happened(struct native_clock *clock);
/* An event loop goes round, and nothing has come; false with an exception. */
bool native_clock_round(struct native_clock *clock);

#endif /* LIBLINUX_NATIVE_CLOCK_H */
