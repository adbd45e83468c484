"""The playground's page over HTTP: whom it answers, and what it lets a browser do. Clicks are in test_browser.py."""

import json
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from example import BEARER, TASK
from page_server import PAGE, page_policy
from playing import Playing, playing
from processes import TIMEOUT_S

PHOTOS = 191297407831101


@pytest.fixture(scope="module")
def playground() -> Iterator[Playing]:
    with playing() as one:
        yield one


@contextmanager
def watching(playground: Playing) -> Iterator[Iterator[dict[str, Any]]]:
    """What a browser is told, one change after the other."""
    with httpx.stream("GET", f"{playground.page}/events", timeout=TIMEOUT_S) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield (json.loads(line.removeprefix("data: ")) for line in answer.iter_lines() if line)


def told_until(changes: Iterator[dict[str, Any]], words: str) -> dict[str, Any]:
    """The change whose stories have these words."""
    return next(change for change in changes if words in json.dumps(change["stories"]))


def do(playground: Playing, what: str, document: object, **headers: str) -> httpx.Response:
    return httpx.post(f"{playground.page}/do/{what}", json=document, headers=headers)


def test_the_page_is_one_file_that_runs_and_loads_nothing_but_its_own(playground: Playing) -> None:
    page = httpx.get(playground.page)
    assert page.text == PAGE.read_text("utf-8")
    assert page.headers["content-security-policy"] == page_policy(page.text)
    policy = dict(part.strip().split(" ", 1) for part in page.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == policy["form-action"] == "'none'"
    assert policy["img-src"] == policy["connect-src"] == "'self'"
    assert all(re.fullmatch(r"'sha256-[A-Za-z0-9+/]{43}='", policy[name]) for name in ("script-src", "style-src"))
    assert not re.search(
        r"https?://|innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|\son[a-z]+=", page.text
    )
    assert page.headers["x-content-type-options"] == "nosniff"


def test_the_picture_may_do_nothing_at_all(playground: Playing) -> None:
    night = httpx.get(f"{playground.page}/night.svg")
    assert night.headers["content-type"].startswith("image/svg+xml")
    assert "sandbox" in night.headers["content-security-policy"]
    assert "script-src" not in night.headers["content-security-policy"]


PATHS = ("/", "/events", "/night.svg", "/do/fail", "/do/start", "/do/again", "/notice")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1", ""])
def test_another_host_is_refused(path: str, host: str, playground: Playing) -> None:
    method = "GET" if path in PATHS[:3] else "POST"
    assert httpx.request(method, playground.page + path, headers={"Host": host}).status_code == 400


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_a_page_of_another_origin_is_refused(path: str, headers: dict[str, str], playground: Playing) -> None:
    method = "GET" if path in PATHS[:3] else "POST"
    json_type = {"Content-Type": "application/json"}
    assert httpx.request(method, playground.page + path, headers=headers | json_type).status_code == 403


def test_its_own_page_and_a_program_of_this_machine_are_answered(playground: Playing) -> None:
    for headers in ({}, {"Origin": playground.page}, {"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}):
        assert httpx.get(playground.page, headers=headers).status_code == 200


def test_it_listens_on_the_loopback_interface_alone(playground: Playing) -> None:
    port = int(playground.page.rpartition(":")[2])
    addresses = {row[4][0] for row in socket.getaddrinfo(socket.gethostname(), port, socket.AF_INET)}
    for address in addresses - {"127.0.0.1"}:
        with pytest.raises(OSError, match="refused"):
            socket.create_connection((str(address), port), 1)
    listening = [line.split() for line in Path("/proc/net/tcp").read_text("ascii").splitlines()[1:]]
    assert [row[1] for row in listening if row[1].endswith(f":{port:04X}") and row[3] == "0A"] == [
        f"0100007F:{port:04X}"
    ]


@pytest.mark.parametrize(
    ("what", "document", "status"),
    [
        ("fail", {"task": PHOTOS, "cause": "magic"}, 400),
        ("fail", {"task": -1}, 400),
        ("fail", {"task": PHOTOS, "url": "http://evil.example"}, 400),
        ("fail", [], 400),
        ("fail", {"task": 1}, 409),
        ("fail", {"task": TASK}, 409),
        ("start", {"task": 1}, 409),
        ("start", {}, 400),
        ("again", {"story": 10_000}, 409),
        ("again", {"story": 1, "times": 3}, 400),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(
    what: str, document: object, status: int, playground: Playing
) -> None:
    answer = do(playground, what, document)
    assert answer.status_code == status
    assert answer.json()["why"]
    assert "evil" not in answer.text


def test_what_is_not_json_is_refused(playground: Playing) -> None:
    form = httpx.post(f"{playground.page}/do/fail", data={"task": str(PHOTOS)})
    assert form.status_code == 415
    plain = {"Content-Type": "text/plain"}
    assert httpx.post(f"{playground.page}/do/fail", content=f'{{"task": {PHOTOS}}}', headers=plain).status_code == 415


def test_a_notice_is_taken_from_the_topic_alone(playground: Playing) -> None:
    assert httpx.post(f"{playground.page}/notice", json={"record": []}).status_code == 401


def test_two_browsers_are_told_the_same_and_a_later_one_all_of_it(playground: Playing) -> None:
    with watching(playground) as one, watching(playground) as other:
        assert next(one)["tasks"][str(PHOTOS)]["name"] == next(other)["tasks"][str(PHOTOS)]["name"] == "photos"
        assert do(playground, "fail", {"task": PHOTOS}).status_code == 204
        for changes in (one, other):
            (story,) = told_until(changes, '"outcome": "started"')["stories"]
            assert story["title"] == "photos: network"
            assert story["notice"]["record"][0]["smn"]["type"] == "notification"
            (delivery,) = story["deliveries"]
            assert delivery["status"] in (None, 204)
            assert [step for step, _ in delivery["steps"]] == [
                *("delivery", "caller", "dialect", "request", "ledger", "look", "look", "task", "decided", "call"),
                *("outcome", "reply"),
            ]
            assert delivery["receipts"][0]["task_name"] == "photos"
    with watching(playground) as later:
        everything = next(later)
        assert everything["all"]
        assert [one["title"] for one in everything["stories"]][-1] == "photos: network"
        assert everything["stories"][-1]["deliveries"][0]["status"] == 204
        assert everything["tasks"][str(PHOTOS)]["starts"] == 1


def test_no_key_of_a_bucket_and_no_token_is_told(playground: Playing) -> None:
    with watching(playground) as changes:
        told = json.dumps(next(changes))
    assert "SKEXAMPLE" not in told
    assert BEARER not in told


def test_a_delivery_from_elsewhere_has_its_story_too(playground: Playing) -> None:
    with watching(playground) as changes:
        next(changes)
        headers = {"Authorization": f"Bearer {BEARER}"}
        httpx.post(playground.function, json={"task_id": 1, "reason": "by curl"}, headers=headers)
        (story,) = told_until(changes, "not_found")["stories"]
    assert (story["title"], story["notice"]) == ("1: direct", None)


def test_a_browser_at_the_functions_port_learns_where_the_page_is(playground: Playing) -> None:
    said = httpx.get(playground.function, headers={"Accept": "text/html"}).text
    assert said.startswith("This is oms-task-restarter, ")
    assert said.endswith(f"; the playground's page is {playground.page}.\n")


def test_the_function_is_the_deployed_one_with_an_observer(playground: Playing) -> None:
    """It answers a direct call as the same code does elsewhere; its stdout holds receipts and nothing else."""
    headers = {"Authorization": f"Bearer {BEARER}"}
    reply = httpx.post(playground.function, json={"task_id": TASK}, headers=headers)
    assert reply.json()["outcome"] == "started"
    assert "steps" not in reply.json()
