/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of the port have to tell each other. */
#ifndef _ASM_LIB_LIB_H
#define _ASM_LIB_LIB_H

#include <linux/sched.h>
#include <asm/cpu.h>
#include <asm/stack.h>

struct block_device;

/* entry.S */
void lib_fiber_begin(void);

/* boundary.c: leaving the kernel, and calls that come in */
void lib_leave(enum ll_exit reason);
void lib_arrive(void);
void lib_start_call(struct ll_call *call);
void lib_take_calls(void);
void lib_finish_call(struct ll_call *call, long result);
int lib_host_io(struct ll_io *io);

/* task.c: what a library task does instead of running a program */
void lib_user_mode(void);
long lib_spawn(u32 flags, void **task);

/* report.c: what is said when the kernel cannot go on */
extern bool lib_dying;
void lib_report_death(const struct ll_fault *fault);
void lib_report_waiters(void);
void lib_report_waiter(struct task_struct *task);
unsigned int lib_trace(struct task_struct *task, const unsigned long *sp,
		       u64 *trace, unsigned int room);

/* reboot.c */
void __noreturn lib_stop(void);
void lib_watch_panics(void);

/* guard.c */
#define LIB_EMERGENCY_BYTES (16 * 1024)
extern char lib_emergency_stack[];
void lib_guard_stack(struct task_struct *task, bool on);
long lib_guard_stacks(void);

/* process.c */
unsigned long lib_new_stack(void *top, void *function, void *argument);

/* syscall.c */
long lib_execute(struct ll_call *call);

/* read.c: read(2) and pread(2) */
long lib_read(unsigned long fd, unsigned long buffer, unsigned long count);
long lib_pread64(unsigned long fd, unsigned long buffer, unsigned long count,
		 unsigned long position);

/* signal.c: the work between a system call and "user mode" */
bool lib_exit_work(void);

/* time.c */
extern u64 lib_deadline;
extern u64 lib_last_progress;
void lib_timer_interrupt(void);
bool lib_waits_for_nothing(void);

/* tsc.c: lib_clock_now(), sched_clock() */
void lib_tsc_init(void);

/* hung.c */
u64 lib_hung_check(void);

/* watch.c */
void lib_watch(void);

/* mm/fresh.c */
void lib_fresh_setup(unsigned long used);

/* mm/outside.c */
#define LIB_OUTSIDE_BYTES (1UL << 20)
struct page *lib_outside_borrow(void *buffer);
void lib_outside_return(void);
unsigned long lib_outside_add(void);
void lib_outside_setup(void);

/* mm/together.c */
void lib_keep_together(void);
void lib_hold_rest(void);

/* Charges to the virtual clock, in nanoseconds: whoever spins moves time. */
#define LIB_CHARGE_SYSCALL_NS 100
#define LIB_CHARGE_SWITCH_NS 100
#define LIB_CHARGE_RELAX_NS 1000

static inline bool lib_clock_is_virtual(void)
{
	return lib_cpu.clock == LL_CLOCK_VIRTUAL;
}

static inline void lib_charge(u64 nanoseconds)
{
	if (lib_clock_is_virtual())
		lib_cpu.virtual_now += nanoseconds;
}

/*
 * Back to the host. Returns when the host enters again; the call that it
 * brought in lib_cpu.run has then been given to its task, unless that is the
 * caller's own and the caller takes it from thread.call. Inline for the sake
 * of the one caller whose speed counts; lib_leave() is for all others.
 */
static __always_inline void lib_leave_here(enum ll_exit reason)
{
	lib_cpu.reason = reason;
	lib_cpu.current_task = current;
	lib_switch_stack((unsigned long *)&lib_cpu.kernel_stack,
			 (unsigned long)lib_cpu.host_stack);
	if (lib_cpu.run)
		lib_arrive();
}

/* See lib_finish_call(). */
static __always_inline void lib_finish_call_here(struct ll_call *call,
						 long result)
{
	call->result = result;
	if (call == lib_cpu.runner) {
		lib_cpu.runner = NULL;
		lib_leave_here(LL_EXIT_DONE);
	} else {
		lib_cpu.ops->finished(lib_cpu.host, call);
	}
}

/* mm/fault.c */
void lib_fault(struct ll_fault *fault);
long lib_host_fault(unsigned long address, bool is_write);

/* drivers/block.c */
long lib_disk_add(const struct ll_disk *disk);
long lib_disk_remove(u32 index);
long lib_disk_resize(u32 index, u64 bytes);
void lib_disk_finish(void);
#ifdef CONFIG_LIBLINUX_BLOCK
bool lib_disk_is_near(struct block_device *device);
#else
static inline bool lib_disk_is_near(struct block_device *device)
{
	return false;
}
#endif

#endif
