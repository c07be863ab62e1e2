// SPDX-License-Identifier: GPL-2.0-only
/*
 * Socket: the calls of a socket that have to be quick, and its timeout. All else
 * about sockets is Python (liblinux/_sockets), whose class is made from this
 * one. Addresses are bytes here, as the kernel has them.
 *
 * As in the standard library, a socket with a timeout is one of the kernel's
 * that does not wait; a call that cannot do anything yet is followed by ppoll(),
 * which counts down what is left of the time, by the kernel's own clock. The
 * call comes first and not the poll: mostly there is nothing to wait for.
 *
 * A socket with a waiter never waits in the kernel, with or without a timeout:
 * the waiter, a Python function, is called instead of ppoll(). By it the threads
 * of a network take turns (liblinux/running).
 *
 * No call raises a signal (MSG_NOSIGNAL): SIGPIPE would end the process.
 */
#include "socket.h"
#include <poll.h>
#include <sys/socket.h>
#include <time.h>

#define SECOND_NS 1000000000LL

/* ---- calling and waiting --------------------------------------------- */

/* waiter(fd, events, nanoseconds or -1) returns what is left of the time. */
static bool native_socket_ask_waiter(struct native_socket *sock,
				     struct native_deadline *deadline)
{
	PyObject *left = PyObject_CallFunction(sock->waiter, "iiL", sock->fd,
					       (int)deadline->events,
					       (long long)deadline->left_ns);

	if (!left)
		return false;
	deadline->left_ns = PyLong_AsLongLong(left);
	Py_DECREF(left);
	return !PyErr_Occurred();
}

/* May the call wait, which said that it would have to? */
static bool native_socket_may_wait(struct native_socket *sock, s64 nr,
				   const u64 args[6])
{
	u64 flags = 0;

	if (sock->timeout_ns >= 0 || !native_socket_has_waiter(sock))
		return sock->timeout_ns > 0;
	if (nr == NATIVE_NR_sendto || nr == NATIVE_NR_recvfrom)
		flags = args[3];
	else if (nr == NATIVE_NR_sendmsg || nr == NATIVE_NR_recvmsg)
		flags = args[2];
	return !(flags & MSG_DONTWAIT);
}

/* False with an exception; TimeoutError when nothing is left of the time. */
static bool native_socket_wait(struct native_socket *sock,
			       struct native_deadline *deadline)
{
	struct pollfd poll = { .fd = sock->fd, .events = deadline->events };
	struct timespec left = { deadline->left_ns / SECOND_NS,
				 deadline->left_ns % SECOND_NS };
	const u64 args[6] = { (u64)&poll, 1, (u64)&left };
	const u32 both = HOST_SPAN_IN | HOST_SPAN_OUT;
	const struct host_spans spans = {
		.count = 2,
		.span = { { 0, both, sizeof(poll) },
			  { 2, both, sizeof(left) } },
	};
	s64 ready;

	if (native_socket_has_waiter(sock))
		return native_socket_ask_waiter(sock, deadline);
	if (!native_call(sock->process, NATIVE_NR_ppoll, args, &spans, &ready))
		return false;
	deadline->left_ns = left.tv_sec * SECOND_NS + left.tv_nsec;
	if (ready > 0)
		return true;
	if (!ready)
		PyErr_SetString(PyExc_TimeoutError, "timed out");
	else
		native_os_error(sock->process->kernel, (int)-ready);
	return false;
}

/* The same with the kernel's answer, -errno too, except while it may wait. */
static bool native_socket_ask(struct native_socket *sock, s64 nr, u64 args[6],
			      const struct host_spans *spans,
			      struct native_deadline *deadline, s64 *value)
{
	if (!sock->process) {
		errno = EBADF;
		PyErr_SetFromErrno(PyExc_OSError);
		return false;
	}
	for (;;) {
		args[0] = (u64)sock->fd; /* another thread may have closed it */
		if (!native_call(sock->process, nr, args, spans, value))
			return false;
		if (*value != -EAGAIN ||
		    !native_socket_may_wait(sock, nr, args))
			return true;
		if (!native_socket_wait(sock, deadline))
			return false;
	}
}

bool native_socket_call(struct native_socket *sock, s64 nr, u64 args[6],
			const struct host_spans *spans,
			struct native_deadline *deadline, s64 *value)
{
	if (!native_socket_ask(sock, nr, args, spans, deadline, value))
		return false;
	if (*value >= 0)
		return true;
	native_os_error(sock->process->kernel, (int)-*value);
	return false;
}

bool native_socket_count(const char *function, Py_ssize_t count,
			 Py_ssize_t least, Py_ssize_t most)
{
	if (count >= least && count <= most)
		return true;
	PyErr_Format(PyExc_TypeError,
		     "%s() takes from %zd to %zd arguments, not %zd", function,
		     least, most, count);
	return false;
}

/* ---- connections ----------------------------------------------------- */

PyObject *native_peer_bytes(const struct native_peer *peer)
{
	int length = peer->length;

	if (length < 0 || length > NATIVE_ADDRESS_BYTES)
		length = length < 0 ? 0 : NATIVE_ADDRESS_BYTES;
	return PyBytes_FromStringAndSize(peer->address, length);
}

/* (descriptor, address) */
static PyObject *native_socket_accept(PyObject *self, PyObject *unused)
{
	struct native_socket *sock = (struct native_socket *)self;
	struct native_deadline deadline = native_deadline(sock, POLLIN);
	struct native_peer peer = { .length = sizeof(peer.address) };
	u64 args[6] = { 0, (u64)peer.address, (u64)&peer.length,
			SOCK_CLOEXEC | (native_socket_has_waiter(sock) ?
						SOCK_NONBLOCK :
						0) };
	const u32 both = HOST_SPAN_IN | HOST_SPAN_OUT;
	struct host_spans spans = {
		.count = 2,
		.span = { { 1, both, sizeof(peer.address) },
			  { 2, both, sizeof(peer.length) } },
	};
	s64 fd;

	(void)unused;
	if (sock->family ==
	    AF_ALG) { /* it has no addresses, and fails if asked */
		args[1] = args[2] = 0;
		spans.count = 0;
		peer.length = 0;
	}
	if (!native_socket_call(sock, NATIVE_NR_accept4, args, &spans,
				&deadline, &fd))
		return NULL;
	return Py_BuildValue("iN", (int)fd, native_peer_bytes(&peer));
}

static bool native_socket_error(struct native_socket *sock, s64 *error)
{
	int value = 0, length = sizeof(value);
	u64 args[6] = { 0, SOL_SOCKET, SO_ERROR, (u64)&value, (u64)&length };
	const u32 both = HOST_SPAN_IN | HOST_SPAN_OUT;
	const struct host_spans spans = {
		.count = 2,
		.span = { { 3, both, sizeof(value) },
			  { 4, both, sizeof(length) } },
	};

	if (!native_socket_call(sock, NATIVE_NR_getsockopt, args, &spans, NULL,
				error))
		return false;
	*error = value;
	return true;
}

/* The errno that it failed with, 0 when it is connected. */
static PyObject *native_socket_connect(PyObject *self, PyObject *address)
{
	struct native_socket *sock = (struct native_socket *)self;
	struct native_deadline deadline = native_deadline(sock, POLLOUT);
	u64 args[6] = { 0 };
	struct host_spans spans = { .count = 1 };
	Py_buffer to;
	bool worked;
	s64 answer;

	if (PyObject_GetBuffer(address, &to, PyBUF_SIMPLE) < 0)
		return NULL;
	args[1] = (u64)to.buf;
	args[2] = (u64)to.len;
	spans.span[0] = (struct host_span){ 1, HOST_SPAN_IN, (u64)to.len };
	worked = native_socket_ask(sock, NATIVE_NR_connect, args, &spans,
				   &deadline, &answer);
	PyBuffer_Release(&to);
	if (!worked)
		return NULL;
	answer = -answer;
	if (answer == EINPROGRESS &&
	    native_socket_may_wait(sock, NATIVE_NR_connect, args) &&
	    (!native_socket_wait(sock, &deadline) ||
	     !native_socket_error(sock, &answer)))
		return NULL;
	return PyLong_FromLongLong(answer);
}

static PyObject *native_socket_fileno(PyObject *self, PyObject *unused)
{
	(void)unused;
	return PyLong_FromLong(((struct native_socket *)self)->fd);
}

/* ---- the type -------------------------------------------------------- */

static PyObject *native_socket_new(PyTypeObject *type, PyObject *args,
				   PyObject *keywords)
{
	struct native_socket *sock =
		(struct native_socket *)type->tp_alloc(type, 0);

	(void)args;
	(void)keywords;
	if (sock) {
		sock->fd = -1;
		sock->timeout_ns = -1;
	}
	return (PyObject *)sock;
}

static int native_socket_init(PyObject *self, PyObject *args,
			      PyObject *keywords)
{
	struct native_socket *sock = (struct native_socket *)self;
	struct native_module *state = native_module_above(Py_TYPE(self));
	struct native_process *process;
	int fd, family, type, proto;

	(void)keywords;
	if (!state ||
	    !PyArg_ParseTuple(args, "O!iiii:Socket", state->process_type,
			      &process, &fd, &family, &type, &proto))
		return -1;
	Py_XSETREF(sock->process,
		   (struct native_process *)Py_NewRef((PyObject *)process));
	sock->fd = fd;
	sock->family = family;
	sock->type = type;
	sock->proto = proto;
	sock->timeout_ns = -1;
	return 0;
}

static int native_socket_visit(PyObject *self, visitproc visit, void *arg)
{
	Py_VISIT(Py_TYPE(self));
	Py_VISIT(((struct native_socket *)self)->process);
	Py_VISIT(((struct native_socket *)self)->waiter);
	return 0;
}

/* The descriptor is not closed: that is for the class made from this. */
static void native_socket_free(PyObject *self)
{
	PyObject_GC_UnTrack(self);
	Py_CLEAR(((struct native_socket *)self)->process);
	Py_CLEAR(((struct native_socket *)self)->waiter);
	native_free(self);
}

#define NATIVE_FAST(function) ((PyCFunction)(void (*)(void))(function))

static PyMethodDef native_socket_methods[] = {
	{ "fileno", native_socket_fileno, METH_NOARGS,
	  "fileno()\n--\n\nThe kernel's descriptor, or -1 when it is closed." },
	{ "send", NATIVE_FAST(native_socket_send), METH_FASTCALL,
	  "send(data, flags=0, /)\n--\n\nSend some of the data; how many bytes." },
	{ "sendall", NATIVE_FAST(native_socket_sendall), METH_FASTCALL,
	  "sendall(data, flags=0, /)\n--\n\nSend all of the data." },
	{ "recv", NATIVE_FAST(native_socket_recv), METH_FASTCALL,
	  "recv(bufsize, flags=0, /)\n--\n\nAt most bufsize bytes; none at the end." },
	{ "recv_into", NATIVE_FAST(native_socket_recv_into),
	  METH_FASTCALL | METH_KEYWORDS,
	  "recv_into(buffer, nbytes=0, flags=0)\n--\n\nReceive into a buffer; how many bytes." },
	{ "_sendto", NATIVE_FAST(native_socket_sendto), METH_FASTCALL, NULL },
	{ "_recvfrom", NATIVE_FAST(native_socket_recvfrom), METH_FASTCALL,
	  NULL },
	{ "_recvfrom_into", NATIVE_FAST(native_socket_recvfrom_into),
	  METH_FASTCALL | METH_KEYWORDS, NULL },
	{ "_sendmsg", NATIVE_FAST(native_socket_sendmsg), METH_FASTCALL, NULL },
	{ "_recvmsg", NATIVE_FAST(native_socket_recvmsg), METH_FASTCALL, NULL },
	{ "_recvmsg_into", NATIVE_FAST(native_socket_recvmsg_into),
	  METH_FASTCALL, NULL },
	{ "_accept", native_socket_accept, METH_NOARGS, NULL },
	{ "_connect", native_socket_connect, METH_O, NULL },
	{ 0 },
};

static PyMemberDef native_socket_members[] = {
	{ "_fd", T_INT, offsetof(struct native_socket, fd), 0, NULL },
	{ "_family", T_INT, offsetof(struct native_socket, family), READONLY,
	  NULL },
	{ "_type", T_INT, offsetof(struct native_socket, type), READONLY,
	  NULL },
	{ "proto", T_INT, offsetof(struct native_socket, proto), READONLY,
	  "The protocol, a number." },
	{ "_timeout_ns", T_LONGLONG, offsetof(struct native_socket, timeout_ns),
	  0, NULL },
	{ "_waiter", T_OBJECT, offsetof(struct native_socket, waiter), 0,
	  NULL },
	{ 0 },
};

static PyType_Slot native_socket_slots[] = {
	{ Py_tp_doc, "The quick calls of a socket; see liblinux.Socket." },
	{ Py_tp_new, native_socket_new },
	{ Py_tp_init, native_socket_init },
	{ Py_tp_dealloc, native_socket_free },
	{ Py_tp_traverse, native_socket_visit },
	{ Py_tp_methods, native_socket_methods },
	{ Py_tp_members, native_socket_members },
	{ 0 },
};

PyType_Spec native_socket_spec = {
	.name = "liblinux._native.Socket",
	.basicsize = sizeof(struct native_socket),
	.flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
	.slots = native_socket_slots,
};
