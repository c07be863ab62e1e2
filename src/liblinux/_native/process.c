// SPDX-License-Identifier: GPL-2.0-only
/*
 * Process: a process of the kernel, as which any Python thread may act. The
 * host side makes the kernel's task of a thread when it first comes.
 *
 * A Process whose kernel is closed, or which has exited, answers KernelClosed.
 * The host's object is released with the Python one and not earlier, since
 * other threads may be in a call of it.
 */
#include "native.h"

PyObject *native_process_new(struct native_kernel *kernel,
			     struct host_process *host, bool is_init)
{
	PyTypeObject *type = native_module_of((PyObject *)kernel)->process_type;
	struct native_process *process =
		(struct native_process *)type->tp_alloc(type, 0);

	if (!process)
		return NULL;
	process->kernel = (struct native_kernel *)Py_NewRef((PyObject *)kernel);
	process->host = host;
	process->pid = kernel->side->pid(host);
	process->is_init = is_init;
	return (PyObject *)process;
}

static void native_process_free(PyObject *self)
{
	struct native_process *process = (struct native_process *)self;
	struct native_kernel *kernel = process->kernel;
	struct native_crossing crossing;

	PyObject_GC_UnTrack(self);
	if (process->is_init && kernel->init == process)
		kernel->init = NULL;
	if (process->weak_references)
		PyObject_ClearWeakRefs(self);
	/* After close() the host side has freed it already. */
	if (!process->is_init && process->host && kernel->host) {
		native_enter(kernel, &crossing);
		kernel->side->let_go(process->host);
		native_leave(kernel, &crossing);
	}
	Py_CLEAR(process->kernel);
	native_free(self);
}

static int native_process_visit(PyObject *self, visitproc visit, void *arg)
{
	Py_VISIT(Py_TYPE(self));
	Py_VISIT(((struct native_process *)self)->kernel);
	return 0;
}

/* ---- system calls ---------------------------------------------------- */

static bool native_numbered_call(PyObject *self, PyObject *const *args,
				 Py_ssize_t count, s64 *value)
{
	struct native_arguments arguments;
	bool done = false;
	s64 nr;

	if (count < 1) {
		PyErr_SetString(PyExc_TypeError,
				"the number of the system call is missing");
		return false;
	}
	if (!PyLong_Check(args[0])) {
		PyErr_Format(
			PyExc_TypeError,
			"the number of a system call must be int, not %.100s",
			Py_TYPE(args[0])->tp_name);
		return false;
	}
	if (!native_s64(args[0], &nr))
		return false;
	if (native_arguments_parse(&arguments, 0, args + 1, count - 1))
		done = native_call((struct native_process *)self, nr,
				   arguments.values, &arguments.spans, value);
	native_arguments_release(&arguments);
	return done;
}

/*
 * Addresses of mmap(2) are below 2^47, so that every negative result is an
 * errno or, of the few calls with results of 64 bits, the caller's to judge.
 */
static bool native_is_error(s64 value)
{
	return value < 0 && value >= -4095;
}

static PyObject *native_syscall(PyObject *self, PyObject *const *args,
				Py_ssize_t count)
{
	s64 value;

	if (!native_numbered_call(self, args, count, &value))
		return NULL;
	if (native_is_error(value))
		return native_os_error(((struct native_process *)self)->kernel,
				       (int)-value);
	return PyLong_FromLongLong(value);
}

/* For the functions that are shaped like those of `os`. */
static PyObject *native_shaped_call(PyObject *self, PyObject *const *args,
				    Py_ssize_t count)
{
	struct native_process *process = (struct native_process *)self;
	struct native_arguments arguments;
	bool done = false;
	int nr, shape;
	s64 value;

	if (count < 2) {
		PyErr_SetString(
			PyExc_TypeError,
			"the number or the shape of the system call is missing");
		return NULL;
	}
	if (!native_int(args[0], &nr) || !native_int(args[1], &shape))
		return NULL;
	if (native_arguments_parse(&arguments, (u32)shape, args + 2, count - 2))
		done = native_call(process, nr, arguments.values,
				   &arguments.spans, &value);
	native_arguments_release(&arguments);
	if (!done)
		return NULL;
	if (native_is_error(value))
		return native_os_error(process->kernel, (int)-value);
	return PyLong_FromLongLong(value);
}

static PyObject *native_raw_call(PyObject *self, PyObject *const *args,
				 Py_ssize_t count)
{
	s64 value;

	if (!native_numbered_call(self, args, count, &value))
		return NULL;
	return PyLong_FromLongLong(value);
}

static PyObject *native_getpid(PyObject *self, PyObject *unused)
{
	static const u64 none[6];
	s64 value;

	(void)unused;
	if (!native_call((struct native_process *)self, NATIVE_NR_getpid, none,
			 NULL, &value))
		return NULL;
	return PyLong_FromLongLong(value);
}

/* ---- birth and death ------------------------------------------------- */

static PyObject *native_spawn(PyObject *self, PyObject *args,
			      PyObject *keywords)
{
	static char *names[] = { "namespaces", NULL };
	struct native_process *process = (struct native_process *)self;
	struct native_kernel *kernel = process->kernel;
	struct native_crossing crossing;
	struct host_result result = { 0 };
	struct host_process *host;
	PyObject *child;
	unsigned int namespaces = 0;

	if (!PyArg_ParseTupleAndKeywords(args, keywords, "|$I:spawn", names,
					 &namespaces))
		return NULL;
	if (!native_check_process(process))
		return NULL;
	native_enter(kernel, &crossing);
	host = kernel->side->spawn(process->host, namespaces, &result);
	native_leave(kernel, &crossing);
	if (!native_plain(&result) && !native_check(kernel, &result)) {
		/* A signal's exception may come with a process: drop it. */
		if (host && kernel->host)
			kernel->side->let_go(host);
		return NULL;
	}
	if (!host)
		return native_os_error(
			kernel, result.value < 0 ? (int)-result.value : EAGAIN);
	child = native_process_new(kernel, host, false);
	if (!child)
		kernel->side->let_go(host);
	return child;
}

static PyObject *native_exit(PyObject *self, PyObject *unused)
{
	static const u64 status_zero[6];
	struct native_process *process = (struct native_process *)self;
	s64 value;

	(void)unused;
	if (process->is_init) {
		PyErr_SetString(
			PyExc_PermissionError,
			"init cannot exit, the kernel would panic; close the kernel");
		return NULL;
	}
	if (process->exited || !process->kernel->host)
		Py_RETURN_NONE;
	if (!native_call(process, NATIVE_NR_exit_group, status_zero, NULL,
			 &value))
		return NULL;
	process->exited = true;
	Py_RETURN_NONE;
}

static PyObject *native_process_repr(PyObject *self)
{
	struct native_process *process = (struct native_process *)self;

	return PyUnicode_FromFormat(
		"<liblinux._native.Process %d%s>", process->pid,
		process->exited || !process->kernel->host ? " ended" : "");
}

#define NATIVE_FAST(function) ((PyCFunction)(void (*)(void))(function))

static PyMethodDef native_process_methods[] = {
	{ "shaped", NATIVE_FAST(native_shaped_call), METH_FASTCALL,
	  "shaped(nr, shape, *args)\n--\n\nA system call whose numbers are checked: two bits of `shape` for each argument,\n0 for anything, 1 for an int, 2 for a long; OSError on failure." },
	{ "syscall", NATIVE_FAST(native_syscall), METH_FASTCALL,
	  "syscall(nr, *args)\n--\n\nA system call; OSError on failure." },
	{ "call", NATIVE_FAST(native_raw_call), METH_FASTCALL,
	  "call(nr, *args)\n--\n\nA system call; -errno on failure." },
	{ "getpid", native_getpid, METH_NOARGS,
	  "getpid()\n--\n\nThe process number, asked of the kernel." },
	{ "read", NATIVE_FAST(native_read), METH_FASTCALL,
	  "read(fd, n, /)\n--\n\nAt most n bytes." },
	{ "pread", NATIVE_FAST(native_pread), METH_FASTCALL,
	  "pread(fd, n, offset, /)\n--\n\nAt most n bytes from offset." },
	{ "readinto", NATIVE_FAST(native_readinto), METH_FASTCALL,
	  "readinto(fd, buffer, /)\n--\n\nFill a buffer; how many bytes." },
	{ "preadinto", NATIVE_FAST(native_preadinto), METH_FASTCALL,
	  "preadinto(fd, buffer, offset, /)\n--\n\nThe same from offset." },
	{ "write", NATIVE_FAST(native_write), METH_FASTCALL,
	  "write(fd, data, /)\n--\n\nWrite; how many bytes." },
	{ "pwrite", NATIVE_FAST(native_pwrite), METH_FASTCALL,
	  "pwrite(fd, data, offset, /)\n--\n\nWrite at offset." },
	{ "open", NATIVE_FAST(native_open), METH_FASTCALL | METH_KEYWORDS,
	  "open(path, flags, mode=0o777, dir_fd=-100)\n--\n\nA descriptor, closed on exec." },
	{ "close", native_close, METH_O,
	  "close(fd, /)\n--\n\nClose a descriptor." },
	{ "stat", NATIVE_FAST(native_stat), METH_FASTCALL | METH_KEYWORDS,
	  "stat(path, *, dir_fd=-100, follow_symlinks=True)\n--\n\nStatus as a tuple." },
	{ "listdir", native_listdir, METH_O,
	  "listdir(path, /)\n--\n\n(name, inode, type) of every entry." },
	{ "walk", NATIVE_FAST(native_walk), METH_FASTCALL | METH_KEYWORDS,
	  "walk(path, *, follow_mounts=True)\n--\n\nA whole tree, and what could not be read." },
	{ "spawn", NATIVE_FAST(native_spawn), METH_VARARGS | METH_KEYWORDS,
	  "spawn(*, namespaces=0)\n--\n\nA child process, in new namespaces if there are CLONE_NEW* flags." },
	{ "exit", native_exit, METH_NOARGS,
	  "exit()\n--\n\nEnd the process; twice does nothing." },
	{ 0 },
};

static PyMemberDef native_process_members[] = {
	{ "pid", T_INT, offsetof(struct native_process, pid), READONLY,
	  "The process number, as its maker's namespace has it." },
	{ "kernel", T_OBJECT_EX, offsetof(struct native_process, kernel),
	  READONLY, "The kernel it belongs to." },
	{ "__weaklistoffset__", T_PYSSIZET,
	  offsetof(struct native_process, weak_references), READONLY, NULL },
	{ 0 },
};

static PyType_Slot native_process_slots[] = {
	{ Py_tp_doc,
	  "A process of a kernel; made by Kernel.init and spawn()." },
	{ Py_tp_dealloc, native_process_free },
	{ Py_tp_traverse, native_process_visit },
	{ Py_tp_repr, native_process_repr },
	{ Py_tp_methods, native_process_methods },
	{ Py_tp_members, native_process_members },
	{ 0 },
};

PyType_Spec native_process_spec = {
	.name = "liblinux._native.Process",
	.basicsize = sizeof(struct native_process),
	.flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC |
		 Py_TPFLAGS_DISALLOW_INSTANTIATION,
	.slots = native_process_slots,
};
