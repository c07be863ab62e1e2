// SPDX-License-Identifier: GPL-2.0-only
/*
 * What sockets send: methods of Socket, but for messages (message.c).
 */
#include "socket.h"
#include <poll.h>
#include <sys/socket.h>

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

PyObject *native_socket_send(PyObject *self, PyObject *const *args,
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

PyObject *native_socket_sendall(PyObject *self, PyObject *const *args,
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
PyObject *native_socket_sendto(PyObject *self, PyObject *const *args,
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
