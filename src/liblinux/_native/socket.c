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

static struct native_deadline native_deadline(struct native_socket *sock,
					      short events)
{
	return (struct native_deadline){ sock->timeout_ns, events };
}

static bool native_socket_count(const char *function, Py_ssize_t count,
				Py_ssize_t least, Py_ssize_t most)
{
	if (count >= least && count <= most)
		return true;
	PyErr_Format(PyExc_TypeError,
		     "%s() takes from %zd to %zd arguments, not %zd", function,
		     least, most, count);
	return false;
}

/* ---- sending --------------------------------------------------------- */

static bool native_socket_send_some(struct native_socket *sock,
				    const char *data, Py_ssize_t length,
				    int flags, const Py_buffer *to,
				    struct native_deadline *deadline, s64 *sent)
{
	u64 args[6] = { 0, (u64)data, (u64)length, (u64)flags | MSG_NOSIGNAL };
	struct host_spans spans = {
		.count = 1,
		.span = { { 1, HOST_SPAN_IN, (u64)length } },
	};

	if (to) {
		args[4] = (u64)to->buf;
		args[5] = (u64)to->len;
		spans.span[spans.count++] =
			(struct host_span){ 4, HOST_SPAN_IN, (u64)to->len };
	}
	return native_socket_call(sock, NATIVE_NR_sendto, args, &spans,
				  deadline, sent);
}

static PyObject *native_socket_send(PyObject *self, PyObject *const *args,
				    Py_ssize_t count)
{
	struct native_socket *sock = (struct native_socket *)self;
	struct native_deadline deadline = native_deadline(sock, POLLOUT);
	int flags = 0;
	Py_buffer data;
	bool worked;
	s64 sent;

	if (!native_socket_count("send", count, 1, 2) ||
	    (count > 1 && !native_int(args[1], &flags)) ||
	    PyObject_GetBuffer(args[0], &data, PyBUF_SIMPLE) < 0)
		return NULL;
	worked = native_socket_send_some(sock, data.buf, data.len, flags, NULL,
					 &deadline, &sent);
	PyBuffer_Release(&data);
	return worked ? PyLong_FromLongLong(sent) : NULL;
}

static PyObject *native_socket_sendall(PyObject *self, PyObject *const *args,
				       Py_ssize_t count)
{
	struct native_socket *sock = (struct native_socket *)self;
	struct native_deadline deadline = native_deadline(sock, POLLOUT);
	Py_ssize_t done = 0;
	int flags = 0;
	Py_buffer data;
	bool worked;
	s64 sent;

	if (!native_socket_count("sendall", count, 1, 2) ||
	    (count > 1 && !native_int(args[1], &flags)) ||
	    PyObject_GetBuffer(args[0], &data, PyBUF_SIMPLE) < 0)
		return NULL;
	do {
		worked = native_socket_send_some(sock, (char *)data.buf + done,
						 data.len - done, flags, NULL,
						 &deadline, &sent);
		done += worked ? (Py_ssize_t)sent : 0;
	} while (worked && done < data.len);
	PyBuffer_Release(&data);
	if (!worked)
		return NULL;
	Py_RETURN_NONE;
}

/* sendto(data, flags, address) */
static PyObject *native_socket_sendto(PyObject *self, PyObject *const *args,
				      Py_ssize_t count)
{
	struct native_socket *sock = (struct native_socket *)self;
	struct native_deadline deadline = native_deadline(sock, POLLOUT);
	Py_buffer data, to;
	bool worked;
	int flags;
	s64 sent;

	if (!native_socket_count("_sendto", count, 3, 3) ||
	    !native_int(args[1], &flags) ||
	    PyObject_GetBuffer(args[0], &data, PyBUF_SIMPLE) < 0)
		return NULL;
	if (PyObject_GetBuffer(args[2], &to, PyBUF_SIMPLE) < 0) {
		PyBuffer_Release(&data);
		return NULL;
	}
	worked = native_socket_send_some(sock, data.buf, data.len, flags, &to,
					 &deadline, &sent);
	PyBuffer_Release(&to);
	PyBuffer_Release(&data);
	return worked ? PyLong_FromLongLong(sent) : NULL;
}

/* ---- receiving ------------------------------------------------------- */

/* Where the kernel puts the address of a peer. */
struct native_peer {
	char address[NATIVE_ADDRESS_BYTES];
	int length; /* of the whole address, of which there may be less */
};

static PyObject *native_peer_bytes(const struct native_peer *peer)
{
	int length = peer->length;

	if (length < 0 || length > NATIVE_ADDRESS_BYTES)
		length = length < 0 ? 0 : NATIVE_ADDRESS_BYTES;
	return PyBytes_FromStringAndSize(peer->address, length);
}

static bool native_socket_take(struct native_socket *sock, void *room,
			       Py_ssize_t bytes, int flags,
			       struct native_peer *peer, s64 *received)
{
	struct native_deadline deadline = native_deadline(sock, POLLIN);
	u64 args[6] = { 0, (u64)room, (u64)bytes, (u64)flags };
	struct host_spans spans = {
		.count = 1,
		.span = { { 1, HOST_SPAN_OUT | HOST_SPAN_RESULT, (u64)bytes } },
	};

	if (flags &
	    MSG_TRUNC) /* the result may be more than there is room for */
		spans.span[0].ways = HOST_SPAN_OUT;
	if (peer) {
		peer->length = sizeof(peer->address);
		args[4] = (u64)peer->address;
		args[5] = (u64)&peer->length;
		spans.span[spans.count++] =
			(struct host_span){ 4, HOST_SPAN_IN | HOST_SPAN_OUT,
					    sizeof(peer->address) };
		spans.span[spans.count++] =
			(struct host_span){ 5, HOST_SPAN_IN | HOST_SPAN_OUT,
					    sizeof(peer->length) };
	}
	return native_socket_call(sock, NATIVE_NR_recvfrom, args, &spans,
				  &deadline, received);
}

/*
 * Programs ask for much more than what comes: asyncio for 256 KiB, of which some
 * hundred bytes are filled. A bytes object of that size would be mapped and
 * unmapped by the host every time, which was a third of what a simulated host
 * cost. So it is received into memory that is kept, and copied.
 */
#define SPARE_LEAST_BYTES (16 * 1024)
#define SPARE_BYTES (256 * 1024)

/* Whoever takes it leaves NULL: others, who come meanwhile, make their own. */
static char *native_spare;

static PyObject *native_socket_take_some(PyObject *self, Py_ssize_t room,
					 int flags, struct native_peer *peer)
{
	char *spare = __atomic_exchange_n(&native_spare, NULL, __ATOMIC_ACQUIRE);
	PyObject *bytes = NULL;
	s64 received;

	if (!spare)
		spare = malloc(SPARE_BYTES);
	if (!spare)
		return PyErr_NoMemory();
	if (native_socket_take((struct native_socket *)self, spare, room, flags,
			       peer, &received))
		/* With MSG_TRUNC it is the length of what was cut. */
		bytes = PyBytes_FromStringAndSize(
			spare, received < room ? (Py_ssize_t)received : room);
	free(__atomic_exchange_n(&native_spare, spare, __ATOMIC_ACQ_REL));
	return bytes;
}

static PyObject *native_socket_take_bytes(PyObject *self, const char *function,
					  PyObject *const *args,
					  Py_ssize_t count,
					  struct native_peer *peer)
{
	Py_ssize_t room;
	PyObject *bytes;
	int flags = 0;
	s64 received;

	if (!native_socket_count(function, count, 1, 2))
		return NULL;
	room = PyNumber_AsSsize_t(args[0], PyExc_OverflowError);
	if ((room == -1 && PyErr_Occurred()) ||
	    (count > 1 && !native_int(args[1], &flags)))
		return NULL;
	if (room < 0) {
		PyErr_Format(PyExc_ValueError, "negative buffersize in %s",
			     function);
		return NULL;
	}
	if (room >= SPARE_LEAST_BYTES && room <= SPARE_BYTES)
		return native_socket_take_some(self, room, flags, peer);
	bytes = PyBytes_FromStringAndSize(NULL, room);
	if (!bytes)
		return NULL;
	if (!native_socket_take((struct native_socket *)self,
				PyBytes_AS_STRING(bytes), room, flags, peer,
				&received)) {
		Py_DECREF(bytes);
		return NULL;
	}
	/* With MSG_TRUNC it is the length of what was cut. */
	if (received < room)
		_PyBytes_Resize(&bytes, (Py_ssize_t)received);
	return bytes;
}

static PyObject *native_socket_recv(PyObject *self, PyObject *const *args,
				    Py_ssize_t count)
{
	return native_socket_take_bytes(self, "recv", args, count, NULL);
}

/* (data, address) */
static PyObject *native_socket_recvfrom(PyObject *self, PyObject *const *args,
					Py_ssize_t count)
{
	struct native_peer peer;
	PyObject *bytes =
		native_socket_take_bytes(self, "recvfrom", args, count, &peer);

	return bytes ? Py_BuildValue("NN", bytes, native_peer_bytes(&peer)) :
		       NULL;
}

/* The same exception as the standard library's for what cannot be written. */
bool native_socket_buffer(const char *function, PyObject *object,
			  Py_buffer *buffer)
{
	if (PyObject_GetBuffer(object, buffer, PyBUF_WRITABLE) == 0)
		return true;
	if (PyErr_ExceptionMatches(PyExc_BufferError) ||
	    PyErr_ExceptionMatches(PyExc_TypeError))
		PyErr_Format(
			PyExc_TypeError,
			"%s() needs a read-write bytes-like object, not %.100s",
			function, Py_TYPE(object)->tp_name);
	return false;
}

static bool native_socket_take_into(PyObject *self, const char *function,
				    PyObject *const *args, Py_ssize_t count,
				    PyObject *keywords,
				    struct native_peer *peer, s64 *received)
{
	static const char *const names[] = { "buffer", "nbytes", "flags" };
	PyObject *slots[3];
	Py_ssize_t bytes = 0;
	Py_buffer buffer;
	int flags = 0;
	bool worked = false;

	if (!native_keywords(function, names, 3, 3, 1, args, count, keywords,
			     slots) ||
	    (slots[2] && !native_int(slots[2], &flags)))
		return false;
	if (slots[1]) {
		bytes = PyNumber_AsSsize_t(slots[1], PyExc_OverflowError);
		if (bytes == -1 && PyErr_Occurred())
			return false;
	}
	if (!native_socket_buffer(function, slots[0], &buffer))
		return false;
	if (bytes < 0)
		PyErr_Format(PyExc_ValueError, "negative buffersize in %s",
			     function);
	else if (bytes > buffer.len)
		PyErr_SetString(PyExc_ValueError,
				"buffer too small for requested bytes");
	else
		worked = native_socket_take((struct native_socket *)self,
					    buffer.buf,
					    bytes ? bytes : buffer.len, flags,
					    peer, received);
	PyBuffer_Release(&buffer);
	return worked;
}

static PyObject *native_socket_recv_into(PyObject *self, PyObject *const *args,
					 Py_ssize_t count, PyObject *keywords)
{
	s64 received;

	if (!native_socket_take_into(self, "recv_into", args, count, keywords,
				     NULL, &received))
		return NULL;
	return PyLong_FromLongLong(received);
}

/* (bytes, address) */
static PyObject *native_socket_recvfrom_into(PyObject *self,
					     PyObject *const *args,
					     Py_ssize_t count,
					     PyObject *keywords)
{
	struct native_peer peer;
	s64 received;

	if (!native_socket_take_into(self, "recvfrom_into", args, count,
				     keywords, &peer, &received))
		return NULL;
	return Py_BuildValue("LN", (long long)received,
			     native_peer_bytes(&peer));
}

/* ---- connections ----------------------------------------------------- */

/* (descriptor, address) */
static PyObject *native_socket_accept(PyObject *self, PyObject *unused)
{
	struct native_socket *sock = (struct native_socket *)self;
	struct native_deadline deadline = native_deadline(sock, POLLIN);
	struct native_peer peer = { .length = sizeof(peer.address) };
	u64 args[6] = { 0, (u64)peer.address, (u64)&peer.length,
			SOCK_CLOEXEC |
				(native_socket_has_waiter(sock) ? SOCK_NONBLOCK :
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
