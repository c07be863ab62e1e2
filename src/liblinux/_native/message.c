// SPDX-License-Identifier: GPL-2.0-only
/*
 * sendmsg and recvmsg of a Socket: the calls whose argument holds addresses.
 *
 * A kernel in this process follows them to where they lead: the caller's own
 * buffers. For one that is elsewhere everything (header, address, control
 * data, vector and contents) is in one block of the memory that it shares with
 * us, copied there before the call and back after it. What comes back from
 * there is a stranger's: lengths are looked at before they are used.
 */
#include "socket.h"
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

/* What the kernel takes at most (UIO_MAXIOV), and our own for control data. */
#define VECTOR_MAX 1024
#define CONTROL_BYTES_MAX (1 << 20)
#define PART_ALIGN 16

struct native_message {
	struct msghdr *head; /* the one that the kernel sees */
	struct msghdr own_head;
	char own_name[NATIVE_ADDRESS_BYTES];
	struct iovec *vector;
	Py_buffer *buffers;
	int nr_buffers;
	PyObject *sequence; /* that the buffers are from */
	char *control; /* ours, of control_bytes */
	size_t control_bytes, name_bytes;
	u64 total; /* bytes of all buffers */
	struct host_kernel *host; /* whose block it is */
	const struct host_side *side;
	char *block; /* NULL: the kernel is here */
	size_t block_data; /* where the contents begin in it */
};

static size_t native_part(size_t bytes)
{
	return (bytes + PART_ALIGN - 1) & ~(size_t)(PART_ALIGN - 1);
}

static void native_message_end(struct native_message *message)
{
	while (message->nr_buffers)
		PyBuffer_Release(&message->buffers[--message->nr_buffers]);
	PyMem_Free(message->buffers);
	PyMem_Free(message->vector);
	PyMem_Free(message->control);
	Py_XDECREF(message->sequence);
}

/* The block of a closed or dead kernel is gone with it. */
static void native_message_free_block(struct native_message *message,
				      struct native_kernel *kernel)
{
	if (message->block && kernel->host)
		message->side->free(message->host, (u64)message->block);
	message->block = NULL;
}

/* The buffers of a sequence; false with an exception. */
static bool native_message_buffers(struct native_message *message,
				   PyObject *sequence, bool writable,
				   const char *complaint)
{
	Py_ssize_t count;

	message->sequence = PySequence_Fast(sequence, complaint);
	if (!message->sequence)
		return false;
	count = PySequence_Fast_GET_SIZE(message->sequence);
	if (count > VECTOR_MAX) {
		PyErr_Format(PyExc_OSError, "%s: at most %d buffers", complaint,
			     VECTOR_MAX);
		return false;
	}
	message->buffers =
		PyMem_Calloc(count ? (size_t)count : 1, sizeof(Py_buffer));
	message->vector =
		PyMem_Calloc(count ? (size_t)count : 1, sizeof(struct iovec));
	if (!message->buffers || !message->vector) {
		PyErr_NoMemory();
		return false;
	}
	while (message->nr_buffers < count) {
		int at = message->nr_buffers;
		Py_buffer *buffer = &message->buffers[at];
		PyObject *one = PySequence_Fast_GET_ITEM(message->sequence, at);

		if (writable ?
			    !native_socket_buffer("recvmsg_into", one, buffer) :
			    PyObject_GetBuffer(one, buffer, PyBUF_SIMPLE) < 0)
			return false;
		message->nr_buffers++;
		message->vector[at] =
			(struct iovec){ buffer->buf, (size_t)buffer->len };
		message->total += (u64)buffer->len;
	}
	return true;
}

static bool native_message_control(struct native_message *message,
				   const void *from, size_t bytes)
{
	if (bytes > CONTROL_BYTES_MAX) {
		PyErr_SetString(PyExc_OverflowError,
				"there is too much ancillary data");
		return false;
	}
	message->control_bytes = bytes;
	message->control = PyMem_Calloc(bytes ? bytes : 1, 1);
	if (!message->control) {
		PyErr_NoMemory();
		return false;
	}
	if (from)
		memcpy(message->control, from, bytes);
	return true;
}

/* ---- before and after the call --------------------------------------- */

/* Make the header for a kernel in this process. */
static void native_message_here(struct native_message *message)
{
	message->head = &message->own_head;
	*message->head = (struct msghdr){
		.msg_name = message->own_name,
		.msg_namelen = (socklen_t)message->name_bytes,
		.msg_iov = message->vector,
		.msg_iovlen = (size_t)message->nr_buffers,
		.msg_control = message->control,
		.msg_controllen = message->control_bytes,
	};
}

/* Make it, and all that it leads to, in memory that is shared. */
static bool native_message_there(struct native_message *message,
				 struct native_kernel *kernel, bool sending)
{
	size_t name = native_part(sizeof(struct msghdr));
	size_t control = name + native_part(NATIVE_ADDRESS_BYTES);
	size_t vector = control + native_part(message->control_bytes);
	size_t data = vector + native_part((size_t)message->nr_buffers *
					   sizeof(struct iovec));
	struct iovec *entries;
	char *to;

	message->side = kernel->side;
	message->host = kernel->host;
	message->block = (char *)kernel->side->allocate(kernel->host,
							data + message->total);
	if (!message->block) {
		PyErr_NoMemory();
		return false;
	}
	message->block_data = data;
	message->head = (struct msghdr *)message->block;
	*message->head = (struct msghdr){
		.msg_name = message->block + name,
		.msg_namelen = (socklen_t)message->name_bytes,
		.msg_iov = (struct iovec *)(message->block + vector),
		.msg_iovlen = (size_t)message->nr_buffers,
		.msg_control = message->block + control,
		.msg_controllen = message->control_bytes,
	};
	memcpy(message->block + name, message->own_name, NATIVE_ADDRESS_BYTES);
	memcpy(message->block + control, message->control,
	       message->control_bytes);
	entries = message->head->msg_iov;
	to = message->block + data;
	for (int at = 0; at < message->nr_buffers; at++) {
		size_t length = message->vector[at].iov_len;

		entries[at] = (struct iovec){ to, length };
		if (sending)
			memcpy(to, message->vector[at].iov_base, length);
		to += length;
	}
	return true;
}

static bool native_message_call(struct native_socket *sock,
				struct native_message *message, s64 nr,
				int flags, short events, s64 *value)
{
	struct native_deadline deadline = { sock->timeout_ns, events };
	bool sending = events == POLLOUT;
	u64 args[6] = { 0, 0, (u64)flags };

	if (!sock->process) {
		errno = EBADF;
		PyErr_SetFromErrno(PyExc_OSError);
		return false;
	}
	if (sock->process->kernel->side == &host_direct)
		native_message_here(message);
	else if (!native_check_process(sock->process) ||
		 !native_message_there(message, sock->process->kernel, sending))
		return false;
	/* No name and no control data are null pointers: some look. */
	if (!message->name_bytes)
		message->head->msg_name = NULL;
	if (!message->control_bytes)
		message->head->msg_control = NULL;
	args[1] = (u64)message->head;
	return native_socket_call(sock, nr, args, NULL, &deadline, value);
}

/* Copy what was received to where it belongs. */
static void native_message_scatter(struct native_message *message, u64 bytes)
{
	const char *from = message->block + message->block_data;

	for (int at = 0; at < message->nr_buffers && bytes; at++) {
		u64 part = message->vector[at].iov_len;

		if (part > bytes)
			part = bytes;
		memcpy(message->vector[at].iov_base, from, part);
		from += message->vector[at].iov_len;
		bytes -= part;
	}
}

/* ---- sending --------------------------------------------------------- */

static bool native_message_fill(struct native_message *message,
				PyObject *const *args)
{
	Py_buffer name;

	if (!native_message_buffers(message, args[0], false,
				    "sendmsg() argument 1 must be iterable") ||
	    !native_message_control(message, PyBytes_AS_STRING(args[1]),
				    (size_t)PyBytes_GET_SIZE(args[1])))
		return false;
	if (args[3] == Py_None)
		return true;
	if (PyObject_GetBuffer(args[3], &name, PyBUF_SIMPLE) < 0)
		return false;
	if (name.len > NATIVE_ADDRESS_BYTES) {
		PyErr_SetString(PyExc_OSError, "the address is too long");
		PyBuffer_Release(&name);
		return false;
	}
	memcpy(message->own_name, name.buf, (size_t)name.len);
	message->name_bytes = (size_t)name.len;
	PyBuffer_Release(&name);
	return true;
}

/* _sendmsg(buffers, control, flags, address or None) */
PyObject *native_socket_sendmsg(PyObject *self, PyObject *const *args,
				Py_ssize_t count)
{
	struct native_socket *sock = (struct native_socket *)self;
	struct native_message message = { 0 };
	bool worked = false;
	int flags;
	s64 sent;

	if (count != 4 || !PyBytes_Check(args[1])) {
		PyErr_SetString(PyExc_TypeError,
				"_sendmsg(buffers, control, flags, address)");
		return NULL;
	}
	if (!native_int(args[2], &flags))
		return NULL;
	if (native_message_fill(&message, args)) {
		worked = native_message_call(sock, &message, NATIVE_NR_sendmsg,
					     flags | MSG_NOSIGNAL, POLLOUT,
					     &sent);
		if (sock->process)
			native_message_free_block(&message,
						  sock->process->kernel);
	}
	native_message_end(&message);
	return worked ? PyLong_FromLongLong(sent) : NULL;
}

/* ---- receiving ------------------------------------------------------- */

/* (`first` (stolen), control data, flags, address) */
static PyObject *native_message_result(struct native_message *message,
				       PyObject *first)
{
	/* Read once: another process may change it all the time. */
	size_t control = message->head->msg_controllen;
	size_t name = message->head->msg_namelen;
	const char *from = message->control;

	if (message->block)
		from = message->block + native_part(sizeof(struct msghdr)) +
		       native_part(NATIVE_ADDRESS_BYTES);
	if (control > message->control_bytes)
		control = message->control_bytes;
	if (name > NATIVE_ADDRESS_BYTES)
		name = NATIVE_ADDRESS_BYTES;
	return Py_BuildValue(
		"Ny#iy#", first, from, (Py_ssize_t)control,
		message->head->msg_flags,
		message->block ?
			message->block + native_part(sizeof(struct msghdr)) :
			message->own_name,
		(Py_ssize_t)name);
}

static PyObject *native_message_receive(struct native_socket *sock,
					struct native_message *message,
					int flags, PyObject **bytes)
{
	PyObject *first;
	s64 received;
	u64 there;

	message->name_bytes = NATIVE_ADDRESS_BYTES;
	if (!native_message_call(sock, message, NATIVE_NR_recvmsg, flags,
				 POLLIN, &received))
		return NULL;
	there = (u64)received < message->total ? (u64)received : message->total;
	if (message->block)
		native_message_scatter(message, there);
	if (!bytes)
		return native_message_result(message,
					     PyLong_FromLongLong(received));
	PyBuffer_Release(&message->buffers[--message->nr_buffers]);
	if ((Py_ssize_t)there < PyBytes_GET_SIZE(*bytes) &&
	    _PyBytes_Resize(bytes, (Py_ssize_t)there) < 0)
		return NULL;
	first = *bytes;
	*bytes = NULL;
	return native_message_result(message, first);
}

static bool native_message_room(const char *function, PyObject *number,
				const char *what, Py_ssize_t *bytes)
{
	*bytes = PyNumber_AsSsize_t(number, PyExc_OverflowError);
	if (*bytes == -1 && PyErr_Occurred())
		return false;
	if (*bytes >= 0)
		return true;
	PyErr_Format(PyExc_ValueError, "%s %s() was negative", what, function);
	return false;
}

static bool native_message_ancillary(struct native_message *message,
				     const char *function, PyObject *number)
{
	Py_ssize_t room;

	if (!native_message_room(function, number,
				 "ancillary data buffer size in", &room))
		return false;
	if (room > CONTROL_BYTES_MAX) {
		PyErr_Format(PyExc_OSError,
			     "ancillary data buffer size in %s() is too big",
			     function);
		return false;
	}
	return native_message_control(message, NULL, (size_t)room);
}

/* One buffer of the message, the new bytes object; it must not be seen before. */
static bool native_message_bytes(struct native_message *message,
				 PyObject *bytes)
{
	message->buffers = PyMem_Calloc(1, sizeof(Py_buffer));
	message->vector = PyMem_Calloc(1, sizeof(struct iovec));
	if (!message->buffers || !message->vector) {
		PyErr_NoMemory();
		return false;
	}
	message->nr_buffers = 1; /* an empty Py_buffer: nothing to release */
	message->total = (u64)PyBytes_GET_SIZE(bytes);
	message->vector[0] =
		(struct iovec){ PyBytes_AS_STRING(bytes), message->total };
	return true;
}

/* _recvmsg(bytes, control bytes, flags): (data, control, flags, address) */
PyObject *native_socket_recvmsg(PyObject *self, PyObject *const *args,
				Py_ssize_t count)
{
	struct native_socket *sock = (struct native_socket *)self;
	struct native_message message = { 0 };
	PyObject *bytes, *result = NULL;
	Py_ssize_t room;
	int flags;

	if (count != 3) {
		PyErr_SetString(PyExc_TypeError,
				"_recvmsg(bufsize, ancbufsize, flags)");
		return NULL;
	}
	if (!native_message_room("recvmsg", args[0], "negative buffer size in",
				 &room) ||
	    !native_int(args[2], &flags))
		return NULL;
	bytes = PyBytes_FromStringAndSize(NULL, room);
	if (!bytes)
		return NULL;
	if (native_message_bytes(&message, bytes) &&
	    native_message_ancillary(&message, "recvmsg", args[1]))
		result = native_message_receive(sock, &message, flags, &bytes);
	if (sock->process)
		native_message_free_block(&message, sock->process->kernel);
	native_message_end(&message);
	Py_XDECREF(bytes);
	return result;
}

/* _recvmsg_into(buffers, control bytes, flags): (bytes, control, flags, address) */
PyObject *native_socket_recvmsg_into(PyObject *self, PyObject *const *args,
				     Py_ssize_t count)
{
	struct native_socket *sock = (struct native_socket *)self;
	struct native_message message = { 0 };
	PyObject *result = NULL;
	int flags;

	if (count != 3) {
		PyErr_SetString(PyExc_TypeError,
				"_recvmsg_into(buffers, ancbufsize, flags)");
		return NULL;
	}
	if (!native_int(args[2], &flags))
		return NULL;
	if (native_message_buffers(
		    &message, args[0], true,
		    "recvmsg_into() argument 1 must be an iterable") &&
	    native_message_ancillary(&message, "recvmsg_into", args[1]))
		result = native_message_receive(sock, &message, flags, NULL);
	if (sock->process)
		native_message_free_block(&message, sock->process->kernel);
	native_message_end(&message);
	return result;
}
