"""Parses a server's response with httptools, within bounds. No I/O here.

httptools is Node's parser, llhttp, in its strict mode. It stores nothing and bounds nothing: this module decides what
is kept of a response, and how much.
"""

from typing import Final

import httptools

MAX_OVERHEAD_BYTES: Final = 32 * 1024  # checked after each read, so the head of a response has at most 64 KiB
MAX_INFORMATIONAL: Final = 8  # responses with a status of 1xx before the final one
VERSIONS: Final = ("1.1", "1.0")


class ResponseParser:
    """What the server has sent so far. httptools calls the methods whose names begin with `on_`."""

    def __init__(self) -> None:
        self.status = 0  # 0 until the head is complete
        self.headers: list[tuple[bytes, bytes]] = []
        self.complete = False
        self.error: str | None = None
        """Why no more can be read. A response that was already complete stays so, but its connection is not reused."""
        self._body: list[bytes] = []
        self._informational = 0
        self._overhead = 0
        self._keep_alive = False
        self._parser = httptools.HttpResponseParser(self)

    def feed(self, data: bytes) -> None:
        """Parse what has arrived. No bytes mean the end of the connection."""
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self.error = "the response is not HTTP/1.1"
        self._overhead = 0 if self._body else self._overhead + len(data)
        if self._overhead > MAX_OVERHEAD_BYTES:
            self.error = "the head or the trailer of the response is too long"
        if not data:
            self._end()
        if self.complete:
            del self._parser  # it refers to this object: this breaks the cycle, so no garbage collector is needed

    def take_body(self) -> bytes:
        """The part of the body that has arrived since the last call."""
        body, self._body = b"".join(self._body), []
        return body

    def keeps_alive(self) -> bool:
        """Whether the response is complete, nothing came after it, and the connection takes another request."""
        return self.complete and self._keep_alive and self.error is None

    def on_message_begin(self) -> None:
        """Refuse a second response: nobody asked for it.

        Raises:
            ValueError: There is one already; httptools reports this as its own error.
        """
        if self.complete:
            raise ValueError

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header, and ignore a trailer."""
        if not self.status:
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Keep the status. An informational response (1xx) is ignored, with its headers.

        Raises:
            ValueError: It is not a status of HTTP/1, or there are too many informational responses.
        """
        status = self._parser.get_status_code()
        self._informational += status < 200
        if status < 100 or self._informational > MAX_INFORMATIONAL or self._parser.get_http_version() not in VERSIONS:
            raise ValueError
        if status < 200:
            self.headers.clear()
        else:
            self.status = status

    def on_body(self, body: bytes) -> None:
        """Keep a part of the body."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """Note the end of the response; that of an informational one is ignored."""
        if self.status:
            self.complete = True
            self._keep_alive = self._parser.should_keep_alive()

    def _end(self) -> None:
        """End the response with its connection if nothing else marks its end; otherwise it ended too early."""
        framed = {b"content-length", b"transfer-encoding"} & {name.lower() for name, _ in self.headers}
        if self.status and not framed:
            self.complete = True
        else:
            self.error = "the response ended too early"
