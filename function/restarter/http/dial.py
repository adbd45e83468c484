"""Connects to a name with several addresses, some of which may not respond (RFC 8305, «Happy Eyeballs»).

asyncio's own `happy_eyeballs_delay` leaks an open socket if it is cancelled, which every timeout does.
"""

import asyncio
import socket
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

NEXT_ADDRESS_S: Final = 0.25  # after which the next address is tried, too; at once if an earlier one fails
Address = tuple[Any, ...]
"""As `getaddrinfo` returns it: family, type, protocol, name, address."""


async def dial(host: str, port: int) -> socket.socket:
    """A socket that is connected to the first address of `host` that accepts.

    Raises:
        OSError: The name has no address, or none accepts.
    """
    addresses = in_turn(await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM))
    attempts: set[asyncio.Task[socket.socket]] = set()
    error: BaseException | None = None
    try:
        while addresses or attempts:
            if addresses:
                attempts.add(asyncio.create_task(_connected(addresses.pop(0))))
            seconds = NEXT_ADDRESS_S if addresses else None
            done, attempts = await asyncio.wait(attempts, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            for attempt in done:
                error = attempt.exception()
                if error is None:
                    attempts |= done - {attempt}
                    return attempt.result()
        raise error or OSError("no address")
    finally:
        for attempt in attempts:
            attempt.add_done_callback(_close)
            attempt.cancel()


def in_turn(addresses: Sequence[Address]) -> list[Address]:
    """The addresses in their order, but alternating between families: all of one may be unreachable."""
    seen: Counter[int] = Counter()
    turns = []
    for address in addresses:
        turns.append(seen[address[0]])
        seen[address[0]] += 1
    return [address for _, address in sorted(zip(turns, addresses, strict=True), key=lambda pair: pair[0])]


async def _connected(address: Address) -> socket.socket:
    family, kind, protocol, _, where = address
    connection = socket.socket(family, kind, protocol)
    try:
        connection.settimeout(0)  # the event loop waits instead
        await asyncio.get_running_loop().sock_connect(connection, where)
    except BaseException:
        connection.close()
        raise
    return connection


def _close(attempt: "asyncio.Task[socket.socket]") -> None:
    """Close the socket of an attempt that nobody needs, if there is one."""
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().close()
