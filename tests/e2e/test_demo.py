"""What `make demo` shows while it plays, and how it ends; that every sample fits its folder is in test_processes.py."""

from dataclasses import replace
from typing import Any

import pytest

import demo
from samples import read_all

LIES: dict[str, dict[str, Any]] = {
    "direct_by_id": {"folder": "ignored"},
    "direct_running": {"outcome": "started"},
    "apig_malformed": {"folder": "ignored"},  # APIG itself gets a 200
    "cloudevents_batch": {"outcome": "started, started"},
    "cloudevent_start": {"outcome": "started, ignored"},
    "webhook_wrong_secret": {"folder": "valid"},
    "smn_notification": {"body": "{}"},
}


def test_the_demo_ends_with_an_error_when_a_sample_did_something_else(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    liars = [replace(sample, **LIES[sample.name]) for sample in read_all() if sample.name in LIES]
    monkeypatch.setattr(demo, "read_all", lambda: liars)
    assert demo.main() == 1
    out = " ".join(capsys.readouterr().out.split())
    assert f" {len(LIES)} did something else." in out
    assert "invalid/webhook_wrong_secret" not in out
    assert "valid/webhook_wrong_secret: expected unauthenticated, found unauthenticated, reply 401, 0 calls" in out


def test_the_demo_shows_each_result_as_it_comes_and_ends_with_restarts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each row is on the screen before the next sample is played; the order is invalid, ignored, valid."""
    chosen = ("direct_by_id", "direct_running", "apig_malformed", "functiongraph_timer", "webhook_signed")
    shown: list[str] = []
    play = demo.play

    def playing(*arguments: Any) -> demo.Played:
        shown.append(capsys.readouterr().out)
        return play(*arguments)

    monkeypatch.setattr(demo, "play", playing)
    monkeypatch.setattr(demo, "read_all", lambda: [sample for sample in read_all() if sample.name in chosen])
    monkeypatch.setenv("COLUMNS", "80")
    assert demo.main() == 0
    shown.append(capsys.readouterr().out)
    rows = [part.strip().splitlines()[-1].split() for part in shown[1:-1]]
    assert rows == [
        ["apig_malformed", "malformed", "400"],
        ["functiongraph_timer", "ignored", "204"],
        ["direct_running", "already_running", "200"],
        ["direct_by_id", "started", "200", "1", "restart"],
    ]
    *_, last, sentence = shown[-1].split("\n", 2)[0], " ".join(shown[-1].split("\n", 2)[2].split())
    assert last.split() == ["webhook_signed", "started", "200", "1", "restart"]
    assert sentence == (
        "5 deliveries: 1 invalid ones were refused, 1 were ignored, and 3 valid ones restarted 2 failed tasks; "
        "each did what its folder says."
    )
    assert max(map(len, "".join(shown).splitlines())) <= 80
