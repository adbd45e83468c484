"""What `check --all` asks beside OMS: the clock, the servers of certificates and keys, and the platform."""

from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime

from restarter.callers.google_oidc import KEYS_URL
from restarter.cli.output import Finding
from restarter.http.call import Answer, Call, NoAnswer
from restarter.http.transport import Sender
from restarter.reporting.notify import TEST, send
from restarter.settings.model import Settings

TIMEOUT_S = 5.0  # for one server
MAX_SKEW_S = 60.0
SET_CLOCK = "set the clock of this machine (NTP); OMS accepts signatures within 15 minutes"
REACH_SMN = "let the function reach it, or give the certificate in CALLER_SMN_CERTIFICATE"
REACH_GOOGLE = "let the function reach it, or give the keys in CALLER_OIDC_KEYS"
NAME_THEM = "set NOTIFY_URLS to addresses as Apprise documents them for each service, and let the function reach them"
# Variables that only one platform sets, and what it does with a delivery that is answered 503.
PLATFORMS = (
    (
        ("RUNTIME_PROJECT_ID", "RUNTIME_FUNC_NAME", "RUNTIME_PACKAGE"),
        "FunctionGraph",
        "an asynchronous call is repeated by its retry settings, then goes to its destination for failures",
    ),
    (
        ("K_SERVICE", "FUNCTION_TARGET"),
        "Cloud Run or Knative",
        "Pub/Sub repeats a delivery until it expires; a Broker does as its delivery settings say",
    ),
)
NO_PLATFORM = "none is known here: a failed delivery is repeated as its sender does it"


class ClockWatch:
    """Sends calls, and compares the time of the answers with the time here."""

    def __init__(self, sender: Sender, now: Callable[[], datetime]) -> None:
        self._sender = sender
        self._now = now
        self._skew_s: float | None = None

    async def send(self, call: Call, headers: Mapping[str, str], seconds: float) -> Answer | NoAnswer:
        """Send the call; the Date of OMS's answer is compared."""
        answer = await self._sender.send(call, headers, seconds)
        if call.operation and isinstance(answer, Answer) and answer.date is not None:
            at = _time(answer.date)
            self._skew_s = self._skew_s if at is None else (self._now() - at).total_seconds()
        return answer

    async def close(self) -> None:
        """Close all connections."""
        await self._sender.close()

    def finding(self) -> Finding:
        """Whether the clock here is right, as OMS's last answer tells."""
        if self._skew_s is None:
            return Finding(check="clock", found="not compared: no answer of OMS had a Date")
        ok = abs(self._skew_s) <= MAX_SKEW_S
        text = f"{abs(self._skew_s):.0f} s {'ahead of' if self._skew_s > 0 else 'behind'} OMS's"
        return Finding(check="clock", found=text, ok=ok, to_do=None if ok else SET_CLOCK)


async def check_notify(settings: Settings) -> AsyncIterator[Finding]:
    """Whether each address of NOTIFY_URLS takes a test message. Only its scheme is shown."""
    if not settings.notify_urls:
        yield Finding(check="notify", found="NOTIFY_URLS is not set", ok=False, to_do=NAME_THEM)
        return
    took = await send(settings.notify_urls, *(text.in_(settings.restart_language) for text in TEST))
    for number, (url, ok) in enumerate(zip(settings.notify_urls, took, strict=True), 1):
        about = f"address {number} ({url.get_secret_value().partition(':')[0]})"
        said = "took a test message" if ok else "did not take a test message"
        yield Finding(check="notify", found=f"{about}: {said}", ok=ok, to_do=None if ok else NAME_THEM)


async def check_sources_of_keys(settings: Settings, sender: Sender) -> AsyncIterator[Finding]:
    """Whether the servers answer from which certificates and keys of callers are fetched."""
    if settings.caller_smn_topics and settings.caller_smn_certificate is None:
        for region in sorted({topic.split(":")[2] for topic in settings.caller_smn_topics}):
            yield await _smn(region, settings.caller_smn_domains, sender)
    if settings.caller_oidc_audience and settings.caller_oidc_keys is None:
        answer = await sender.send(Call("GET", KEYS_URL, ""), {}, TIMEOUT_S)
        if isinstance(answer, Answer) and answer.status == 200:
            yield Finding(check="Google's keys", found=f"{KEYS_URL} answers")
        else:
            said = answer.status if isinstance(answer, Answer) else answer.reason
            yield Finding(check="Google's keys", found=f"{KEYS_URL}: {said}", ok=False, to_do=REACH_GOOGLE)


async def _smn(region: str, domains: tuple[str, ...], sender: Sender) -> Finding:
    """A region is in one of the domains; any answer shows that its server can be reached."""
    for domain in domains:
        origin = f"https://smn.{region}.{domain}"
        answer = await sender.send(Call("GET", origin, "/"), {}, TIMEOUT_S)
        if isinstance(answer, Answer):
            return Finding(check="SMN's certificates", found=f"{origin} answers")
    text = f"no server of {region} in {', '.join(domains)} answers"
    return Finding(check="SMN's certificates", found=text, ok=False, to_do=REACH_SMN)


def platform(environment: Mapping[str, str]) -> Finding:
    """The platform, as far as the environment tells it, and what it does with a delivery that fails."""
    for variables, name, on_failure in PLATFORMS:
        if any(variable in environment for variable in variables):
            return Finding(check="platform", found=f"{name}: {on_failure}")
    return Finding(check="platform", found=NO_PLATFORM)


def _time(date: str) -> datetime | None:
    """The time of a Date header, UTC; None where it is none."""
    try:
        at = parsedate_to_datetime(date)
    except ValueError:
        return None
    return at if at.tzinfo else None
