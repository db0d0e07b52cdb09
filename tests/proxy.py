"""A proxy between libpq and a server that knows where one message ends and the next begins.

It counts round trips, and cuts a connection at the k-th message of the client: what it does
depends on messages and never on time.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from sqlalchemy.engine import URL


class Proxy:
    """Listen on loopback and pass on to the server of an address.

    Args:
        url: The address of a database.
        cut_at: The number of the client's message, counted over all connections from 1, at which
            its connection is cut; 0 for none. Connecting counts as a message.
        deliver: Whether that message still reaches the server.
        act: Called at that message instead of cutting: before it is delivered or, with
            ``deliver``, after it. What it raises is of no consequence.

    Attributes:
        messages: How many messages the clients have sent.
        kinds: The type byte of each of them; b"" of the one that opens a connection.
        round_trips: How often a client has sent something after an answer.
        cut: Whether that message came.
    """

    def __init__(
        self,
        url: URL,
        *,
        cut_at: int = 0,
        deliver: bool = False,
        act: Callable[[], object] | None = None,
    ) -> None:
        self._target = url
        self._cut_at = cut_at
        self._deliver = deliver
        self._act = act
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.messages = 0
        self.kinds: list[bytes] = []
        self.round_trips = 0
        self.cut = False

    def lead_to(self, url: URL) -> None:
        """Let connections that come from now on lead to another server."""
        self._target = url

    @property
    def url(self) -> URL:
        """The address that leads through the proxy."""
        host, port = self._listener.getsockname()
        query = {
            name: value
            for name, value in self._target.query.items()
            if name not in ("host", "port")
        }
        return self._target.set(host=host, port=port, query=query).update_query_dict(
            {"sslmode": "disable", "gssencmode": "disable"}
        )

    def __enter__(self) -> Proxy:
        self._start(self._accept)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        _shut(self._listener)
        self._listener.close()
        for one in list(self._sockets):
            _shut(one)
        for thread in self._threads:
            thread.join(timeout=10)
        for one in self._sockets:
            one.close()

    def _start(self, target: object, *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                try:
                    server = self._connect()
                except OSError:
                    # The server is down: to the client it looks so, too.
                    client.close()
                    continue
                self._sockets += [client, server]
                answered = threading.Event()
                self._start(self._to_server, client, server, answered)
                self._start(self._to_client, client, server, answered)

    def _connect(self) -> socket.socket:
        host = self._target.host or self._target.query.get("host")
        assert isinstance(host, str)
        port = self._target.port or int(str(self._target.query.get("port", 5432)))
        if host.startswith("/"):
            server = socket.socket(socket.AF_UNIX)
            try:
                server.connect(f"{host}/.s.PGSQL.{port}")
            except OSError:
                server.close()
                raise
            return server
        server = socket.create_connection((host, port))
        server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return server

    def _to_server(
        self, client: socket.socket, server: socket.socket, answered: threading.Event
    ) -> None:
        data = b""
        header = 4  # of the first message, which has no type
        with contextlib.suppress(OSError):
            while chunk := client.recv(65536):
                if answered.is_set():
                    answered.clear()
                    with self._lock:
                        self.round_trips += 1
                data += chunk
                while len(data) >= header:
                    size = header - 4 + struct.unpack("!I", data[header - 4 : header])[0]
                    if len(data) < size:
                        break
                    message, data = data[:size], data[size:]
                    kind, header = message[: header - 4], 5
                    if not self._pass(message, kind, server):
                        _shut(client)
                        return
        _shut(server)

    def _pass(self, message: bytes, kind: bytes, server: socket.socket) -> bool:
        """Send a message on; return whether the connection lives."""
        with self._lock:
            self.messages += 1
            self.kinds.append(kind)
            cut = self.messages == self._cut_at
            self.cut = self.cut or cut
        if cut and self._act is not None:
            self._act_on(message, server, self._act)
            return True
        if not cut or self._deliver:
            server.sendall(message)
        if cut:
            # The server still reads what it was sent, and then sees that the client has gone.
            server.shutdown(socket.SHUT_WR)
        return not cut

    def _act_on(self, message: bytes, server: socket.socket, act: Callable[[], object]) -> None:
        if self._deliver:
            server.sendall(message)
        with contextlib.suppress(Exception):
            act()
        if not self._deliver:
            server.sendall(message)

    def _to_client(
        self, client: socket.socket, server: socket.socket, answered: threading.Event
    ) -> None:
        with contextlib.suppress(OSError):
            while chunk := server.recv(65536):
                answered.set()
                client.sendall(chunk)
        _shut(client)
        _shut(server)


def _shut(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
