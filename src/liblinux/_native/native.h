/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * liblinux._native: the host side (kernel/host/host.h) as Python objects.
 *
 * Where a kernel is (here, or in a jailed process) only its `side` knows: a
 * table of the same functions for both, see kernel/host/side.h.
 *
 * Four types. A Kernel owns the host side's kernel and the backings of its
 * disks; a Process, a Disk and a View refer to their Kernel and never the other
 * way round, so that a kernel which nobody refers to goes away at once. The
 * Kernel's pointers to its init object and to disk objects are borrowed, and
 * cleared when those die.
 *
 * Rules:
 *
 *  - The kernel is entered without the GIL, between native_enter() and
 *    native_leave(): what a thread waits for inside may be served by another
 *    thread in Python. All fields of the objects belong to the GIL.
 *  - `inside` counts the threads between the two. A kernel is closed only when
 *    it is zero, and nobody comes in any more when `host` is NULL.
 *  - Memory that a View exports stays mapped: while `exports` is not zero the
 *    kernel cannot be closed.
 *
 * module.c   the module and its functions      call.c       in and out, results
 * kernel.c   Kernel                            arguments.c  Python to registers
 * process.c  Process: system calls             file.c       its reads and writes
 * disk.c     Disk and what it is made of       stat.c       statx, its tuple
 * serve.c    disks that are Python objects     list.c       a directory
 * view.c     mapped memory as a buffer         walk.c       a whole tree
 * report.c   exceptions of a kernel that died  listing.c    what walk.c found
 * snapshot.c a kernel at an instant             copy.c       trees to other places
 * socket.c   Socket: its quick calls            message.c    sendmsg and recvmsg
 * pump.c     Pump: frames in and out            poller.c     Poller: an epoll and a timer
 * clock.c    Clock: as a program reads it         sample.c     a kernel, again and again
 */
#ifndef LIBLINUX_NATIVE_H
#define LIBLINUX_NATIVE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <errno.h>
#include <structmember.h>
#include "side.h"

struct native_backing;

struct native_module {
	PyTypeObject *kernel_type;
	PyTypeObject *process_type;
	PyTypeObject *disk_type;
	PyTypeObject *view_type;
	PyTypeObject *listing_type;
	PyTypeObject *snapshot_type;
	PyTypeObject *socket_type;
	PyTypeObject *pump_type;
	PyTypeObject *poller_type;
	PyTypeObject *clock_type;
};

struct native_kernel {
	PyObject_HEAD PyObject *weak_references;
	const struct host_side *side; /* where it is */
	struct host_kernel *host; /* NULL before boot and after close */
	Py_ssize_t inside; /* threads in the kernel */
	Py_ssize_t exports; /* buffers of views */
	struct native_process *init; /* borrowed */
	struct native_backing *backings; /* of attached disks, newest first */
	PyObject *syscalls; /* dict, made when first asked for */
	PyObject *last_words; /* str: why it died, once it is closed */
	PyObject *image; /* str: the path of its file */
	bool closing; /* side->close() is under way */
};

struct native_process {
	PyObject_HEAD PyObject *weak_references;
	struct native_kernel *kernel;
	struct host_process *host;
	int pid;
	bool is_init;
	bool exited;
};

struct native_disk {
	PyObject_HEAD PyObject *weak_references;
	struct native_kernel *kernel;
	struct native_backing *backing; /* NULL when detached or closed */
	PyObject *error; /* taken over from the backing */
	u32 index;
	u64 size;
};

extern PyType_Spec native_kernel_spec;
extern PyType_Spec native_process_spec;
extern PyType_Spec native_disk_spec;
extern PyType_Spec native_view_spec;
extern PyType_Spec native_listing_spec;
extern PyType_Spec native_snapshot_spec;
extern PyType_Spec native_socket_spec;
extern PyType_Spec native_pump_spec;
extern PyType_Spec native_poller_spec;
extern PyType_Spec native_clock_spec;

/* The state of the module that `self`, of one of our types, belongs to. */
struct native_module *native_module_of(PyObject *self);
/* The same for a class made from one of them; NULL with TypeError. */
struct native_module *native_module_above(PyTypeObject *type);

/* Release and visit what every object of ours has. */
void native_free(PyObject *self);

/* ---- call.c: in and out ---------------------------------------------- */

struct native_crossing {
	PyThreadState *thread;
};

/* Both with an open kernel, and a reference to it held by the caller. */
static inline void native_enter(struct native_kernel *kernel,
				struct native_crossing *crossing)
{
	kernel->inside++;
	crossing->thread = PyEval_SaveThread();
}

static inline void native_leave(struct native_kernel *kernel,
				struct native_crossing *crossing)
{
	PyEval_RestoreThread(crossing->thread);
	kernel->inside--;
}

extern _Thread_local PyObject *native_pending_value;

/* No trouble: `value` is the system call's own. */
static inline bool native_plain(const struct host_result *result)
{
	return host_result_is_plain(result) && !native_pending_value;
}

/*
 * For what makes many calls in one crossing, without the GIL: whether a signal
 * handler of Python has raised. It is asked for ten times a second at most.
 */
struct native_patience {
	s64 next_ns;
	u32 questions;
};

/* For batches: there is an exception to raise. The argument is the patience. */
bool native_stop(void *patience);

/*
 * After native_leave(): false with an exception when the call did not come to
 * a result of its own, or when a signal handler raised one.
 */
bool native_check(struct native_kernel *kernel,
		  const struct host_result *result);
/* The same for the functions of host.h that return -errno. */
bool native_check_code(struct native_kernel *kernel, s64 code);

/* Set OSError for a positive errno; returns NULL. The kernel may be NULL. */
PyObject *native_os_error(struct native_kernel *kernel, int error);
/* Set an exception of liblinux._errors; returns NULL. */
PyObject *native_own_error(const char *name, const char *text);

/*
 * Raise what liblinux._report's function `name` makes of a report; NULL. The
 * numbers of system calls are a dict, or NULL.
 */
PyObject *native_report_error(const char *name, const char *text,
			      PyObject *image, PyObject *numbers,
			      const struct host_report *report);
/* The same with what the kernel has reported; false. */
bool native_raise_report(struct native_kernel *kernel, const char *name);

/* False with KernelClosed. */
bool native_check_open(struct native_kernel *kernel);
bool native_check_process(struct native_process *process);

/*
 * One whole call. False with an exception; *value may be -errno. `spans` says
 * which arguments are addresses, and is NULL when none is.
 */
bool native_call(struct native_process *process, s64 nr, const u64 args[6],
		 const struct host_spans *spans, s64 *value);

/* Keep the exception that is set until this thread's call has ended. */
void native_keep_exception(void);
/* Does what is kept come out of the code of a disk? */
extern _Thread_local bool native_disks_given_up;

extern const struct host_embedding native_embedding;

/* ---- arguments.c ----------------------------------------------------- */

struct native_arguments {
	u64 values[6];
	Py_buffer buffers[6];
	int nr_buffers;
	struct host_spans spans;
};

/* System-call arguments; false with an exception. Release either way. */
enum native_shape {
	NATIVE_SHAPE_ANY, /* a number, a buffer, a string, None */
	NATIVE_SHAPE_INT, /* a number of 32 bits, with or without a sign */
	NATIVE_SHAPE_LONG, /* a number of 64 bits */
};

/* The shape of the first argument is in the lowest two bits of `shape`. */
bool native_arguments_parse(struct native_arguments *arguments, u32 shape,
			    PyObject *const *args, Py_ssize_t count);
void native_arguments_release(struct native_arguments *arguments);

/* A C string of str or bytes, alive as long as `object`, or *owner, is. */
const char *native_c_string(PyObject *object, PyObject **owner);

/* A path: a string, or a descriptor when `string` is NULL. */
struct native_path {
	const char *string;
	PyObject *owner;
	int fd;
};
bool native_path_parse(PyObject *object, bool fd_allowed,
		       struct native_path *path);
void native_path_release(struct native_path *path);

bool native_int(PyObject *object, int *value);
bool native_s64(PyObject *object, s64 *value);
/*
 * Sort the arguments of a METH_FASTCALL | METH_KEYWORDS function into `slots`,
 * by `names`, of which `positional` may come without a name and `required`
 * must come. Absent ones are NULL.
 */
bool native_keywords(const char *function, const char *const *names,
		     int nr_names, int positional, int required,
		     PyObject *const *args, Py_ssize_t count,
		     PyObject *keywords, PyObject **slots);

/* ---- process.c, disk.c, view.c, copy.c, time.c ------------------------ */

/* The monotonic clock; false with KernelClosed. */
bool native_now(struct native_kernel *kernel, u64 *now);

PyObject *native_process_new(struct native_kernel *kernel,
			     struct host_process *host, bool is_init);

PyObject *native_attach_fd(PyObject *self, PyObject *args, PyObject *keywords);
PyObject *native_attach_buffer(PyObject *self, PyObject *args,
			       PyObject *keywords);
PyObject *native_attach_object(PyObject *self, PyObject *args,
			       PyObject *keywords);
/* Let go of everything that disks were made of; the kernel is closed. */
void native_backings_free(struct native_kernel *kernel);
int native_backings_visit(struct native_kernel *kernel, visitproc visit,
			  void *arg);
/* The oldest exception that a disk has met and nobody has seen; or NULL. */
PyObject *native_backings_take_error(struct native_kernel *kernel);
int native_disk_io(void *context, void *backing, struct ll_io *io);

PyObject *native_map_view(PyObject *module, PyObject *args);

PyObject *native_survey(PyObject *module, PyObject *args);
PyObject *native_copy(PyObject *module, PyObject *args);

/* ---- methods of Process, in files of their own ----------------------- */

PyObject *native_read(PyObject *self, PyObject *const *args, Py_ssize_t count);
PyObject *native_pread(PyObject *self, PyObject *const *args, Py_ssize_t count);
PyObject *native_readinto(PyObject *self, PyObject *const *args,
			  Py_ssize_t count);
PyObject *native_preadinto(PyObject *self, PyObject *const *args,
			   Py_ssize_t count);
PyObject *native_write(PyObject *self, PyObject *const *args, Py_ssize_t count);
PyObject *native_pwrite(PyObject *self, PyObject *const *args,
			Py_ssize_t count);
PyObject *native_open(PyObject *self, PyObject *const *args, Py_ssize_t count,
		      PyObject *keywords);
PyObject *native_close(PyObject *self, PyObject *fd);

PyObject *native_stat(PyObject *self, PyObject *const *args, Py_ssize_t count,
		      PyObject *keywords);
PyObject *native_listdir(PyObject *self, PyObject *path);
PyObject *native_walk(PyObject *self, PyObject *const *args, Py_ssize_t count,
		      PyObject *keywords);

/* ---- numbers of x86-64 system calls, which are the kernel's in any host  */

enum native_nr {
	NATIVE_NR_read = 0,
	NATIVE_NR_write = 1,
	NATIVE_NR_close = 3,
	NATIVE_NR_lseek = 8,
	NATIVE_NR_pread64 = 17,
	NATIVE_NR_pwrite64 = 18,
	NATIVE_NR_getpid = 39,
	NATIVE_NR_connect = 42,
	NATIVE_NR_sendto = 44,
	NATIVE_NR_recvfrom = 45,
	NATIVE_NR_sendmsg = 46,
	NATIVE_NR_recvmsg = 47,
	NATIVE_NR_getsockopt = 55,
	NATIVE_NR_getdents64 = 217,
	NATIVE_NR_clock_gettime = 228,
	NATIVE_NR_exit_group = 231,
	NATIVE_NR_epoll_wait = 232,
	NATIVE_NR_openat = 257,
	NATIVE_NR_ppoll = 271,
	NATIVE_NR_timerfd_settime = 286,
	NATIVE_NR_accept4 = 288,
	NATIVE_NR_statx = 332,
	NATIVE_NR_openat2 = 437,
};

#define NATIVE_AT_FDCWD (-100)

/* ---- attributes and methods of Kernel, in files of their own --------- */

extern PyGetSetDef native_kernel_attributes[];

PyObject *native_kernel_log(PyObject *self, PyObject *unused);
PyObject *native_kernel_captured(PyObject *self, PyObject *unused);
PyObject *native_kernel_statistics(PyObject *self, PyObject *unused);

PyObject *native_kernel_now(PyObject *self, PyObject *unused);
PyObject *native_kernel_lockstep(PyObject *self, PyObject *on);
PyObject *native_kernel_settle(PyObject *self, PyObject *all);

PyObject *native_kernel_inject(PyObject *self, PyObject *args);
PyObject *native_kernel_behave(PyObject *self, PyObject *unused);
PyObject *native_kernel_injected(PyObject *self, PyObject *unused);

PyObject *native_kernel_allocate(PyObject *self, PyObject *number);
PyObject *native_kernel_free_memory(PyObject *self, PyObject *number);

PyObject *native_kernel_snapshot(PyObject *self, PyObject *unused);
PyObject *native_kernel_restore(PyObject *self, PyObject *argument);

PyObject *native_kernel_sample(PyObject *self, PyObject *args);
PyObject *native_kernel_samples(PyObject *self, PyObject *stop);

#endif /* LIBLINUX_NATIVE_H */
