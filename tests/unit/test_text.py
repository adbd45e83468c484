"""Texts that people read."""

import pytest

from restarter.model.text import size_in_words


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (99_940, "99.9 kB"),
        (99_950, "100 kB"),
        (999_499, "999 kB"),
        (999_500, "1.0 MB"),
        (1_234_567_890_123, "1.2 TB"),
        (10**15 - 1, "1.0 PB"),
        (5 * 10**18, "5000 PB"),
    ],
)
def test_sizes_have_decimal_units(count: int, words: str) -> None:
    assert size_in_words(count) == words
