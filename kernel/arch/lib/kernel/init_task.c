// SPDX-License-Identifier: GPL-2.0-only
/*
 * The linker script places the first stack; everything else about the first
 * task is generic. This file only holds the variables of the one CPU.
 */
#include <linux/sched.h>
#include <linux/sched/task.h>
#include <asm/cpu.h>
#include <asm/current.h>

struct ll_cpu lib_cpu;
struct task_struct *lib_current = &init_task;
EXPORT_SYMBOL(lib_current);
