"""What can be wrong with a delivery before it becomes a request. Each error knows its outcome; none holds a value."""

from restarter.model import Kind


class Rejected(Exception):
    """A delivery that is turned away at the door.

    Rejected
     ├ Malformed         400  its content breaks the rules
     ├ CallerNotProved   401  no way in proved the caller
     ├ WrongMethod       405  not a POST
     ├ TooLarge          413  over the body limit
     ├ NotUnderstood     415  a format or coding that is not spoken here
     ├ NotReadInTime     503  the body did not arrive within the deadline
     ├ Busy              503  more deliveries are on their way than can be answered in time
     └ CannotProve       503  what the proof needs could not be fetched: redelivery may help

    `reason` is text of ours that names a field or a header, never what it held.
    """

    kind: Kind

    def __init__(self, reason: str, *, dialect: str | None = None, event_id: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.dialect = dialect
        self.event_id = event_id


class Malformed(Rejected):
    """Its content breaks the rules."""

    kind = Kind.MALFORMED


class CallerNotProved(Rejected):
    """No way in proved the caller."""

    kind = Kind.CALLER_NOT_PROVED


class WrongMethod(Rejected):
    """Not a POST."""

    kind = Kind.WRONG_METHOD


class TooLarge(Rejected):
    """Over the body limit."""

    kind = Kind.TOO_LARGE


class NotUnderstood(Rejected):
    """A format or coding that is not spoken here."""

    kind = Kind.NOT_UNDERSTOOD


class Busy(Rejected):
    """More deliveries are on their way than can be answered in time."""

    kind = Kind.UNAVAILABLE


class CannotProve(Rejected):
    """What the proof needs could not be fetched: redelivery may help."""

    kind = Kind.UNAVAILABLE


class NotReadInTime(Rejected):
    """The body did not arrive within the deadline."""

    kind = Kind.UNAVAILABLE
