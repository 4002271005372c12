# SPDX-License-Identifier: GPL-2.0
"""Sockets of AF_FERRY, which meet by service name: see af_ferry(7).

    import ferry

    with ferry.create_server("demo/upper") as listener:
        connection, peer = listener.accept()

    with ferry.create_connection("demo/upper") as connection:
        connection.sendall(b"hello")

The socket module of Python makes sockets of any family, but knows the addresses of
its own list only. Socket is its socket with the calls that have an address made by
ctypes; all else is inherited, timeouts, files, selectors and asyncio work as ever:

    server = await asyncio.start_server(serve, sock=ferry.create_server("demo/upper"))
    s = ferry.create_connection("demo/upper")
    reader, writer = await asyncio.open_connection(sock=s)

An address is a name, as str (os.fsencode() makes bytes of it) or as bytes, or an
Address. Where one comes back it is an Address, whose name is bytes; None where there is
none, as from recvfrom() on a stream.
"""

from __future__ import annotations

import ctypes
import errno
import os
import select
import socket
import struct
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple, Optional, Union

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

    Control = Iterable[tuple[int, int, ReadableBuffer]]

__all__ = ["AF_FERRY", "Address", "FERRY_BROADCAST_DISCONNECT", "FERRY_BROADCAST_DROP",
           "FERRY_BROADCAST_POLICY", "FERRY_INFO", "FERRY_MODE", "FERRY_NAME_MAX",
           "FERRY_PASSCRED", "FERRY_PASSRIGHTS", "FERRY_PASSSEC", "FERRY_RECVERR",
           "FERRY_REUSEPORT", "FERRY_SCOPE_HOST", "FERRY_SCOPE_NETWORK", "FERRY_ZEROCOPY",
           "SOL_FERRY", "Socket", "create_connection", "create_server", "socketpair"]

# <linux/ferry.h>
AF_FERRY = 18
SOL_FERRY = 400
FERRY_NAME_MAX = 108
FERRY_SCOPE_HOST = 0
FERRY_SCOPE_NETWORK = 1
FERRY_MODE = 1
FERRY_PASSRIGHTS = 2
FERRY_BROADCAST_POLICY = 3
FERRY_INFO = 4
FERRY_RECVERR = 5
FERRY_REUSEPORT = 6
FERRY_ZEROCOPY = 7
FERRY_PASSCRED = 8
FERRY_PASSSEC = 9
FERRY_BROADCAST_DROP = 0
FERRY_BROADCAST_DISCONNECT = 1

# struct sockaddr_ferry before the name; more than any address.
_HEADER = struct.Struct("=HH16s")
_ADDRESS_SIZE = 128
_V4_MAPPED = bytes(10) + b"\xff\xff"

# struct cmsghdr before the data.
_CMSG = struct.Struct("@nii")

class _Fields(NamedTuple):
    name: bytes
    node: str
    scope: int


class Address(_Fields):
    """A name, with the node (IPv4 or IPv6 as text, "" for this host) and the scope."""

    __slots__ = ()

    def __new__(cls, name: Union[str, bytes], node: str = "",
                scope: int = FERRY_SCOPE_HOST) -> Address:
        return super().__new__(cls, os.fsencode(name), node, scope)

    def pack(self) -> bytes:
        """The bytes of struct sockaddr_ferry, as many as bind(2) is to be told."""
        if len(self.name) > FERRY_NAME_MAX:
            raise OSError(errno.EINVAL,
                          f"AF_FERRY name longer than {FERRY_NAME_MAX} bytes")
        if not self.node:
            node = bytes(16)
        elif ":" in self.node:
            node = socket.inet_pton(socket.AF_INET6, self.node)
        else:
            node = _V4_MAPPED + socket.inet_pton(socket.AF_INET, self.node)
        return _HEADER.pack(AF_FERRY, self.scope, node) + self.name

    @classmethod
    def unpack(cls, data: bytes) -> Optional[Address]:
        """The address that the kernel gave as these bytes; None for what is none."""
        if len(data) < _HEADER.size:
            return None
        family, scope, node = _HEADER.unpack_from(data)
        if family != AF_FERRY:
            return None
        if node == bytes(16):
            text = ""
        elif node.startswith(_V4_MAPPED):
            text = socket.inet_ntop(socket.AF_INET, node[len(_V4_MAPPED):])
        else:
            text = socket.inet_ntop(socket.AF_INET6, node)
        return cls(data[_HEADER.size:], text, scope)


Name = Union[str, bytes, Address]


class _Iovec(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("len", ctypes.c_size_t)]


class _Msghdr(ctypes.Structure):
    _fields_ = [("name", ctypes.c_void_p), ("namelen", ctypes.c_uint32),
                ("iov", ctypes.POINTER(_Iovec)), ("iovlen", ctypes.c_size_t),
                ("control", ctypes.c_void_p), ("controllen", ctypes.c_size_t),
                ("flags", ctypes.c_int)]


# The interpreter itself is linked with the C library.
_libc = ctypes.CDLL(None, use_errno=True)


def _prototype(name: str, result: Any, *arguments: Any) -> Callable[..., int]:
    function = getattr(_libc, name)
    function.restype = result
    function.argtypes = (ctypes.c_int, *arguments)
    return function


_lenp = ctypes.POINTER(ctypes.c_uint32)
_bind = _prototype("bind", ctypes.c_int, ctypes.c_char_p, ctypes.c_uint32)
_connect = _prototype("connect", ctypes.c_int, ctypes.c_char_p, ctypes.c_uint32)
_accept4 = _prototype("accept4", ctypes.c_int, ctypes.c_char_p, _lenp, ctypes.c_int)
_getsockname = _prototype("getsockname", ctypes.c_int, ctypes.c_char_p, _lenp)
_getpeername = _prototype("getpeername", ctypes.c_int, ctypes.c_char_p, _lenp)
_sendmsg = _prototype("sendmsg", ctypes.c_ssize_t, ctypes.POINTER(_Msghdr), ctypes.c_int)
_recvmsg = _prototype("recvmsg", ctypes.c_ssize_t, ctypes.POINTER(_Msghdr), ctypes.c_int)


def _error(number: int) -> OSError:
    # Of the subclass that the number has.
    return OSError(number, os.strerror(number))


def _pack(address: Name) -> bytes:
    return (address if isinstance(address, Address) else Address(address)).pack()


def _pack_control(control: Control) -> bytes:
    parts = []
    for level, kind, data in control:
        data = bytes(memoryview(data))
        part = _CMSG.pack(socket.CMSG_LEN(len(data)), level, kind) + data
        parts.append(part.ljust(socket.CMSG_SPACE(len(data)), b"\0"))
    return b"".join(parts)


def _unpack_control(data: bytes) -> list[tuple[int, int, bytes]]:
    control = []
    start = socket.CMSG_LEN(0)
    while len(data) >= start:
        length, level, kind = _CMSG.unpack_from(data)
        if length < start:
            break
        control.append((level, kind, data[start:length]))
        data = data[socket.CMSG_SPACE(length - start):]
    return control


class Socket(socket.socket):
    """socket.socket for AF_FERRY: Socket(type=socket.SOCK_DGRAM)"""

    __slots__ = ()

    def __init__(self, family: int = AF_FERRY, type: int = -1, proto: int = 0,
                 fileno: Optional[int] = None) -> None:
        if type == -1 and fileno is None:
            type = socket.SOCK_STREAM
        super().__init__(family, type, proto, fileno)

    def _deadline(self) -> Optional[float]:
        timeout = self.gettimeout()
        return time.monotonic() + timeout if timeout else None

    def _wait(self, event: int, deadline: float) -> None:
        left = deadline - time.monotonic()
        poll = select.poll()
        poll.register(self, event)
        if left <= 0 or not poll.poll(left * 1000):
            raise TimeoutError("timed out")

    def _call(self, event: int, function: Callable[..., int], *arguments: Any) -> int:
        """Call until it is done, or until the timeout, as socket.socket does."""
        deadline = self._deadline()
        while True:
            result = function(self.fileno(), *arguments)
            if result >= 0:
                return result
            number = ctypes.get_errno()
            if number == errno.EAGAIN and deadline is not None:
                self._wait(event, deadline)
            elif number != errno.EINTR:
                raise _error(number)

    def _address(self, event: int, function: Callable[..., int],
                 *arguments: Any) -> tuple[int, Optional[Address]]:
        room = ctypes.create_string_buffer(_ADDRESS_SIZE)
        length = ctypes.c_uint32(_ADDRESS_SIZE)
        result = self._call(event, function, room, ctypes.byref(length), *arguments)
        return result, Address.unpack(room.raw[:length.value])

    def bind(self, address: Name) -> None:
        """Take the name; b"" has the kernel make one up, which getsockname() tells."""
        packed = _pack(address)
        self._call(0, _bind, packed, len(packed))

    def connect(self, address: Name) -> None:
        packed = _pack(address)
        deadline = self._deadline()
        while _connect(self.fileno(), packed, len(packed)) < 0:
            number = ctypes.get_errno()
            if number == errno.EINTR:
                continue
            if number != errno.EINPROGRESS or deadline is None:
                raise _error(number)
            self._wait(select.POLLOUT, deadline)
            number = self.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if number:
                raise _error(number)
            return

    def connect_ex(self, address: Name) -> int:
        try:
            self.connect(address)
        except TimeoutError as error:
            return error.errno or errno.EAGAIN
        except OSError as error:
            if error.errno is None:
                raise
            return error.errno
        return 0

    def accept(self) -> tuple[Socket, Optional[Address]]:
        fd, address = self._address(select.POLLIN, _accept4, socket.SOCK_CLOEXEC)
        connection = self.__class__(self.family, self.type, self.proto, fileno=fd)
        # As socket.socket does.
        if socket.getdefaulttimeout() is None and self.gettimeout():
            connection.setblocking(True)
        return connection, address

    def getsockname(self) -> Optional[Address]:
        return self._address(0, _getsockname)[1]

    def getpeername(self) -> Optional[Address]:
        return self._address(0, _getpeername)[1]

    def sendmsg(self, buffers: Iterable[ReadableBuffer], ancdata: Control = (),
                flags: int = 0, address: Optional[Name] = None) -> int:
        if address is None:
            return super().sendmsg(buffers, ancdata, flags)
        packed = _pack(address)
        data = b"".join(buffers)
        control = _pack_control(ancdata)
        iov = _Iovec(ctypes.cast(data, ctypes.c_void_p), len(data))
        message = _Msghdr(ctypes.cast(packed, ctypes.c_void_p), len(packed),
                          ctypes.pointer(iov), 1,
                          ctypes.cast(control, ctypes.c_void_p) if control else None,
                          len(control))
        return self._call(select.POLLOUT, _sendmsg, ctypes.byref(message), flags)

    def sendto(self, data: ReadableBuffer, *rest: Any) -> int:
        """sendto(data, address) or sendto(data, flags, address)"""
        *flags, address = rest
        return self.sendmsg([data], (), *flags, address=address)

    def recvmsg_into(self, buffers: Iterable[WriteableBuffer], ancbufsize: int = 0,
                     flags: int = 0
                     ) -> tuple[int, list[tuple[int, int, bytes]], int, Optional[Address]]:
        views = [memoryview(buffer).cast("B") for buffer in buffers]
        parts = [(ctypes.c_char * len(view)).from_buffer(view) for view in views]
        iov = (_Iovec * len(parts))()
        for vector, part in zip(iov, parts):
            vector.base, vector.len = ctypes.addressof(part), len(part)
        name = ctypes.create_string_buffer(_ADDRESS_SIZE)
        control = ctypes.create_string_buffer(ancbufsize) if ancbufsize else None
        message = _Msghdr(ctypes.addressof(name), _ADDRESS_SIZE, iov, len(parts),
                          ctypes.addressof(control) if control else None, ancbufsize)
        count = self._call(select.POLLIN, _recvmsg, ctypes.byref(message), flags)
        ancdata = _unpack_control(control.raw[:message.controllen]) if control else []
        return (count, ancdata, message.flags, Address.unpack(name.raw[:message.namelen]))

    def recvmsg(self, bufsize: int, ancbufsize: int = 0, flags: int = 0
                ) -> tuple[bytes, list[tuple[int, int, bytes]], int, Optional[Address]]:
        buffer = bytearray(bufsize)
        count, ancdata, msg_flags, address = self.recvmsg_into([buffer], ancbufsize, flags)
        return bytes(buffer[:count]), ancdata, msg_flags, address

    def recvfrom(self, bufsize: int, flags: int = 0) -> tuple[bytes, Optional[Address]]:
        data, _, _, address = self.recvmsg(bufsize, 0, flags)
        return data, address

    def recvfrom_into(self, buffer: WriteableBuffer, nbytes: int = 0, flags: int = 0
                      ) -> tuple[int, Optional[Address]]:
        view = memoryview(buffer).cast("B")
        if nbytes < 0 or nbytes > len(view):
            raise ValueError("nbytes is not within the buffer")
        if nbytes:
            view = view[:nbytes]
        count, _, _, address = self.recvmsg_into([view], 0, flags)
        return count, address


def create_server(address: Name, *, type: int = socket.SOCK_STREAM,
                  mode: Optional[int] = None, backlog: int = 128,
                  reuse_port: bool = False) -> Socket:
    """A socket that listens on the name, or of SOCK_DGRAM that is bound to it.

    mode is who may connect, as that of a file; without it the umask decides.
    """
    server = Socket(type=type)
    try:
        if reuse_port:
            server.setsockopt(SOL_FERRY, FERRY_REUSEPORT, 1)
        server.bind(address)
        if mode is not None:
            server.setsockopt(SOL_FERRY, FERRY_MODE, mode)
        if type != socket.SOCK_DGRAM:
            server.listen(backlog)
    except BaseException:
        server.close()
        raise
    return server


def create_connection(address: Name, timeout: Optional[float] = None, *,
                      type: int = socket.SOCK_STREAM) -> Socket:
    """A socket that is connected to the name; the timeout stays the socket's."""
    connection = Socket(type=type)
    try:
        if timeout is not None:
            connection.settimeout(timeout)
        connection.connect(address)
    except BaseException:
        connection.close()
        raise
    return connection


def socketpair(type: int = socket.SOCK_STREAM) -> tuple[Socket, Socket]:
    """Two sockets that are connected with each other."""
    first, second = socket.socketpair(AF_FERRY, type)
    return Socket(fileno=first.detach()), Socket(fileno=second.detach())
