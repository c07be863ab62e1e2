// SPDX-License-Identifier: GPL-2.0-only
/*
 * Library tasks: user tasks of the kernel whose program is the host process.
 * "User mode" of such a task is to wait for the host's next call.
 *
 * The first one is pid 1. The kernel starts it as it starts every init, by
 * executing a file: /init, which an initcall puts into the root file system
 * and which holds nothing but a magic word that our binary format accepts.
 * All later ones are made by lib_spawn() and share its memory.
 */
#include <linux/binfmts.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/init_syscalls.h>
#include <linux/kdev_t.h>
#include <linux/major.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/task_work.h>
#include <asm/lib.h>
#include <asm/unistd.h>

#define LIB_TASKS 16384

static const char lib_magic[] = "a task of the host process\n";

static struct linux_binfmt lib_format;

static int lib_load_init(struct linux_binprm *bprm)
{
	struct vm_area_struct *vma;
	int error;

	if (memcmp(bprm->buf, lib_magic, sizeof(lib_magic) - 1))
		return -ENOEXEC;
	error = begin_new_exec(bprm);
	if (error)
		return error;
	setup_new_exec(bprm);
	set_binfmt(&lib_format);
	/*
	 * The argument stack is of no use, and its address may be that of the
	 * host's real stack.
	 */
	vma = bprm->vma;
	bprm->vma = NULL;
	vm_munmap(vma->vm_start, vma->vm_end - vma->vm_start);
	finalize_exec(bprm);
	return 0;
}

static struct linux_binfmt lib_format = {
	.load_binary = lib_load_init,
};

static int __init lib_make_init(void)
{
	struct file *file;
	loff_t position = 0;
	ssize_t bytes;

	register_binfmt(&lib_format);
	/* Tasks are fibers of one program; memory limits them soon enough. */
	current->signal->rlim[RLIMIT_NPROC].rlim_cur = LIB_TASKS;
	current->signal->rlim[RLIMIT_NPROC].rlim_max = LIB_TASKS;
	/* A tmpfs as root is made for everybody to write to. */
	if (init_chmod("/", 0755))
		panic("cannot set the mode of the root directory");
	/* Standard input and output of init: there is nothing behind them. */
	init_unlink("/dev/console");
	if (init_mknod("/dev/console", S_IFCHR | 0600,
		       new_encode_dev(MKDEV(MEM_MAJOR, 3))))
		panic("cannot make /dev/console");
	file = filp_open("/init", O_CREAT | O_WRONLY, 0500);
	if (IS_ERR(file))
		panic("/init: cannot create: %ld", PTR_ERR(file));
	bytes = kernel_write(file, lib_magic, sizeof(lib_magic) - 1, &position);
	if (bytes != sizeof(lib_magic) - 1)
		panic("/init: cannot write: %zd", bytes);
	fput(file);
	/* A file that is open for writing cannot be executed. */
	task_work_run();
	flush_delayed_fput();
	return 0;
}
late_initcall_sync(lib_make_init);

/*
 * The small allocator keeps no empty slab: memory of a size that nobody else
 * has at the moment is a page taken, cut up, and given back, each time. Paths
 * that are looked up and pages of text, of which boot alone makes 300 to tell
 * of its devices, come and go like that. One of each that is never given back
 * keeps a slab at hand.
 */
static int __init lib_keep_slabs(void)
{
	return __getname() && kmalloc(PAGE_SIZE, GFP_KERNEL) ? 0 : -ENOMEM;
}
early_initcall(lib_keep_slabs);

/* The first library task is there, and LL_CALL_BOOT has its answer. */
static bool lib_booted;

/* Sleeps until the host has a call for this task. */
static noinline struct ll_call *lib_wait_for_call(void)
{
	while (!READ_ONCE(current->thread.call)) {
		if (read_thread_flags() & _TIF_WORK_MASK) {
			lib_exit_work();
			continue;
		}
		set_current_state(TASK_INTERRUPTIBLE);
		if (!READ_ONCE(current->thread.call) &&
		    !signal_pending(current))
			schedule();
		__set_current_state(TASK_RUNNING);
	}
	return current->thread.call;
}

/* Where every library task ends up after having been made. Never returns. */
void lib_user_mode(void)
{
	struct ll_call *call;
	long result;

	current->thread.library = 1;
	if (!lib_booted) {
		lib_booted = true;
		lib_finish_call(lib_cpu.runner, 0);
	}
	for (;;) {
		call = READ_ONCE(current->thread.call);
		if (unlikely(!call))
			call = lib_wait_for_call();
		current->thread.call = NULL;
		current->thread.active = call;
		result = lib_execute(call);
		current->thread.active = NULL;
		lib_finish_call_here(call, result);
	}
}

#define LIB_SPAWN_FLAGS                                                \
	(CLONE_NEWCGROUP | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWNS | \
	 CLONE_NEWPID | CLONE_NEWUSER | CLONE_NEWUTS | CLONE_FILES)

/* A new library task, as a thread or as a child process of the caller. */
long lib_spawn(u32 flags, void **task)
{
	struct kernel_clone_args args = {
		.flags = CLONE_VM,
		.exit_signal = SIGCHLD,
	};
	long pid;

	if (flags & LL_SPAWN_PROCESS) {
		args.flags |= flags & LIB_SPAWN_FLAGS;
	} else {
		args.flags |= CLONE_THREAD | CLONE_SIGHAND | CLONE_FILES |
			      CLONE_FS | CLONE_SYSVSEM;
		args.exit_signal = 0;
	}
	pid = kernel_clone(&args);
	if (pid > 0) {
		rcu_read_lock();
		*task = find_task_by_vpid(pid);
		rcu_read_unlock();
	}
	return pid;
}

static bool lib_is_exit(const struct ll_call *call)
{
	return call->nr == __NR_exit || call->nr == __NR_exit_group;
}

/*
 * Called by do_exit(), late: files and memory are gone already. A call that
 * made the task exit is finished here, for it will not return. Also called for
 * a task that was never run, because its making failed.
 */
void exit_thread(struct task_struct *task)
{
	struct ll_call *call = task->thread.active;

	lib_guard_stack(task, false);
	if (!task->thread.library)
		return;
	lib_cpu.ops->task_gone(lib_cpu.host, task, task_pid_nr(task));
	task->thread.library = 0;
	task->thread.active = NULL;
	if (call)
		lib_finish_call(call, lib_is_exit(call) ? 0 : -ESRCH);
	call = task->thread.call;
	task->thread.call = NULL;
	if (call)
		lib_finish_call(call, -ESRCH);
}
