/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ASM_LIB_DELAY_H
#define _ASM_LIB_DELAY_H

void __ndelay(unsigned long nanoseconds);
void __udelay(unsigned long microseconds);
void __delay(unsigned long loops);

#define ndelay(n) __ndelay(n)
#define udelay(n) __udelay(n)

#endif
