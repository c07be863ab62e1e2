// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a kernel says of itself: the attributes of Kernel, the numbers of its
 * system calls by name among them.
 */
#include "native.h"
#include "jail.h"

/*
 * The kernel names a call by its function, which for a few is not the name in
 * the manual; these have both.
 */
static const struct {
	int nr;
	const char *name;
} native_manual_names[] = {
	{ 4, "stat" },	    { 5, "fstat" },  { 6, "lstat" },
	{ 40, "sendfile" }, { 63, "uname" }, { 166, "umount2" },
};

static int native_add_syscall(PyObject *numbers, const char *name,
			      Py_ssize_t bytes, long nr)
{
	PyObject *key = PyUnicode_FromStringAndSize(name, bytes);
	PyObject *value = PyLong_FromLong(nr);
	int result = -1;

	if (key && value)
		result = PyDict_SetDefault(numbers, key, value) ? 0 : -1;
	Py_XDECREF(key);
	Py_XDECREF(value);
	return result;
}

static int native_add_line(PyObject *numbers, const char *line)
{
	char *name;
	long nr = strtol(line, &name, 10);

	if (name == line || strncmp(name, "=sys_", 5) ||
	    !strncmp(name, "=sys_ni_", 8))
		return 0;
	name += 5;
	if (native_add_syscall(numbers, name, (Py_ssize_t)strcspn(name, "\n"),
			       nr) < 0)
		return -1;
	for (size_t at = 0; at < Py_ARRAY_LENGTH(native_manual_names); at++) {
		const char *manual = native_manual_names[at].name;

		if (native_manual_names[at].nr == nr &&
		    native_add_syscall(numbers, manual,
				       (Py_ssize_t)strlen(manual), nr) < 0)
			return -1;
	}
	return 0;
}

static PyObject *native_get_syscalls(PyObject *self, void *unused)
{
	struct native_kernel *kernel = (struct native_kernel *)self;
	PyObject *numbers;
	const char *line;

	(void)unused;
	if (kernel->syscalls)
		return Py_NewRef(kernel->syscalls);
	if (!native_check_open(kernel))
		return NULL;
	numbers = PyDict_New();
	line = kernel->side->syscalls(kernel->host);
	while (numbers && line && *line) {
		if (native_add_line(numbers, line) < 0)
			Py_CLEAR(numbers);
		line = strchr(line, '\n');
		line = line ? line + 1 : NULL;
	}
	kernel->syscalls = Py_XNewRef(numbers);
	return numbers;
}

static PyObject *native_get_release(PyObject *self, void *unused)
{
	struct native_kernel *kernel = (struct native_kernel *)self;

	(void)unused;
	if (!native_check_open(kernel))
		return NULL;
	return PyUnicode_FromString(kernel->side->release(kernel->host));
}

static PyObject *native_get_init(PyObject *self, void *unused)
{
	struct native_kernel *kernel = (struct native_kernel *)self;

	(void)unused;
	if (kernel->init)
		return Py_NewRef((PyObject *)kernel->init);
	if (!native_check_open(kernel))
		return NULL;
	kernel->init = (struct native_process *)native_process_new(
		kernel, kernel->side->init(kernel->host), true);
	return (PyObject *)kernel->init;
}

static PyObject *native_get_dead(PyObject *self, void *unused)
{
	struct native_kernel *kernel = (struct native_kernel *)self;
	const char *text = kernel->host ? kernel->side->dead(kernel->host) :
					  NULL;

	(void)unused;
	if (text)
		return PyUnicode_DecodeUTF8(text, strlen(text), "replace");
	return Py_NewRef(kernel->last_words ? kernel->last_words : Py_None);
}

static PyObject *native_get_closed(PyObject *self, void *unused)
{
	(void)unused;
	return PyBool_FromLong(!((struct native_kernel *)self)->host);
}

static PyObject *native_get_text_base(PyObject *self, void *unused)
{
	struct native_kernel *kernel = (struct native_kernel *)self;

	(void)unused;
	if (!native_check_open(kernel))
		return NULL;
	return PyLong_FromUnsignedLongLong(kernel->side->text(kernel->host));
}

static PyObject *native_get_log_pending(PyObject *self, void *unused)
{
	struct native_kernel *kernel = (struct native_kernel *)self;

	(void)unused;
	if (!native_check_open(kernel))
		return NULL;
	return PyBool_FromLong(kernel->side->log_pending(kernel->host));
}

static PyObject *native_get_isolated(PyObject *self, void *unused)
{
	(void)unused;
	return PyBool_FromLong(((struct native_kernel *)self)->side ==
			       &jail_side);
}

PyGetSetDef native_kernel_attributes[] = {
	{ "release", native_get_release, NULL, "As in uname -r.", NULL },
	{ "syscalls", native_get_syscalls, NULL, "Numbers by name.", NULL },
	{ "init", native_get_init, NULL, "Process 1.", NULL },
	{ "dead", native_get_dead, NULL, "Why it died, or None.", NULL },
	{ "isolated", native_get_isolated, NULL,
	  "Whether it is in a process of its own.", NULL },
	{ "closed", native_get_closed, NULL, "Whether it is gone.", NULL },
	{ "log_pending", native_get_log_pending, NULL,
	  "Whether log() has anything.", NULL },
	{ "text_base", native_get_text_base, NULL,
	  "Address of the kernel's text.", NULL },
	{ 0 },
};
