"""What `check --all` checks besides OMS: the clock, the servers of certificates and keys, and the platform."""

from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from restarter.callers.google_oidc import KEYS_URL
from restarter.cli.output import Finding, judged
from restarter.http.call import Answer, Call, NoAnswer
from restarter.http.transport import Sender
from restarter.reporting.notify import send
from restarter.reporting.phrases import say
from restarter.settings.model import Settings

TIMEOUT_S = 5.0  # for one server
MAX_SKEW_S = 60.0
SET_CLOCK = "set the clock of this machine (NTP); OMS accepts signatures within 15 minutes"
REACH_SMN = "let the function reach it, or give the certificate in CALLER_SMN_CERTIFICATE"
REACH_GOOGLE = "let the function reach it, or give the keys in CALLER_OIDC_KEYS"
NAME_THEM = "set NOTIFY_URLS to addresses as Apprise documents them for each service, and let the function reach them"
# Variables that only one platform sets, and what it does with a delivery after a 503.
ON_FUNCTIONGRAPH = "an asynchronous call is repeated by its retry settings, then goes to its destination for failures"
ON_KNATIVE = "Pub/Sub repeats a delivery until it expires; a Broker does as its delivery settings say"
PLATFORMS = (
    ({"RUNTIME_PROJECT_ID", "RUNTIME_FUNC_NAME", "RUNTIME_PACKAGE"}, f"FunctionGraph: {ON_FUNCTIONGRAPH}"),
    ({"K_SERVICE", "FUNCTION_TARGET"}, f"Cloud Run or Knative: {ON_KNATIVE}"),
)
NO_PLATFORM = "none is known here: a failed delivery is repeated as its sender does it"


class ClockWatch:
    """Sends requests, and compares the time of OMS's responses with the clock of this machine."""

    def __init__(self, sender: Sender, now: Callable[[], datetime]) -> None:
        self._sender = sender
        self._now = now
        self._skew_s: float | None = None

    async def send(self, call: Call, headers: Mapping[str, str], seconds: float) -> Answer | NoAnswer:
        """Send the request, and compare the Date of the response, if it is from OMS."""
        answer = await self._sender.send(call, headers, seconds)
        if call.operation and isinstance(answer, Answer) and answer.date is not None:
            at = _time(answer.date)
            self._skew_s = self._skew_s if at is None else (self._now() - at).total_seconds()
        return answer

    async def close(self) -> None:
        """Close all connections."""
        await self._sender.close()

    def finding(self) -> Finding:
        """Whether the clock of this machine is right, by OMS's last response."""
        if self._skew_s is None:
            return Finding("clock", "not compared: no answer of OMS had a Date")
        text = f"{abs(self._skew_s):.0f} s {'ahead of' if self._skew_s > 0 else 'behind'} OMS's"
        return judged("clock", text, SET_CLOCK, ok=abs(self._skew_s) <= MAX_SKEW_S)


async def check_notify(settings: Settings) -> AsyncIterator[Finding]:
    """Whether each address of NOTIFY_URLS takes a test message. Only the address's scheme is shown."""
    if not settings.notify_urls:
        yield Finding("notify", "NOTIFY_URLS is not set", ok=False, to_do=NAME_THEM)
        return
    title, text = (say(phrase, settings.restart_language) for phrase in ("test_title", "test_text"))
    took = await send(settings.notify_urls, title, text)
    for number, (url, ok) in enumerate(zip(settings.notify_urls, took, strict=True), 1):
        about = f"address {number} ({url.get_secret_value().partition(':')[0]})"
        said = f"{about}: {'took' if ok else 'did not take'} a test message"
        yield judged("notify", said, NAME_THEM, ok=ok)


async def check_sources_of_keys(settings: Settings, sender: Sender) -> AsyncIterator[Finding]:
    """Whether the servers respond from which callers' certificates and keys are fetched."""
    if settings.caller_smn_topics and settings.caller_smn_certificate is None:
        for region in sorted({topic.split(":")[2] for topic in settings.caller_smn_topics}):
            yield await _smn(region, settings.caller_smn_domains, sender)
    if settings.caller_oidc_audience and settings.caller_oidc_keys is None:
        answer = await sender.send(Call("GET", KEYS_URL, ""), {}, TIMEOUT_S)
        status = answer.status if isinstance(answer, Answer) else answer.reason
        ok = status == HTTPStatus.OK
        yield judged("Google's keys", f"{KEYS_URL} answers" if ok else f"{KEYS_URL}: {status}", REACH_GOOGLE, ok=ok)


async def _smn(region: str, domains: tuple[str, ...], sender: Sender) -> Finding:
    """Whether SMN's server in a region responds in one of the domains; any response is enough."""
    for domain in domains:
        origin = f"https://smn.{region}.{domain}"
        if isinstance(await sender.send(Call("GET", origin, "/"), {}, TIMEOUT_S), Answer):
            return Finding("SMN's certificates", f"{origin} answers")
    text = f"no server of {region} in {', '.join(domains)} answers"
    return Finding("SMN's certificates", text, ok=False, to_do=REACH_SMN)


def platform(environment: Mapping[str, str]) -> Finding:
    """The platform, judged by the environment, and what it does with a delivery that fails."""
    known = (text for variables, text in PLATFORMS if environment.keys() & variables)
    return Finding("platform", next(known, NO_PLATFORM))


def _time(date: str) -> datetime | None:
    """The time of a Date header; None if it has none, or no time zone."""
    try:
        at = parsedate_to_datetime(date)
    except ValueError:
        return None
    return at if at.tzinfo else None
