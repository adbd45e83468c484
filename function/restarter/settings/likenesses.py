"""Finds names that were once a setting, or resemble one. No I/O here, and no values are read."""

from collections.abc import Iterable, Iterator

PREFIXES = ("OMS_", "RESTART_", "CALLER_", "IAM_", "NOTIFY_")
GONE = {"RESTART_LOOK_FIRST": "the function looks at every task before it starts one"}
LIKENESS = 0.75  # by difflib's measure, 0 to 1; OMS_TOKEN is near enough to OMS_AUTH_TOKEN


def likenesses(names: Iterable[str], settings: Iterable[str], of_profile: Iterable[str]) -> Iterator[str]:
    """One sentence for each name that is not a setting and was probably meant to be one.

    Args:
        names: The given names, in capitals.
        settings: All settings, in capitals.
        of_profile: The fields of a profile, in capitals.
    """
    known = set(settings)
    for name in sorted(set(names) - known):
        if name in GONE:
            yield f"{name} is no longer a setting and has no effect: {GONE[name]}"
        elif name.startswith("OMS_PROFILES__"):
            profile, _, field = name.rpartition("__")
            yield from _meant(f"{profile}__", field, set(of_profile))
        elif name.startswith(PREFIXES):
            yield from _meant("", name, known)


def _meant(prefix: str, name: str, known: set[str]) -> Iterator[str]:
    from difflib import get_close_matches  # noqa: PLC0415  # for a misspelt name only

    for nearest in get_close_matches(name, sorted(known), 1, LIKENESS):
        if nearest != name:
            yield f"{prefix}{name} is not a setting and has no effect; did you mean {prefix}{nearest}?"
