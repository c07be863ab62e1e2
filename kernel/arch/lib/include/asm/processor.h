/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ASM_LIB_PROCESSOR_H
#define _ASM_LIB_PROCESSOR_H

#include <asm/page.h>
#include <asm/ptrace.h>

#ifndef __ASSEMBLY__

struct task_struct;
struct ll_call;

/* What a fiber is, besides its stack. */
struct thread_struct {
	unsigned long sp; /* of a fiber that is not running */
	struct ll_call *call; /* what a library task is to do next */
	struct ll_call *active; /* what it is doing */
	u32 library; /* the host has a pointer to this task */
	u32 interrupted; /* the host wants its call to end with EINTR */
	u32 deferred; /* it was let go on once although another should run */
};

#define INIT_THREAD { }

/* User addresses are host addresses: all that x86-64 gives to a process. */
#define TASK_SIZE ((1UL << 47) - PAGE_SIZE)
#define TASK_SIZE_MAX TASK_SIZE
#define STACK_TOP TASK_SIZE
#define STACK_TOP_MAX STACK_TOP
#define TASK_UNMAPPED_BASE lib_user_start

/* The window of host addresses that mappings of library tasks go into. */
extern unsigned long lib_user_start;

void cpu_relax(void);
unsigned long __get_wchan(struct task_struct *task);
void start_thread(struct pt_regs *regs, unsigned long ip, unsigned long sp);

#define task_pt_regs(task)                                                   \
	((struct pt_regs *)(task_stack_page(task) + THREAD_SIZE) - 1)
#define KSTK_EIP(task) (task_pt_regs(task)->ip)
#define KSTK_ESP(task) (task_pt_regs(task)->sp)

static inline void prefetch(const void *address)
{
	__builtin_prefetch(address);
}

static inline void prefetchw(const void *address)
{
	__builtin_prefetch(address, 1);
}

#define ARCH_HAS_PREFETCH
#define ARCH_HAS_PREFETCHW

#endif

#endif
