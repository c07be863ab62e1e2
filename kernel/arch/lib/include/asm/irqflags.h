/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The interrupt flag is a variable, and interrupts are looked for where it is
 * set: the kernel is never interrupted in the middle of anything.
 */
#ifndef _ASM_LIB_IRQFLAGS_H
#define _ASM_LIB_IRQFLAGS_H

#ifndef __ASSEMBLY__

#include <linux/compiler.h>

/* 1 when interrupts are enabled. */
extern unsigned long lib_irq_flag;
/* Enablings left before the clock is read again. */
extern int lib_irq_budget;

void lib_irq_poll(void);

static __always_inline unsigned long arch_local_save_flags(void)
{
	return lib_irq_flag;
}

static __always_inline void arch_local_irq_enable(void)
{
	barrier();
	lib_irq_flag = 1;
	if (unlikely(--lib_irq_budget < 0))
		lib_irq_poll();
	barrier();
}

static __always_inline void arch_local_irq_disable(void)
{
	barrier();
	lib_irq_flag = 0;
	barrier();
}

/*
 * `flags` are 1 or 0: as much is taken from the budget as enablings happen. It
 * is never below nothing outside of lib_irq_poll(), so that not enabling
 * interrupts does not look for them either.
 */
static __always_inline void arch_local_irq_restore(unsigned long flags)
{
	barrier();
	lib_irq_flag = flags;
	lib_irq_budget -= (int)flags;
	if (unlikely(lib_irq_budget < 0))
		lib_irq_poll();
	barrier();
}

static __always_inline unsigned long arch_local_irq_save(void)
{
	unsigned long flags = lib_irq_flag;

	arch_local_irq_disable();
	return flags;
}

static __always_inline int arch_irqs_disabled_flags(unsigned long flags)
{
	return flags == 0;
}

static __always_inline int arch_irqs_disabled(void)
{
	return lib_irq_flag == 0;
}

#define ARCH_IRQ_INIT_FLAGS 1

#endif

#endif
