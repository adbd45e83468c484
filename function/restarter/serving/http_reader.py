"""Turns the bytes of requests into h11's events, at a bounded cost for each byte. No I/O here.

h11 makes a Python object of each header line and of each chunk, in some 3 and 30 microseconds: a head of 64 KiB or a
body in chunks of one byte would block the event loop for seconds. So heads with too many lines are refused before they
are parsed, and httptools decodes chunks: in C, and all that have arrived together.
"""

import re
from typing import Final

import h11
import httptools
from h11._readers import ChunkedReader
from h11._receivebuffer import ReceiveBuffer

MAX_HEAD_LINES: Final = 1000  # ten times the function's limit, so that it refuses most such requests itself, by 431
MAX_EXCESS_BYTES: Final = 4 * 1024  # of framing beyond the content of a body; chunks of 1 KiB need 4 KiB in all
END_OF_HEAD: Final = re.compile(rb"\n\r?\n")  # as h11 has it
CHUNKED_HEAD: Final = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"


class Connection(h11.Connection):
    """h11's server side, with our own reader of chunked bodies."""

    def __init__(self, max_head_bytes: int) -> None:
        super().__init__(h11.SERVER, max_head_bytes)
        self._chunks: ChunkedBody | None = None

    def next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        """The next event.

        Raises:
            h11.RemoteProtocolError: What arrived is not HTTP/1.1, or costs too much to read.
        """
        if self.their_state is h11.IDLE:
            self._check_head()
        try:
            event = super().next_event()
        except h11.RemoteProtocolError as error:
            # Through its traceback h11's error refers to itself, and so keeps what was read until garbage is collected.
            error.__traceback__ = None
            raise h11.RemoteProtocolError(str(error), error.error_status_hint) from None
        if isinstance(event, h11.Request):
            self._chunks = ChunkedBody() if isinstance(self._reader, ChunkedReader) else None
            self._reader = self._chunks or self._reader
        return event

    def is_unread(self) -> bool:
        """Whether bytes may arrive, or have arrived, that are never parsed: the rest of a body, or what is not HTTP."""
        return self.their_state in (h11.SEND_BODY, h11.ERROR) or self.is_cut()

    def is_cut(self) -> bool:
        """Whether bytes that followed a chunked body in its packet are lost, so that the connection must be closed."""
        return self._chunks is not None and self._chunks.is_followed

    def _check_head(self) -> None:
        arrived, _ = self.trailing_data
        if arrived.count(b"\n") > MAX_HEAD_LINES < END_OF_HEAD.split(arrived, 1)[0].count(b"\n"):
            self._process_error(self.their_role)
            raise h11.RemoteProtocolError("a head of too many lines")


class ChunkedBody:
    """A reader for h11 of one chunked body. httptools calls the methods whose names begin with `on_`.

    Chunk extensions and trailers are ignored.
    """

    def __init__(self) -> None:
        self.is_followed = False
        """Bytes came after the end in the same packet, and are lost."""
        self._parts: list[bytes] = []
        self.on_body = self._parts.append
        self._excess = 0
        self._is_complete = False
        self._parser = httptools.HttpRequestParser(self)
        self._parser.feed_data(CHUNKED_HEAD)

    def __call__(self, buffer: ReceiveBuffer) -> h11.Data | h11.EndOfMessage | None:
        """All content that has arrived, or the end of the body; None if more must arrive.

        Raises:
            h11.RemoteProtocolError: It is not chunked as in HTTP/1.1, or its framing exceeds its content by too much.
        """
        if self._is_complete:
            return h11.EndOfMessage()
        arrived = bytes(buffer.maybe_extract_at_most(len(buffer)) or b"")
        content = self._decoded(arrived)
        self._excess += len(arrived) - 2 * len(content)
        if self._excess > MAX_EXCESS_BYTES:
            raise h11.RemoteProtocolError("the framing of the body exceeds its content by too much")
        if content:
            return h11.Data(content)
        return h11.EndOfMessage() if self._is_complete else None

    def on_message_begin(self) -> None:
        """Note whether another message follows the end."""
        self.is_followed = self._is_complete

    def on_message_complete(self) -> None:
        """The body has ended."""
        self._is_complete = True

    def _decoded(self, arrived: bytes) -> bytes:
        try:
            self._parser.feed_data(arrived)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            if not self._is_complete:
                raise h11.RemoteProtocolError("the body is not chunked") from None
            self.is_followed = True
        content = b"".join(self._parts)
        self._parts.clear()
        return content
