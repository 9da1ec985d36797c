"""A TLS peer that asks for new keys as often as it likes: Python's `ssl` cannot, libssl can."""

import ctypes
import ctypes.util
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PEM = 1
_REQUESTED = 1
_PATIENCE = struct.pack("ll", 10, 0)  # struct timeval


def flood(port: int, folder: Path, count: int) -> int:
    """Dial, ask for `count` key updates and read nothing; gives how many could be said."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.settimeout(None)
        return _flood(connection, folder, count)


def _flood(connection: socket.socket, folder: Path, count: int) -> int:
    for option in (socket.SO_SNDTIMEO, socket.SO_RCVTIMEO):  # the calls below hold a thread that nobody ends
        connection.setsockopt(socket.SOL_SOCKET, option, _PATIENCE)
    with _tls(connection, folder) as (library, tls):
        assert library.SSL_connect(tls) == 1
        for said in range(count):
            library.SSL_key_update(tls, _REQUESTED)
            if library.SSL_do_handshake(tls) != 1:
                return said
        return count


@contextmanager
def _tls(connection: socket.socket, folder: Path) -> Iterator[tuple[ctypes.CDLL, ctypes.c_void_p]]:
    library = ctypes.CDLL(ctypes.util.find_library("ssl"))
    for name in ("TLS_client_method", "SSL_CTX_new", "SSL_new"):
        getattr(library, name).restype = ctypes.c_void_p
    method = ctypes.c_void_p(library.TLS_client_method())
    context = ctypes.c_void_p(library.SSL_CTX_new(method))
    assert library.SSL_CTX_use_certificate_file(context, str(folder / "node.crt").encode(), _PEM) == 1
    assert library.SSL_CTX_use_PrivateKey_file(context, str(folder / "node.key").encode(), _PEM) == 1
    tls = ctypes.c_void_p(library.SSL_new(context))
    try:
        library.SSL_set_fd(tls, connection.fileno())
        yield library, tls
    finally:
        library.SSL_free(tls)
        library.SSL_CTX_free(context)
