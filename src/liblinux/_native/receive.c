// SPDX-License-Identifier: GPL-2.0-only
/*
 * What sockets receive: methods of Socket, but for messages (message.c).
 */
#include "socket.h"
#include <poll.h>
#include <sys/socket.h>

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
	char *spare =
		__atomic_exchange_n(&native_spare, NULL, __ATOMIC_ACQUIRE);
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

PyObject *native_socket_recv(PyObject *self, PyObject *const *args,
			     Py_ssize_t count)
{
	return native_socket_take_bytes(self, "recv", args, count, NULL);
}

/* (data, address) */
PyObject *native_socket_recvfrom(PyObject *self, PyObject *const *args,
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

PyObject *native_socket_recv_into(PyObject *self, PyObject *const *args,
				  Py_ssize_t count, PyObject *keywords)
{
	s64 received;

	if (!native_socket_take_into(self, "recv_into", args, count, keywords,
				     NULL, &received))
		return NULL;
	return PyLong_FromLongLong(received);
}

/* (bytes, address) */
PyObject *native_socket_recvfrom_into(PyObject *self, PyObject *const *args,
				      Py_ssize_t count, PyObject *keywords)
{
	struct native_peer peer;
	s64 received;

	if (!native_socket_take_into(self, "recvfrom_into", args, count,
				     keywords, &peer, &received))
		return NULL;
	return Py_BuildValue("LN", (long long)received,
			     native_peer_bytes(&peer));
}
