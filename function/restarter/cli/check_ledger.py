"""Whether the ledger responds, is shared, keeps what is written, and removes it again."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator

from restarter.cli.output import Finding, judged
from restarter.ledger import Claim, EventKey, Ledger, LedgerError, LedgerKeys, Stores, open_ledger
from restarter.settings.model import Settings

BUCKETS = ("gs", "obs")
RACERS = 16
RACE_LOST = "use another ledger than {}://: what answers there does not keep its promises, and tasks may start twice"
PROBE_S = 10.0  # after which a probe expires if this process dies
REACH_IT = "let the function reach the server that RESTART_LEDGER names, and check name, password and TLS"
WRITE_IT = "let the function's user write the file that RESTART_LEDGER names and its folder, and check the disk"
KEEP_IT = "see that nothing between here and {} answers in its place, and that it is no read-only replica"
SHARE_IT = (
    "set RESTART_LEDGER to a ledger that outlives the instance; function/README.md, «Ledgers», says which for whom"
)
SHARED = Finding("ledger", "shared by all instances with this RESTART_LEDGER")
NOT_SHARED = {
    "memory": Finding("ledger", "kept in one instance, and forgotten when that ends", to_do=SHARE_IT),
    "sqlite": Finding("ledger", "shared by the processes of this host with this RESTART_LEDGER"),
}


async def check_ledger(settings: Settings, *, everything: bool) -> AsyncIterator[Finding]:
    """The findings about the ledger. With `everything` a probe is written, read and removed."""
    scheme = settings.restart_ledger.scheme
    ledger = open_ledger(settings.restart_ledger, time.time, Stores.of(settings, settings.access_key))
    try:
        await ledger.history(LedgerKeys("check", "check"), 1)
        written = await _probe(ledger, scheme) if everything else None
    except LedgerError as error:
        to_do = WRITE_IT if scheme == "sqlite" else REACH_IT
        yield Finding("ledger", f"{scheme} does not answer: {error}", ok=False, to_do=to_do)
    else:
        yield Finding("ledger", f"{scheme} answers")
        if written is not None:
            yield written
            yield NOT_SHARED.get(scheme, SHARED)
        if everything and scheme in BUCKETS:
            yield await _raced(ledger, scheme)
    finally:
        await ledger.close()


async def _probe(ledger: Ledger, scheme: str) -> Finding:
    """Whether the ledger keeps a claim of an invented event, and forgets it after its release.

    Raises:
        LedgerError: The ledger failed.
    """
    probe = EventKey(f"check-{secrets.token_hex(8)}", "check")
    claims = [await ledger.claim(probe, PROBE_S), await ledger.claim(probe, PROBE_S)]
    await ledger.release(probe, claims[0].token)
    claims.append(await ledger.claim(probe, PROBE_S))
    await ledger.release(probe, claims[-1].token)
    ok = [claim.state for claim in claims] == [Claim.OURS, Claim.HELD, Claim.OURS]
    text = "a probe was written, read and removed" if ok else "a probe was not kept, or not removed"
    return judged("ledger", text, KEEP_IT.format(scheme), ok=ok)


async def _raced(ledger: Ledger, scheme: str) -> Finding:
    """How many of sixteen concurrent claims are ours: tests in the real bucket what the ledger relies on."""
    probe = EventKey(f"check-{secrets.token_hex(8)}", "check")
    claims = await asyncio.gather(*(ledger.claim(probe, PROBE_S) for _ in range(RACERS)), return_exceptions=True)
    won = [claimed.token for claimed in claims if not isinstance(claimed, BaseException) and claimed.token]
    failed = sum(isinstance(claimed, LedgerError) for claimed in claims)
    text = f"of {RACERS} claims at once {len(won)} won, {failed} had no answer; at most one may win, and none at times"
    return judged("ledger", text, RACE_LOST.format(scheme), ok=len(won) <= 1)
