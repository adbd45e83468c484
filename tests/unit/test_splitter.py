"""At most one wins, whatever the order of the steps: all of them are tried, with the real coroutines."""

from collections.abc import Callable, Coroutine
from itertools import count
from typing import Any

import pytest

from interleavings import Explorer, Steps, step
from restarter.ledger import Claim, Claimed, EventKey, History, LedgerError, LedgerKeys, bucket_ledger
from restarter.ledger.bucket_ledger import BucketLedger
from restarter.ledger.splitter import Store, split

Contend = Callable[[Store, str], Coroutine[Any, Any, bool]]
EVENT, SECONDS = EventKey("event", "target"), 10.0


async def splitter(store: Store, token: str) -> bool:
    return (await split(store, "place", token, f"of {token}", 8)).won


async def look_then_write(store: Store, token: str) -> bool:
    if (await store.get("x")).value is not None:
        return False
    await store.put("x", token, 8)
    return True


async def write_then_look(store: Store, token: str) -> bool:
    await store.put("x", token, 8)
    return (await store.get("x")).value == token


async def look_write_look(store: Store, token: str) -> bool:
    if (await store.get("x")).value is not None:
        return False
    await store.put("x", token, 8)
    return (await store.get("x")).value == token


class SendsTwice(Steps):
    """As a client that repeats a write by itself when its answer is lost."""

    async def put(self, name: str, value: str, days: int) -> float:
        try:
            return await super().put(name, value, days)
        except LedgerError:
            return await super().put(name, value, days)


def most_winners(contend: Contend, number: int, store: Store | None = None, **how: Any) -> tuple[int, Explorer]:
    """The largest number of winners in any state, and the explorer."""
    explorer = Explorer(lambda who: contend(store or Steps(), f"token {who}"), number, **how)
    return max(sum(explorer.results(state)) for state in explorer.states()), explorer


@pytest.mark.usefixtures("unmeasured")
@pytest.mark.parametrize(("number", "states"), [(2, 61), (3, 931), (4, 16225)])
def test_of_two_to_four_at_once_at_most_one_wins_in_any_order(number: int, states: int) -> None:
    most, explorer = most_winners(splitter, number)
    assert most == 1
    assert len(explorer.seen) == states


def test_one_alone_always_wins() -> None:
    explorer = Explorer(lambda _: splitter(Steps(), "token"), 1)
    *_, last = sorted(explorer.states(), key=lambda state: len(state.answers[0]))
    assert explorer.results(last) == [True]


@pytest.mark.parametrize("number", [2, 3])
def test_at_most_one_wins_where_a_read_during_a_write_gives_either_value_or_a_part(number: int) -> None:
    most, explorer = most_winners(splitter, number, overlapping=True)
    assert most == 1
    assert len(explorer.seen) > 100


@pytest.mark.parametrize(("number", "losing"), [(2, 2), (3, 1)])
def test_at_most_one_wins_where_answers_are_lost_and_writes_land_now_later_or_never(number: int, losing: int) -> None:
    most, explorer = most_winners(splitter, number, losing=losing)
    assert most == 1
    assert len(explorer.seen) > 150


@pytest.mark.parametrize("shorter", [look_then_write, write_then_look, look_write_look])
def test_each_shorter_protocol_lets_two_win(shorter: Contend) -> None:
    assert most_winners(shorter, 2)[0] == 2


def test_a_write_that_is_sent_twice_lets_two_win() -> None:
    assert most_winners(splitter, 2, SendsTwice(), losing=1)[0] == 2


@pytest.fixture
def tokens(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Begin the tokens of a coroutine, which must be the same each time that it is made."""
    numbers: list[Any] = [None, None]

    def begin(who: int) -> None:
        numbers[:] = who, count()

    monkeypatch.setattr(bucket_ledger, "new_token", lambda: f"{numbers[0]}.{next(numbers[1])}")
    return begin


def claims(
    tokens: Callable[[int], None], *ends: str, ledger: type[BucketLedger] = BucketLedger
) -> Callable[[int], Coroutine[Any, Any, Claim]]:
    """Deliveries that claim one event, hold it for a step, and end as said."""

    def make(who: int) -> Coroutine[Any, Any, Claim]:
        async def delivery() -> Claim:
            opened = ledger(Steps())
            claimed = await opened.claim(EVENT, SECONDS)
            if claimed.state is Claim.OURS:
                await step("holds")
                await (opened.settle if ends[who] == "settle" else opened.release)(EVENT, claimed.token)
            return claimed.state

        tokens(who)
        return delivery()

    return make


def holders(explorer: Explorer, state: Any) -> int:
    """How many hold the event by a claim that has not expired: their tokens and rounds are in their writes."""
    holding = [who for who in range(explorer.number) if explorer.at(state, who) == ("asks", ("holds",))]
    return sum(_claimed_at(explorer, state, who) == state.clock for who in holding)


def _claimed_at(explorer: Explorer, state: Any, who: int) -> float:
    """When a holder wrote `y`: the answer before its last reads, for a write's answer is a time."""
    return next(answer for answer in reversed(state.answers[who]) if isinstance(answer, float))


@pytest.mark.usefixtures("unmeasured")
@pytest.mark.parametrize("ends", [("release",) * 2, ("settle", "release"), ("release",) * 3])
def test_an_event_is_never_held_twice_whatever_the_rounds(tokens: Callable[[int], None], ends: tuple[str, ...]) -> None:
    explorer = Explorer(claims(tokens, *ends), len(ends))
    assert max(holders(explorer, state) for state in explorer.states()) == 1
    assert len(explorer.seen) > 100


def settled_in_time(explorer: Explorer, state: Any, who: int) -> bool:
    """Whether a holder settled the event before its claim expired: the last answer is that to `settle`."""
    if explorer.at(state, who) != ("ended", Claim.OURS):
        return False
    *before, settled_at = state.answers[who]
    return bool(settled_at == next(answer for answer in reversed(before) if isinstance(answer, float)))


class Creates(BucketLedger):
    """As in Cloud Storage, which creates an object for one alone."""

    def __init__(self, store: Steps) -> None:
        super().__init__(store, store.create)


class LooksOnce(BucketLedger):
    """As if a claim did not look again, after a round that has expired, whether its holder has settled the event."""

    looked = False

    async def _settled(self, event: EventKey) -> Claimed | None:
        found, self.looked = (None if self.looked else await super()._settled(event)), True
        return found


@pytest.mark.usefixtures("unmeasured")
@pytest.mark.parametrize(("ledger", "most"), [(BucketLedger, 0), (Creates, 0), (LooksOnce, 1)])
def test_an_event_is_never_held_twice_nor_after_it_was_settled(
    tokens: Callable[[int], None], ledger: type[BucketLedger], most: int
) -> None:
    """A claim may expire at any moment."""
    explorer = Explorer(claims(tokens, "settle", "release", ledger=ledger), 2, jump_s=SECONDS + 1)
    held_and_settled = 0
    for state in explorer.states():
        held = holders(explorer, state)
        assert held <= 1
        held_and_settled = max(held_and_settled, held and settled_in_time(explorer, state, 0))
    assert held_and_settled == most


def test_whoever_finds_an_event_settled_is_told_so(tokens: Callable[[int], None]) -> None:
    explorer = Explorer(claims(tokens, "settle", "settle", "settle"), 3)
    told = 0
    for state in explorer.states():
        for who, answers in enumerate(state.answers):
            if answers and answers[0][0] is not None:
                assert explorer.at(state, who) == ("ended", Claim.SETTLED)
                told += 1
    assert told


def reservations(
    tokens: Callable[[int], None], ledger: type[BucketLedger]
) -> Callable[[int], Coroutine[Any, Any, bool]]:
    def make(who: int) -> Coroutine[Any, Any, bool]:
        tokens(who)
        keys = LedgerKeys(f"event {who}", "task")
        return ledger(Steps()).reserve(keys, History((), ""), 3600, f"attempt {who}")

    return make


@pytest.mark.parametrize("ledger", [BucketLedger, Creates])
@pytest.mark.parametrize(("number", "losing"), [(2, 1), (3, 0)])
def test_of_reservations_by_one_history_at_most_one_is_taken(
    tokens: Callable[[int], None], number: int, losing: int, ledger: type[BucketLedger]
) -> None:
    """It counts from then on."""
    explorer = Explorer(reservations(tokens, ledger), number, losing=losing)
    most = 0
    for state in explorer.states():
        taken = sum(explorer.results(state))
        most = max(most, taken)
        assert taken <= ("t/task/1/y" in dict(state.objects))
    assert most == 1
