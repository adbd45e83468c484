"""The playground's page and the report's in a real browser: tests click what a person clicks and read what is there.

They need Debian's chromium; where there is none, each is skipped by its name. PICTURE=.github/playground.png keeps
README's picture of the first minute.
"""

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from playwright import sync_api

from example import BEARER, TASK, TASK_NAME
from playing import Playing, browser_environment, playing
from processes import run_python

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [pytest.mark.long, pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")]
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)
SOON_MS = 15_000
CLAIM_MS = 30_000  # until the claim of a dead instance has ended, and its event comes again
HOSTILE = "<img src=x onerror=pwned=1><script>pwned=1</script>'&lt;b&gt; {{1}}"


@pytest.fixture(scope="module")
def playground() -> Iterator[Playing]:
    with playing() as one:
        yield one


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sync_api.BrowserContext]:
    """A browser with a profile of its own."""
    with sync_api.sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            tmp_path_factory.mktemp("profile"),
            executable_path=CHROMIUM,
            args=list(FLAGS),
            env=browser_environment(),
            viewport={"width": 1280, "height": 1060},
            color_scheme="light",
        )
        context.set_default_timeout(SOON_MS)
        yield context
        context.close()


@contextmanager
def opened(browser: sync_api.BrowserContext, address: str) -> Iterator[sync_api.Page]:
    """The page at an address; at the end, nothing was said on the console, and nothing was loaded from elsewhere."""
    page = browser.new_page()
    complaints: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address)
    yield page
    page.close()
    assert complaints == []
    assert [url for url in asked if not url.startswith(address)] == []


@pytest.fixture
def page(browser: sync_api.BrowserContext, playground: Playing) -> Iterator[sync_api.Page]:
    """The playground's page in a world as it was at first."""
    httpx.post(f"{playground.oms}/_sim/reset")
    with opened(browser, playground.page) as one:
        yield one


def let_fail(page: sync_api.Page, name: str, cause: str, how: str = "trigger", trouble: str = "none") -> None:
    for control, value in (("cause", cause), ("how", how), ("trouble", trouble)):
        page.select_option(f"#{control}", value)
    row(page, name).get_by_role("button", name="fail it").click()


def row(page: sync_api.Page, name: str) -> sync_api.Locator:
    return page.locator(f'tr[data-task="{name}"]')


def newest(page: sync_api.Page, title: str) -> sync_api.Locator:
    """The newest story, once it has that title."""
    story = page.locator("article").first
    sync_api.expect(story.get_by_role("heading")).to_have_text(title, timeout=SOON_MS)
    return story


def expect(locator: sync_api.Locator, *words: str) -> None:
    for text in words:
        sync_api.expect(locator).to_contain_text(text, timeout=SOON_MS)


def test_the_first_minute(page: sync_api.Page, tmp_path: Path) -> None:
    """One click: the task fails, its notice leaves, the function decides, the task runs again."""
    expect(page.locator("body"), "connected", "Nothing yet: let a task fail.")
    expect(row(page, "photos"), "running")
    row(page, "photos").get_by_role("button", name="fail it").click()
    story = newest(page, "photos: network")
    expect(story, '"event_source": "smn"', '\\"task_name\\": \\"photos\\"')
    expect(story, "FunctionGraph's SMN trigger: POST /invoke → answered 204", "authenticated by bearer")
    expect(story, "status 4, NORMAL_TASK, TRF.0157", "start: no rule forbids it", "started", "204 No Content")
    expect(story, "the receipt: Started task 191297407831101")
    sync_api.expect(row(page, "photos").locator("td").nth(1)).to_have_text("running", timeout=SOON_MS)
    sync_api.expect(row(page, "photos").locator("td").nth(2)).to_have_text("1")
    sync_api.expect(page.locator("#night")).to_have_attribute("src", re.compile(r"\?"), timeout=SOON_MS)
    sync_api.expect(page.locator("#night")).to_have_js_property("complete", value=True, timeout=SOON_MS)
    assert page.locator("#night").evaluate("image => image.naturalWidth") == 1180
    picture = Path(os.environ.get("PICTURE") or tmp_path / "playground.png")
    page.screenshot(path=picture)
    assert picture.stat().st_size > 20_000


def test_an_expired_key_is_cured_by_a_signed_notice(page: sync_api.Page) -> None:
    let_fail(page, "invoices", "key expired", how="signed")
    story = newest(page, "invoices: key expired")
    expect(story, "SMN over HTTPS, signed: POST / → answered 204", "authenticated by smn", "TRF.0151", "started")
    expect(row(page, "invoices"), "running", "1")


def test_a_full_bucket_is_refused_with_advice_and_a_person_starts_it_by_hand(page: sync_api.Page) -> None:
    let_fail(page, "raw-video", "bucket full")
    expect(newest(page, "raw-video: bucket full"), "refused permanent_failure", "Make room in the destination bucket")
    expect(row(page, "raw-video"), "failed, TRF.0055")
    row(page, "raw-video").get_by_role("button", name="start it by hand").click()
    expect(row(page, "raw-video"), "running")


def test_what_a_person_paused_stays_paused(page: sync_api.Page) -> None:
    let_fail(page, "backups", "paused by a person")
    expect(newest(page, "backups: paused by a person"), "a person has started the task", "refused paused")
    expect(row(page, "backups"), "paused")


def test_the_same_notice_again_starts_nothing(page: sync_api.Page) -> None:
    let_fail(page, "logs", "throttled")
    story = newest(page, "logs: throttled")
    expect(story, "started")
    story.get_by_role("button", name="send it again").click()
    expect(story, "2. FunctionGraph's SMN trigger", "duplicate")
    story.get_by_role("button", name="send two at once").click()
    expect(story, "4. FunctionGraph's SMN trigger")
    sync_api.expect(row(page, "logs").locator("td").nth(2)).to_have_text("1")


def test_two_at_once_make_one_start(page: sync_api.Page) -> None:
    let_fail(page, "maps", "network", trouble="two at once")
    expect(newest(page, "maps: network"), "1. FunctionGraph's", "2. FunctionGraph's", "started")
    sync_api.expect(row(page, "maps").locator("td").nth(2)).to_have_text("1", timeout=SOON_MS)


def test_a_start_without_a_response_is_looked_at_and_not_sent_again(page: sync_api.Page) -> None:
    let_fail(page, "maps", "throttled", trouble="OMS does not respond")
    story = newest(page, "maps: throttled")
    expect(story, "its response is lost", "started", "204 No Content")
    assert story.locator("dt").all_inner_texts().count("call") == 1
    sync_api.expect(row(page, "maps").locator("td").nth(2)).to_have_text("1", timeout=SOON_MS)


def test_when_the_instance_dies_the_next_one_starts_nothing_twice(page: sync_api.Page) -> None:
    let_fail(page, "photos", "throttled", trouble="the instance dies")
    story = newest(page, "photos: throttled")
    expect(story, "no response: the process is gone")
    sync_api.expect(story).to_contain_text("already_running", timeout=CLAIM_MS)
    sync_api.expect(row(page, "photos").locator("td").nth(2)).to_have_text("1", timeout=SOON_MS)


def test_a_reload_and_a_second_browser_lose_nothing(page: sync_api.Page, browser: sync_api.BrowserContext) -> None:
    let_fail(page, "invoices", "throttled")
    expect(newest(page, "invoices: throttled"), "started")
    titles = page.locator("article h3").all_inner_texts()
    page.reload()
    expect(newest(page, "invoices: throttled"), "started")
    assert page.locator("article h3").all_inner_texts() == titles
    other = browser.new_page()
    other.goto(page.url)
    expect(newest(other, "invoices: throttled"), "started")
    assert other.locator("article h3").all_inner_texts() == titles
    other.close()


def test_no_name_and_no_reason_becomes_markup(page: sync_api.Page, playground: Playing) -> None:
    tasks = httpx.get(f"{playground.oms}/_sim/tasks").json()
    hostile = next(task for task in tasks if task["name"] == "photos") | {"id": 7, "name": HOSTILE}
    httpx.post(f"{playground.oms}/_sim/tasks", json=[hostile]).raise_for_status()
    before = page.locator("img, script, b").count()
    expect(page.locator("#noticed"), HOSTILE)
    page.locator("#noticed tr").first.get_by_role("button", name="fail it").click()
    expect(newest(page, f"{HOSTILE}: network"), "started")
    call = {"task_id": TASK, "reason": f'{HOSTILE}" \u202e'}
    httpx.post(playground.function, json=call, headers={"Authorization": f"Bearer {BEARER}"})
    story = newest(page, f"{TASK_NAME}: direct")
    story.get_by_text("the receipt").click()
    expect(story, "<script>pwned=1</script>")
    assert page.locator("img, script, b").count() == before
    assert page.evaluate("typeof pwned") == "undefined"


def test_the_page_of_a_report_shows_the_night_and_runs_nothing(
    browser: sync_api.BrowserContext, tmp_path: Path
) -> None:
    """Its names, causes and advice are text, whatever they hold."""
    began = datetime.now(UTC) - timedelta(hours=2)
    rows = [("1", HOSTILE, "refused", "TRF.0055"), ("2", "photos", "started", "TRF.0157")]
    receipts = [
        {
            "time": (began + timedelta(minutes=number)).isoformat(),
            "severity": "ERROR",
            "message": "m",
            "dialect": "smn",
            "intent": "failed",
            "event_age_s": 600,
            "task_id": task_id,
            "task_name": name,
            "outcome": outcome,
            "failure_reason": cause,
            "advice": HOSTILE,
        }
        for number, (task_id, name, outcome, cause) in enumerate(rows)
    ]
    log, made = tmp_path / "receipts.log", tmp_path / "night.html"
    log.write_text("".join(json.dumps(one) + "\n" for one in receipts), "utf-8")
    assert run_python(["-m", "restarter", "report", str(log), "--html", str(made)], {}).returncode == 0
    with opened(browser, made.as_uri()) as page:
        expect(page.locator("body"), "2 receipts, 0 other lines", HOSTILE, "TRF.0055")
        assert page.locator("svg").bounding_box()
        assert page.locator("svg text", has_text="photos").first.is_visible()
        assert page.locator("img, script, b").count() == 0
        assert page.evaluate("typeof pwned") == "undefined"
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
