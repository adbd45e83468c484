"""The page under load, for a few seconds; tests/page_load.py measures a minute of it."""

import asyncio

import pytest

from page_load import load
from playing import playing


@pytest.mark.long
def test_every_event_of_a_burst_is_answered_and_told() -> None:
    with playing() as playground:
        measured = asyncio.run(load(playground, 4, rate=15))
        assert [*playground.stderr.queue] == []
    assert measured.statuses == {204: 60}
    assert measured.told == 60
    assert measured.complaints == []
    assert measured.changes < 2 * 10 * 60, "ten a second at most for each browser"
