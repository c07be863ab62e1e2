/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The ground of `kernel.socket.socket`: what socket.c, send.c, receive.c and
 * message.c share.
 */
#ifndef LIBLINUX_NATIVE_SOCKET_H
#define LIBLINUX_NATIVE_SOCKET_H

#include "native.h"

struct native_socket {
	PyObject_HEAD struct native_process *process; /* NULL before __init__ */
	int fd; /* of the kernel; -1: closed */
	int family, type, proto;
	long long timeout_ns; /* negative: none, calls wait for ever; 0: never */
	PyObject *waiter; /* NULL or None: waits are in the kernel */
};

static inline bool native_socket_has_waiter(const struct native_socket *sock)
{
	return sock->waiter && sock->waiter != Py_None;
}

/* sizeof(struct sockaddr_storage), of which no address is longer */
#define NATIVE_ADDRESS_BYTES 128

/* What calls that wait are given: the rest of the time, and for which event. */
struct native_deadline {
	s64 left_ns;
	short events; /* of poll(2) */
};

static inline struct native_deadline native_deadline(struct native_socket *sock,
						     short events)
{
	return (struct native_deadline){ sock->timeout_ns, events };
}

/*
 * A call about the socket, whose descriptor is the first argument; it waits as
 * long as the socket's timeout says. False with an exception: TimeoutError,
 * OSError for any other -errno, KernelClosed...
 */
bool native_socket_call(struct native_socket *sock, s64 nr, u64 args[6],
			const struct host_spans *spans,
			struct native_deadline *deadline, s64 *value);

/* Whether so many arguments may be given; false with TypeError. */
bool native_socket_count(const char *function, Py_ssize_t count,
			 Py_ssize_t least, Py_ssize_t most);

/* Where the kernel puts the address of a peer. */
struct native_peer {
	char address[NATIVE_ADDRESS_BYTES];
	int length; /* of the whole address, of which there may be less */
};

PyObject *native_peer_bytes(const struct native_peer *peer);

/* A buffer to be written to; false with TypeError. */
bool native_socket_buffer(const char *function, PyObject *object,
			  Py_buffer *buffer);

/* ---- methods, in files of their own ---------------------------------- */

PyObject *native_socket_send(PyObject *self, PyObject *const *args,
			     Py_ssize_t count);
PyObject *native_socket_sendall(PyObject *self, PyObject *const *args,
				Py_ssize_t count);
PyObject *native_socket_sendto(PyObject *self, PyObject *const *args,
			       Py_ssize_t count);

PyObject *native_socket_recv(PyObject *self, PyObject *const *args,
			     Py_ssize_t count);
PyObject *native_socket_recvfrom(PyObject *self, PyObject *const *args,
				 Py_ssize_t count);
PyObject *native_socket_recv_into(PyObject *self, PyObject *const *args,
				  Py_ssize_t count, PyObject *keywords);
PyObject *native_socket_recvfrom_into(PyObject *self, PyObject *const *args,
				      Py_ssize_t count, PyObject *keywords);

PyObject *native_socket_sendmsg(PyObject *self, PyObject *const *args,
				Py_ssize_t count);
PyObject *native_socket_recvmsg(PyObject *self, PyObject *const *args,
				Py_ssize_t count);
PyObject *native_socket_recvmsg_into(PyObject *self, PyObject *const *args,
				     Py_ssize_t count);

#endif /* LIBLINUX_NATIVE_SOCKET_H */
