/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ASM_LIB_TIMEX_H
#define _ASM_LIB_TIMEX_H

#define CLOCK_TICK_RATE 1000000

typedef unsigned long cycles_t;

/* Nanoseconds of the kernel's own clock, so that virtual time is repeatable. */
unsigned long lib_clock_now(void);

#define get_cycles() lib_clock_now()

#endif
