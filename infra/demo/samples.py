"""The sample deliveries of events/: HTTP requests in files, with what they show in the lines above them.

A sample says in {{…}} what cannot be written down beforehand; `fill` puts it in just before it is sent:

    {{now}}  {{epoch}}  {{epoch age=600}}            the time, as RFC 3339 or in seconds; age: so many seconds ago
    {{id-token audience=… email=…}}                  signed as Google does; also age=… (it lasts an hour), verified=no
    {{sign webhook}}                                 of the headers webhook-id, webhook-timestamp and the body
    {{sign smn}}                                     of the fields of the body that it stands in

A token or signature «by stranger» is made with keys that nobody knows; one «of another text» fits another body.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from signing_keys import SigningKeys

EVENTS = Path(__file__).parents[2] / "events"
FOLDERS = ("invalid", "ignored", "valid")
PLACEHOLDER = re.compile(r"\{\{(now|epoch|id-token)\b([^{}]*)\}\}")
SIGNATURE = re.compile(r"\{\{sign (webhook|smn)\b([^{}]*)\}\}")


@dataclass(frozen=True)
class Sample:
    """One delivery; `folder` and `outcome` say what must become of it: a word for each request in it."""

    folder: str
    name: str
    about: str
    outcome: str
    method: str
    path: str
    headers: Mapping[str, str]
    body: str

    @property
    def by_platform(self) -> bool:
        """FunctionGraph posts to /invoke, and has authenticated the caller itself."""
        return self.path == "/invoke"


def read_all() -> Iterator[Sample]:
    """Every sample, folder by folder."""
    for folder in FOLDERS:
        for file in sorted((EVENTS / folder).glob("*.http")):
            yield read(file)


def read(file: Path) -> Sample:
    """`# about`, `# outcome: word`, request line, headers, an empty line, and the body without its last newline."""
    head, _, body = file.read_text("utf-8").partition("\n\n")
    lines = head.splitlines()
    notes = [line.removeprefix("#").strip() for line in lines if line.startswith("#")]
    request_line, *headers = [line for line in lines if not line.startswith("#")]
    method, path, _ = request_line.split(" ")
    outcome = [note.removeprefix("outcome:").strip() for note in notes if note.startswith("outcome:")]
    return Sample(
        folder=file.parent.name,
        name=file.stem,
        about=" ".join(note for note in notes if not note.startswith("outcome:")),
        outcome=outcome[0],
        method=method,
        path=path,
        headers={name: value.strip() for name, _, value in (header.partition(":") for header in headers)},
        body=body.removesuffix("\n"),
    )


def fill(sample: Sample, keys: SigningKeys) -> Sample:
    """The sample as it is sent now: first times and tokens, then what is signed together with them."""
    now = datetime.now(UTC)

    def plain(text: str) -> str:
        return PLACEHOLDER.sub(lambda match: _value(match[1], match[2], keys, now), text)

    headers = {name: plain(value) for name, value in sample.headers.items()}
    body = plain(sample.body)
    body = SIGNATURE.sub(lambda match: _smn(body, match[2], keys), body)
    headers = {
        name: SIGNATURE.sub(lambda match: _webhook(headers, body, match[2], keys), value)
        for name, value in headers.items()
    }
    return replace(sample, headers=headers, body=body)


def _value(kind: str, words: str, keys: SigningKeys, now: datetime) -> str:
    options = dict(word.split("=", 1) for word in words.split() if "=" in word)
    at = now - timedelta(seconds=int(options.get("age", "0")))
    match kind:
        case "now":  # events of today: an old one is refused
            return at.strftime("%Y-%m-%dT%H:%M:%SZ")
        case "epoch":
            return str(int(at.timestamp()))
        case _:
            return _id_token(words, options, keys, at)


def _id_token(words: str, options: Mapping[str, str], keys: SigningKeys, at: datetime) -> str:
    issued = int(at.timestamp())
    claims = {
        "iss": "https://accounts.google.com",
        "aud": options["audience"],
        "email": options["email"],
        "email_verified": options.get("verified") != "no",
        "iat": issued,
        "exp": issued + 3600,
    }
    signer = keys.stranger if "by stranger" in words else keys.sender
    return signer.id_token(claims)


def _webhook(headers: Mapping[str, str], body: str, words: str, keys: SigningKeys) -> str:
    signer = keys.stranger if "by stranger" in words else keys.sender
    signed = body + " " if "of another text" in words else body
    return signer.webhook(headers["webhook-id"], headers["webhook-timestamp"], signed.encode())


def _smn(body: str, words: str, keys: SigningKeys) -> str:
    signer = keys.stranger if "by stranger" in words else keys.sender
    message = json.loads(body)
    if "of another text" in words:
        message["message"] += " "
    return signer.smn(message)
