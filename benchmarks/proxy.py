"""A TCP proxy in front of a server: it delays what passes, and counts round trips.

A round trip is a time that the client waited: it sent, the server answered, and only then the
client sent again. Because of the delay, what a client sends without waiting has all left it
before the first answer comes, however the answer is cut into packets.

Connecting is one round trip, whatever is said about TLS and the password.
https://www.postgresql.org/docs/current/protocol-flow.html
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_Parcel: TypeAlias = tuple[float, bytes]

_CHUNK = 65536
_HEADER = 5
_READY_FOR_QUERY = b"Z"
_DECLINED = b"N"


@dataclass(slots=True)
class Link:
    """One connection as its client sees it: counts its round trips."""

    trips: int = 0
    _ready: bool = False
    _waiting: bool = False
    _start: bytearray = field(default_factory=bytearray)

    def sent(self, _: bytes) -> None:
        """Take note of what the client sends."""
        self._waiting = self._ready

    def received(self, data: bytes) -> None:
        """Take note of what reaches the client."""
        if not self._ready:
            self._ready = self._is_ready(data)
            self.trips = int(self._ready)
        elif self._waiting:
            self.trips += 1
            self._waiting = False

    def _is_ready(self, data: bytes) -> bool:
        """Whether the server has said that the session may begin."""
        if not self._start and data == _DECLINED:
            return False  # The answer to a request for TLS is a bare letter.
        self._start += data
        while len(self._start) >= _HEADER:
            length = int.from_bytes(self._start[1:_HEADER], "big")
            if len(self._start) < 1 + length:
                break
            kind = bytes(self._start[:1])
            del self._start[: 1 + length]
            if kind == _READY_FOR_QUERY:
                return True
        return False


class Proxy:
    """What has passed since the last ``reset``.

    Attributes:
        port: Where it listens on 127.0.0.1.
    """

    def __init__(self, host: str, port: int, delay_s: float) -> None:
        self.port = 0
        self._server = (host, port)
        self._delay_s = delay_s
        self._links: list[Link] = []

    def reset(self) -> None:
        """Count anew."""
        self._links = []

    @property
    def trips(self) -> int:
        """Round trips of all connections together."""
        return sum(link.trips for link in self._links)

    @property
    def connections(self) -> int:
        """Connections that a session began on."""
        return sum(link.trips > 0 for link in self._links)

    async def pass_on(self, client: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection to its end."""
        link = Link()
        self._links.append(link)
        server, server_writer = await asyncio.open_connection(*self._server)
        await asyncio.gather(
            self._pump(client, server_writer, on_read=link.sent),
            self._pump(server, writer, on_write=link.received),
        )

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        on_read: Callable[[bytes], None] | None = None,
        on_write: Callable[[bytes], None] | None = None,
    ) -> None:
        """Carry bytes one way, each as late as the others, and none waiting for another."""
        under_way: asyncio.Queue[_Parcel] = asyncio.Queue()
        carrier = asyncio.create_task(_carry(under_way, writer, on_write))
        now = asyncio.get_running_loop().time
        data = b"-"
        while data:
            try:
                data = await reader.read(_CHUNK)
            except ConnectionError:
                data = b""
            if data and on_read:
                on_read(data)
            under_way.put_nowait((now() + self._delay_s, data))
        await carrier


async def _carry(
    under_way: asyncio.Queue[_Parcel],
    writer: asyncio.StreamWriter,
    on_write: Callable[[bytes], None] | None,
) -> None:
    now = asyncio.get_running_loop().time
    with contextlib.suppress(ConnectionError):
        while True:
            due, data = await under_way.get()
            await asyncio.sleep(due - now())
            if not data:
                break
            if on_write:
                on_write(data)
            writer.write(data)
    writer.close()


@contextmanager
def proxied(host: str, port: int, *, round_trip_s: float) -> Iterator[Proxy]:
    """Run a proxy for the length of the block, in a thread of its own.

    Args:
        host: The server's.
        port: The server's.
        round_trip_s: Seconds that an answer takes at least, half of them each way.
    """
    proxy = Proxy(host, port, round_trip_s / 2)
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(proxy.pass_on, "127.0.0.1", 0))
    proxy.port = server.sockets[0].getsockname()[1]
    thread = threading.Thread(target=loop.run_forever, name="proxy", daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        server.close()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
