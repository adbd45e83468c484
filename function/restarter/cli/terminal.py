"""What the operator's command prints: text from outside without control characters."""

import unicodedata

NOT_PRINTED = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")  # controls, bidirectional overrides, separators


def plain(text: str) -> str:
    """The text with each character that could steer a terminal replaced by `?`."""
    return "".join("?" if unicodedata.category(character) in NOT_PRINTED else character for character in text)
