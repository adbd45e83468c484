"""What can be wrong with a delivery before it becomes a request. Each error has its outcome; none quotes a value."""

from collections.abc import Sequence

from restarter.model.outcome import Kind

MAX_BODY_BYTES = 512 * 1024
MAX_HEADER_BYTES = 64 * 1024  # names and values
MAX_HEADERS = 100
HEADERS_TOO_LARGE = f"headers: over {MAX_HEADERS}, or over {MAX_HEADER_BYTES} bytes"


class DeliveryError(Exception):
    """A delivery that is refused.

    DeliveryError
     ├ Malformed                  400  its content breaks the rules
     ├ Unauthenticated            401  no authenticator accepted the caller
     ├ MethodNotAllowed           405  the method is not POST
     ├ ContentTooLarge            413  the body is over the limit, or a batch has too many events
     │  └ HeadersTooLarge         431  the headers are too many or too long
     ├ UnsupportedMediaType       415  its format or coding is not supported
     ├ BodyTimeout                503  the body did not arrive within the deadline
     ├ Busy                       503  more requests are in flight than can be answered in time
     └ AuthenticationUnavailable  503  a key or certificate could not be fetched; redelivery may help

    Attributes:
        fault: Our own text, which names a field or a header and never its value.
        dialect: The sender's format, if it was recognised before the error.
        event_id: The event's id, if it was read before the error.
    """

    kind: Kind

    def __init__(self, fault: str, *, dialect: str | None = None, event_id: str | None = None) -> None:
        super().__init__(fault)
        self.fault = fault
        self.dialect = dialect
        self.event_id = event_id


class Malformed(DeliveryError):
    """The content breaks the rules."""

    kind = Kind.MALFORMED


class Unauthenticated(DeliveryError):
    """No authenticator accepted the caller."""

    kind = Kind.UNAUTHENTICATED


class MethodNotAllowed(DeliveryError):
    """The method is not POST."""

    kind = Kind.METHOD_NOT_ALLOWED


class ContentTooLarge(DeliveryError):
    """The body is over the limit, or a batch has too many events."""

    kind = Kind.CONTENT_TOO_LARGE


class HeadersTooLarge(ContentTooLarge):
    """There are too many headers, or they are too long. The outcome is that of ContentTooLarge."""


class UnsupportedMediaType(DeliveryError):
    """The format or the content coding of the body is not supported."""

    kind = Kind.UNSUPPORTED_MEDIA_TYPE


class Busy(DeliveryError):
    """More requests are in flight than can be answered in time."""

    kind = Kind.UNAVAILABLE


class AuthenticationUnavailable(DeliveryError):
    """A key or certificate that authentication needs could not be fetched; redelivery may help."""

    kind = Kind.UNAVAILABLE


class BodyTimeout(DeliveryError):
    """The body did not arrive within the deadline."""

    kind = Kind.UNAVAILABLE


def check_body_size(size: int) -> None:
    """Check the size of a body, announced or read so far.

    Raises:
        ContentTooLarge: The body is over MAX_BODY_BYTES.
    """
    if size > MAX_BODY_BYTES:
        raise ContentTooLarge(f"body: over {MAX_BODY_BYTES} bytes")


def check_headers(raw: Sequence[tuple[bytes, bytes]]) -> None:
    """Check number and size of the headers before any of them is read. `raw`: names and values as received.

    Raises:
        HeadersTooLarge: There are over MAX_HEADERS, or all names and values together exceed MAX_HEADER_BYTES.
    """
    if len(raw) > MAX_HEADERS or sum([len(name) + len(value) for name, value in raw]) > MAX_HEADER_BYTES:
        raise HeadersTooLarge(HEADERS_TOO_LARGE)
