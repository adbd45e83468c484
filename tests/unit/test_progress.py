"""A restart that moved something does not count, one storage key is one incident, and there is a ceiling."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from example import PROJECT, TASK
from restarter.decide.case import Case
from restarter.decide.policy import Policy
from restarter.decide.progress import (
    Canary,
    has_moved,
    has_moved_with,
    key_worked_within,
    progress_since,
    read_canaries,
    read_note,
    since_key_moved,
    since_last_moved,
    write_key_note,
    write_note,
)
from restarter.decide.rules import limit
from restarter.ledger import MAX_NOTE_LENGTH
from restarter.model.outcome import Outcome
from restarter.model.request import Event, Intent, RestartRequest
from restarter.model.task import Counters, Restart, Task, TaskGroup

EVENT = Event(request=RestartRequest(task_id=str(TASK)), dialect="cloudevent", intent=Intent.FAILED, project_id=PROJECT)
FAILED = Task(id=str(TASK), name=None, status=4, failure_reason="TRF.0001")
KEY_REFUSED = FAILED._replace(failure_reason="TRF.0151")
POLICY = Policy(budget=3)
FINGERPRINT = "0123456789abcdef"
counts = st.none() | st.integers(0, 10**15 - 1)
counters = st.builds(Counters, counts, counts, counts)


def restart(age_s: float, objects: int | None = None, size: int | None = None, fingerprint: str = "") -> Restart:
    return Restart(age_s, note=write_note(Counters(objects, size), fingerprint))


def verdict(task: Task, restarts: tuple[Restart, ...], of_key: tuple[Restart, ...] = ()) -> str:
    said = limit(Case(EVENT, task, POLICY, restarts, of_key))
    return f"{said.kind} {said.reason}" if said else "start"


@pytest.mark.usefixtures("unmeasured")
@given(counters, st.sampled_from(["", FINGERPRINT]))
def test_a_note_is_read_as_it_was_written(found: Counters, fingerprint: str) -> None:
    note = write_note(found, fingerprint)
    assert read_note(note) == (found, fingerprint)
    assert len(note) <= MAX_NOTE_LENGTH


@pytest.mark.parametrize("note", ["", "moved", "1,2", "1,2,3,4,5", "-1,2,,", "a,b,c,d e", "1,2,3,XYZ"])
def test_a_note_of_another_kind_is_passed_over(note: str) -> None:
    assert read_note(note) == (Counters(), "")


@pytest.mark.parametrize(
    ("then", "now", "moved"),
    [
        (Counters(5, 100), Counters(5, 100), False),
        (Counters(5, 100), Counters(6, 100), True),
        (Counters(5, 100), Counters(5, 101), True),
        (Counters(5, 100), Counters(3, 100), True),
        (Counters(5, 100), Counters(0, 0), False),
        (Counters(5, 100), Counters(), False),
        (Counters(), Counters(5, 100), False),
        (Counters(5), Counters(None, 100), False),
        (Counters(0, 0), Counters(0, 0), False),
        (Counters(tasks=3), Counters(tasks=4), True),
        (Counters(tasks=3), Counters(tasks=3), False),
    ],
)
def test_a_task_has_moved_if_a_counter_grew_or_began_anew(then: Counters, now: Counters, moved: bool) -> None:  # noqa: FBT001
    assert has_moved(then, now) is moved


def test_only_restarts_since_the_last_that_moved_count() -> None:
    restarts = (restart(9000, 1), restart(8000, 5), restart(7000, 9), restart(6000, 9))
    assert since_last_moved(restarts, Counters(9)) == restarts[2:]
    assert since_last_moved(restarts, Counters(10)) == ()
    assert since_last_moved(restarts, Counters()) == restarts
    assert since_last_moved((Restart(100.0), *restarts), Counters(9)) == restarts[2:]


def test_progress_is_what_moved_since_the_newest_restart() -> None:
    restarts = (restart(9000, 1, 10), restart(8000, 5, 50))
    assert progress_since(restarts, Counters(8, 90)) == Counters(3, 40)
    assert progress_since(restarts, Counters(5, 50)) == Counters(0, 0)
    assert progress_since(restarts, Counters(2, 20)) == Counters(2, 20)
    assert progress_since(restarts, Counters(8)) == Counters(3)
    assert progress_since((), Counters(8, 90)) is None
    assert progress_since((Restart(5.0),), Counters(8, 90)) is None


def test_a_restart_that_moved_does_not_use_up_the_budget() -> None:
    failed = (restart(9000, 5), restart(8000, 5), restart(7000, 5))
    assert verdict(FAILED._replace(counters=Counters(5)), failed) == "refused budget_exhausted"
    assert verdict(FAILED._replace(counters=Counters(0)), failed) == "refused budget_exhausted"
    assert verdict(FAILED._replace(counters=Counters(6)), failed) == "start"
    assert verdict(FAILED, failed) == "refused budget_exhausted"


def test_the_pause_after_progress_is_its_first_step() -> None:
    moved = FAILED._replace(counters=Counters(6))
    stood = FAILED._replace(counters=Counters(5))
    for age, of_moved, of_stood in [(59, "deferred backoff", "deferred backoff"), (61, "start", "deferred backoff")]:
        restarts = (restart(9000, 5), restart(age, 5))
        assert verdict(moved, restarts) == of_moved
        assert verdict(stood, restarts) == of_stood


@pytest.mark.parametrize(("restarts", "expected"), [(11, "start"), (12, "refused budget_exhausted")])
def test_four_budgets_are_the_ceiling_for_a_task_that_always_moves(restarts: int, expected: str) -> None:
    made = tuple(restart(90000 - 1000 * number, number) for number in range(restarts))
    case = Case(EVENT, FAILED._replace(counters=Counters(restarts)), POLICY, made)
    said = limit(case)
    assert (f"{said.kind} {said.reason}" if said else "start") == expected
    assert said is None or said.restarts == restarts


def canary(age_s: float, note: str = "+", *, under_way: bool = False) -> Restart:
    return Restart(age_s, under_way=under_way, note=note)


@pytest.mark.parametrize(
    ("of_key", "expected"),
    [
        ((), "start"),
        ((canary(59),), "deferred backoff"),
        ((canary(61),), "start"),
        ((canary(900), canary(119)), "deferred backoff"),
        ((canary(900), canary(121)), "start"),
        ((canary(900), canary(800), canary(700)), "refused storage_key"),
        ((canary(900), canary(800), canary(4, under_way=True)), "deferred in_progress"),
        ((canary(900), canary(800), canary(10, under_way=True)), "refused storage_key"),
    ],
)
def test_a_storage_key_has_the_budget_and_the_pause_of_a_task(of_key: tuple[Restart, ...], expected: str) -> None:
    assert verdict(KEY_REFUSED, (), of_key) == expected
    asked = Case(EVENT._replace(intent=Intent.REQUESTED), KEY_REFUSED, POLICY, (), of_key)
    assert limit(asked) is None


def test_the_tasks_own_budget_comes_before_that_of_its_key() -> None:
    used = (restart(9000), restart(8000), restart(7000))
    assert verdict(KEY_REFUSED, used, (canary(900), canary(800), canary(700))) == "refused budget_exhausted"


def test_a_task_that_moved_clears_the_key_it_was_restarted_with() -> None:
    restarts = (restart(900, 5, fingerprint="ff"), restart(800, 5, fingerprint=FINGERPRINT))
    assert has_moved_with(FINGERPRINT, restarts, Counters(6))
    assert not has_moved_with(FINGERPRINT, restarts, Counters(5))
    assert not has_moved_with("ff", restarts, Counters(6))
    assert not has_moved_with(FINGERPRINT, (), Counters(6))


def test_restarts_with_another_key_do_not_count_where_the_key_was_refused() -> None:
    """New keys start anew; the ceiling holds all the same."""
    others = tuple(restart(age, 5, fingerprint="ff") for age in (900, 800, 30))
    policy = POLICY._replace(fingerprints={"default": FINGERPRINT})
    of_key, of_all = (
        limit(Case(EVENT, task._replace(counters=Counters(5)), policy, others)) for task in (KEY_REFUSED, FAILED)
    )
    assert of_key is None
    assert of_all is not None
    unknown = (restart(900, 5), restart(800, 5), restart(700, 5, fingerprint=FINGERPRINT))
    assert limit(Case(EVENT, KEY_REFUSED._replace(counters=Counters(5)), policy, unknown)) is not None
    assert limit(Case(EVENT, KEY_REFUSED, policy, others * 4)) is not None


def test_what_counts_against_a_key_is_what_came_after_it_was_cleared() -> None:
    canaries = (canary(900), canary(800))
    assert since_key_moved(canaries) == canaries
    assert since_key_moved((*canaries, canary(700, "moved"))) == ()
    assert since_key_moved((*canaries, canary(700, "moved"), canary(600))) == (canary(600),)
    assert since_key_moved((*canaries, canary(700, "moved+"), canary(600))) == (canary(700, "moved+"), canary(600))


def test_a_key_that_worked_a_moment_ago_is_known_to_work() -> None:
    restarts = (canary(900), canary(50, "moved+"), canary(40))
    assert key_worked_within(60, restarts)
    assert not key_worked_within(50, restarts)
    assert not key_worked_within(60, restarts[2:])


targets = st.builds(Task, st.from_regex(r"[0-9]{1,15}", fullmatch=True), st.none(), st.just(4), counters=counters)
groups = st.builds(TaskGroup, st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True), st.just(5), counters=counters)


@pytest.mark.usefixtures("unmeasured")
@given(targets | groups, st.booleans())
def test_the_note_of_a_canary_says_what_to_look_at(target: Task | TaskGroup, moved: bool) -> None:  # noqa: FBT001
    note = write_key_note(target, key_works=moved, counts=True)
    assert len(note) <= MAX_NOTE_LENGTH
    assert read_canaries((canary(1, note),)) == [Canary(target.id, isinstance(target, TaskGroup), target.counters)]
    assert read_canaries((canary(1, write_key_note(target, key_works=moved, counts=False)),)) == []


def test_the_first_and_the_newest_canary_are_looked_at() -> None:
    made = tuple(canary(9 - number, f"+t{number};,,,") for number in range(4))
    assert [one.target_id for one in read_canaries(made)] == ["0", "3"]
    assert read_canaries(()) == []


def test_a_group_whose_id_is_too_long_for_a_note_is_not_looked_at() -> None:
    note = write_key_note(TaskGroup("g" * 65, 5), key_works=False, counts=True)
    assert (note, read_canaries((canary(1, note),))) == ("+", [])


@pytest.mark.parametrize(
    ("found", "moved"),
    [
        (FAILED._replace(counters=Counters(5)), False),
        (FAILED._replace(counters=Counters(6)), True),
        (FAILED._replace(counters=Counters(5), status=5), True),
        (FAILED._replace(counters=Counters(5), status=2), False),
    ],
)
def test_a_canary_that_moved_or_is_done_proves_its_key(found: Task, moved: bool) -> None:  # noqa: FBT001
    assert Canary(found.id, of_group=False, counters=Counters(5)).has_moved(found) is moved


def test_a_group_is_done_when_it_is_complete() -> None:
    canary_group = Canary("g", of_group=True, counters=Counters(tasks=3))
    assert canary_group.has_moved(TaskGroup("g", 6))
    assert not canary_group.has_moved(TaskGroup("g", 5, counters=Counters(tasks=3)))


def test_while_the_first_canary_runs_the_others_wait() -> None:
    used = (canary(90000), canary(80000), canary(70000))
    waiting = limit(Case(EVENT, KEY_REFUSED, POLICY, (), used, canary_runs=True))
    assert waiting is not None
    assert (waiting.kind, waiting.reason) == ("deferred", "backoff")


class Migration:
    """A task that is restarted whenever the rules allow it, by a clock that jumps from failure to failure."""

    def __init__(self, budget: int) -> None:
        self.policy = POLICY._replace(budget=budget, window=86400.0)
        self.now = 0.0
        self.objects = 1
        self.made: list[tuple[float, str]] = []

    def fails(self, after_s: float, moved: int) -> Outcome | None:
        """It runs for a while, moves so much, and fails."""
        self.now += after_s
        self.objects += moved
        task = FAILED._replace(counters=Counters(self.objects))
        kept = tuple(Restart(self.now - at, note=note) for at, note in self.made if self.now - at < 86400)
        said = limit(Case(EVENT, task, self.policy, kept))
        if said is None:
            self.made.append((self.now, write_note(task.counters, "")))
        return said


failures = st.lists(st.tuples(st.floats(1, 40000), st.integers(0, 3)), max_size=120)


@pytest.mark.usefixtures("unmeasured")
@given(failures, st.integers(1, 4))
def test_no_sequence_of_failures_makes_more_starts_than_the_ceiling(
    failures: list[tuple[float, int]], budget: int
) -> None:
    """And none makes more than the budget in a row that help nothing."""
    task = Migration(budget)
    in_vain = 0
    for after_s, moved in failures:
        in_vain = 0 if moved else in_vain
        if task.fails(after_s, moved) is None:
            in_vain += 1
        since = task.now - 86400
        assert len([at for at, _ in task.made if at > since]) <= 4 * budget
        assert in_vain <= budget or task.now - task.made[-budget - 1][0] >= 86400


@given(st.lists(st.floats(21601, 86400), min_size=5, max_size=60), st.integers(1, 4))
def test_a_task_that_moves_is_never_stopped(pauses: list[float], budget: int) -> None:
    """One that breaks every six hours or more reaches no ceiling, and no pause is that long."""
    task = Migration(budget)
    assert all(task.fails(after_s, 1) is None for after_s in pauses)
