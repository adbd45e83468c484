"""The whole app holds its promises whatever it is sent; tests/fuzz.py says which, and plays on for hours."""

from fuzz import MAX_STALL_S, ROUND, Raw, fuzzed, named_in, play


def test_2000_deliveries_of_any_kind_break_no_promise() -> None:
    with fuzzed() as running:
        play(running)
        assert running.deliveries >= ROUND
        assert running.started > 100  # they are not all refused at the door
        assert {200, 204, 400, 401, 413, 415, 431, 503} <= running.statuses.keys()
        assert running.longest_s < MAX_STALL_S


def test_what_a_delivery_names_is_found_however_it_is_wrapped() -> None:
    inner = b'{"body": "{\\"message\\": {\\"data\\": \\"eyJ0YXNrX2lkIjogMDd9eyJ0YXNrX2lkIjogNDJ9\\"}}"}'
    assert "42" in named_in(Raw(body=inner))
    assert "42" not in named_in(Raw(body=b"{}"))
