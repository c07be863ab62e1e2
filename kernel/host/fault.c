// SPDX-License-Identifier: GPL-2.0-only
/*
 * Faults: one handler of SIGSEGV, SIGBUS, SIGFPE and SIGILL for the process, in
 * front of the one that was there.
 *
 * Nothing is done in the signal handler but to decide whose the fault is. If
 * it is ours, the handler makes the thread go on in a trampoline on the stack
 * that faulted, so that the rest happens outside of signal context and may
 * sleep. There are two cases.
 *
 *  - Inside: kernel code, or what it called, has faulted on a fiber. The image
 *    handles it (a missing page, a bad user pointer, or a panic). It may sleep
 *    and come back on another host thread: nothing thread-local is used after.
 *    When the fiber's stack has no room for that (its guard page would be
 *    touched), it is the end, reported from a stack kept for it.
 *  - Outside: host code has touched a page in the user window of a kernel. The
 *    page is asked for with a call of a task that does nothing else. If the
 *    kernel has no page there, the access is made again with a mark that lets
 *    the fault pass on to the previous handler, with all registers as before.
 *    The same for a page that no kernel of this process has (window.h).
 *
 * A thread inside one kernel gets no pages of another: that would be a wait
 * on a fiber. Its access fails as one to a bad address does.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/mman.h>
#include "fault.h"
#include "window.h"

#define RED_ZONE_BYTES 128
#define VECTOR_ALIGN_BYTES 64
/* The table of mappings may be full now, and have room a moment later. */
#define FAULT_TRIES 16
/* What answering a fault needs at least of a fiber's stack. */
#define SERVE_BYTES 1024
/* What a signal takes of the stack that it comes on, at most. */
#define HANDLER_BYTES (32 * KIB)

/* ---- the outside case ------------------------------------------------ */

/* Take a lock for which this thread, holding the embedding's, may wait. */
static void host_fault_lock(struct host_kernel *kernel, pthread_mutex_t *lock)
{
	struct host_embedding *embedding = &kernel->embedding;
	void *token;

	if (!pthread_mutex_trylock(lock))
		return;
	if (!embedding->release) {
		pthread_mutex_lock(lock);
		return;
	}
	/* Never wait for the embedding's lock with ours held. */
	do {
		token = embedding->release(embedding->context);
		pthread_mutex_lock(lock);
		pthread_mutex_unlock(lock);
		embedding->acquire(embedding->context, token);
	} while (pthread_mutex_trylock(lock));
}

/* Under `fault_lock`. */
static struct host_task *host_fault_task(struct host_kernel *kernel)
{
	struct host_process *init = kernel->init;
	struct host_result result;

	if (kernel->fault_task || !init)
		return kernel->fault_task;
	host_fault_lock(kernel, &init->spawn_lock);
	if (init->spare)
		host_spawn_task(kernel, init->spare, LL_SPAWN_THREAD,
				HOST_CALL_FAULT | HOST_CALL_UNINTERRUPTED,
				&kernel->fault_task, &result);
	pthread_mutex_unlock(&init->spawn_lock);
	return kernel->fault_task;
}

/*
 * The kernel behind this page is dead, and the code that touches it cannot be
 * told: it gets an empty page, and whoever makes the next call is told.
 */
static bool host_fault_of_dead(u64 address)
{
	void *page = (void *)(address & ~(PAGE_BYTES - 1));

	return mmap(page, PAGE_BYTES, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
		    0) != MAP_FAILED;
}

int host_kernel_touch(struct host_kernel *kernel, u64 address, bool is_write)
{
	u64 args[6] = { address, is_write };
	struct host_result result = { .value = -EFAULT };
	struct host_task *task;
	int tries;

	host_fault_lock(kernel, &kernel->fault_lock);
	__atomic_add_fetch(&kernel->statistics.faults_outside, 1,
			   __ATOMIC_RELAXED);
	task = host_fault_task(kernel);
	for (tries = 0; task && tries < FAULT_TRIES; tries++) {
		host_call(kernel, task, LL_CALL_FAULT, args,
			  HOST_CALL_FAULT | HOST_CALL_UNINTERRUPTED, &result);
		if (result.value != -EINTR && result.value != -ENOMEM)
			break;
	}
	pthread_mutex_unlock(&kernel->fault_lock);
	if (__atomic_load_n(&kernel->dead, __ATOMIC_ACQUIRE))
		return -EOWNERDEAD;
	return result.value;
}

static bool host_fault_outside(struct host_kernel *kernel,
			       struct ll_fault *fault)
{
	int code;

	if (!kernel)
		return host_window_provide(fault->address, fault->is_write);
	code = host_kernel_touch(kernel, fault->address, fault->is_write);
	return code == -EOWNERDEAD ? host_fault_of_dead(fault->address) : !code;
}

/* ---- the trampoline's second half ------------------------------------ */

/* Not in signal context, on the stack that faulted, all registers saved. */
void host_fault_serve(struct host_fault_frame *frame)
{
	struct host_kernel *kernel = frame->kernel;
	int error;

	if (!frame->outside) {
		kernel->statistics.faults_inside++;
		kernel->image->fault(&frame->fault);
		frame->ip = frame->fault.ip;
		return;
	}
	error = errno;
	if (!host_fault_outside(kernel, &frame->fault)) {
		host_self.genuine_address = frame->fault.address;
		host_self.genuine_ip = frame->fault.ip;
	}
	errno = error;
}

/* ---- signal context -------------------------------------------------- */

static bool host_between(u64 address, u64 start, u64 bytes)
{
	return address - start < bytes;
}

/* Also with a wild ip: what runs on a fiber's stack is the kernel's doing. */
static bool host_is_inside(struct host_kernel *kernel, u64 address, u64 ip,
			   u64 sp)
{
	return host_between(ip, kernel->text_start,
			    kernel->text_end - kernel->text_start) ||
	       host_between(address, kernel->vmalloc, kernel->vmalloc_bytes) ||
	       host_between(address, kernel->user, kernel->user_bytes) ||
	       host_between(sp, kernel->base, kernel->bytes);
}

/* Whose fault is it? NULL: not ours. */
static struct host_kernel *host_fault_owner(u64 address, u64 ip, u64 sp)
{
	struct host_kernel *kernel = host_self.inside;

	if (kernel)
		return host_is_inside(kernel, address, ip, sp) ? kernel : NULL;
	kernel = host_kernel_of_address(address);
	if (!kernel || !host_between(address, kernel->user, kernel->user_bytes))
		return NULL;
	if (host_self.genuine_address == address && host_self.genuine_ip == ip)
		kernel = NULL;
	host_self.genuine_address = host_self.genuine_ip = 0;
	/* In a callback for that kernel: there is nobody to ask. */
	return kernel && !host_in_callback(kernel) ? kernel : NULL;
}

/* A page of a window, wanted by host code that may wait for it? */
static bool host_is_of_window(int signal, siginfo_t *info, u64 ip)
{
	u64 address = (u64)info->si_addr;
	bool genuine;

	if (signal != SIGSEGV || info->si_code <= 0 || host_self.inside ||
	    !host_window_has(address))
		return false;
	genuine = host_self.genuine_address == address &&
		  host_self.genuine_ip == ip;
	host_self.genuine_address = host_self.genuine_ip = 0;
	return !genuine;
}

static void host_save_registers(struct host_fault_frame *frame,
				const greg_t *registers)
{
	frame->r15 = registers[REG_R15];
	frame->r14 = registers[REG_R14];
	frame->r13 = registers[REG_R13];
	frame->r12 = registers[REG_R12];
	frame->r11 = registers[REG_R11];
	frame->r10 = registers[REG_R10];
	frame->r9 = registers[REG_R9];
	frame->r8 = registers[REG_R8];
	frame->bp = registers[REG_RBP];
	frame->di = registers[REG_RDI];
	frame->si = registers[REG_RSI];
	frame->dx = registers[REG_RDX];
	frame->cx = registers[REG_RCX];
	frame->bx = registers[REG_RBX];
	frame->ax = registers[REG_RAX];
	frame->ip = registers[REG_RIP];
	frame->flags = registers[REG_EFL];
	frame->sp = registers[REG_RSP];
	asm("mov %%cs, %0" : "=r"(frame->cs));
	asm("mov %%ss, %0" : "=r"(frame->ss));
}

static enum ll_fault_kind host_fault_kind(int signal, int code)
{
	switch (signal) {
	case SIGFPE:
		return LL_FAULT_DIVISION;
	case SIGILL:
		return LL_FAULT_INSTRUCTION;
	case SIGBUS:
		return LL_FAULT_BUS;
	}
	/* Linux does not know the address of a general protection fault. */
	return code == SI_KERNEL ? LL_FAULT_PROTECTION : LL_FAULT_PAGE;
}

static u64 host_frame_below(u64 sp)
{
	sp -= RED_ZONE_BYTES + sizeof(struct host_fault_frame);
	return sp & ~(VECTOR_ALIGN_BYTES - 1UL);
}

/* Would the frame, or what is called with it, touch a guard? */
static bool host_has_room(struct host_kernel *kernel, u64 sp, u64 frame)
{
	u64 lowest = frame - host_vector_bytes - SERVE_BYTES;

	return !host_is_guard(kernel, lowest) &&
	       !host_is_guard(kernel, frame) && !host_is_guard(kernel, sp);
}

/*
 * Below what a thread uses of its stack, or below this handler: one that never
 * made a call has no other stack for handlers, and this signal's own frame, with
 * the vector registers that are to be restored, is in the way.
 */
static __attribute__((noinline)) u64 host_free_below(u64 sp)
{
	u64 here = (u64)__builtin_frame_address(0);
	stack_t stack;

	if (sp - here > HANDLER_BYTES || sigaltstack(NULL, &stack) ||
	    (stack.ss_flags & SS_ONSTACK))
		return host_frame_below(sp);
	return host_frame_below(here - SERVE_BYTES);
}

/* `kernel` NULL: host code wants a page of a window. */
static void host_divert(struct host_kernel *kernel, enum ll_fault_kind kind,
			u64 address, greg_t *registers)
{
	u64 below = host_free_below(registers[REG_RSP]);
	struct host_fault_frame *frame;
	char *vectors;

	if (host_self.inside &&
	    !host_has_room(kernel, registers[REG_RSP], below)) {
		below = host_frame_below(kernel->emergency_stack);
		kind = LL_FAULT_OVERFLOW;
	}
	frame = (void *)below;
	vectors = (char *)frame - host_vector_bytes;
	/* The header behind the legacy area; XSAVE wants it clean. */
	memset(vectors + 512, 0, 64);
	host_save_registers(frame, registers);
	frame->kernel = kernel;
	frame->outside = !host_self.inside;
	frame->fault = (struct ll_fault){
		.address = address,
		.ip = registers[REG_RIP],
		.sp = registers[REG_RSP],
		.bp = registers[REG_RBP],
		.is_write = registers[REG_ERR] >> 1 & 1,
		.kind = kind,
	};
	registers[REG_RBX] = (greg_t)frame;
	registers[REG_RSP] = (greg_t)vectors;
	registers[REG_RIP] = (greg_t)host_fault_trampoline;
}

static bool host_is_abort(struct host_kernel *kernel, u64 ip)
{
	return __atomic_load_n(&kernel->aborting, __ATOMIC_ACQUIRE) &&
	       host_between(ip, kernel->text_start,
			    kernel->text_end - kernel->text_start);
}

void host_fault_handler(int signal, siginfo_t *info, void *context)
{
	greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
	u64 address = (u64)info->si_addr;
	struct host_kernel *kernel = NULL;

	/*
	 * Sent by somebody, not by the processor? And host code that divides
	 * by zero has nothing to do with the memory of a kernel.
	 */
	if (info->si_code > 0 &&
	    (host_self.inside || signal == SIGSEGV || signal == SIGBUS))
		kernel = host_fault_owner(address, registers[REG_RIP],
					  registers[REG_RSP]);
	if (kernel && host_is_abort(kernel, registers[REG_RIP])) {
		/* On its way in or out, on the host's stack: not now. */
		if (host_between(registers[REG_RSP], kernel->base,
				 kernel->bytes)) {
			host_divert(kernel, LL_FAULT_ABORT, address, registers);
			__atomic_store_n(&kernel->hit, true, __ATOMIC_RELEASE);
		}
		host_abort_show(kernel, true);
	} else if (kernel) {
		host_divert(kernel, host_fault_kind(signal, info->si_code),
			    address, registers);
	} else if (host_is_of_window(signal, info, registers[REG_RIP])) {
		host_divert(NULL, LL_FAULT_PAGE, address, registers);
	} else {
		host_fault_chain(signal, info, context);
	}
}
