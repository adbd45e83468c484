"""infra/ without a cloud: it parses, its names exist, its settings are the program's, and no secret is in it.

Each check is a function from the folder to a list of faults. The last test plants faults and expects them to be found.
"""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from email.message import Message
from fnmatch import fnmatch
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any
from unittest.mock import patch

import hcl2
import jsonschema_rs
import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

from processes import EXAMPLE
from restarter.settings.errors import SettingsError
from restarter.settings.functiongraph import FunctionGraphSettings
from restarter.settings.model import Settings, load

pytestmark = pytest.mark.usefixtures("unmeasured")
ROOT = Path(__file__).parents[2]
INFRA = ROOT / "infra"
SCHEMAS = Path(__file__).parent / "infra_schemas"
PROVIDERS = json.loads((SCHEMAS / "providers.json").read_text("utf-8"))
KNATIVE = json.loads((SCHEMAS / "knative.json").read_text("utf-8"))
KUBERNETES = "1.37"
TERRAFORM = ("huawei", "huawei/example", "google")

NAMES = {
    *(name.upper() for name in Settings.model_fields),
    *("CLOUD_SDK_AK", "CLOUD_SDK_SK", "SECRETS_DIR", "HOST", "PORT", "FUNCTION_TARGET", "FUNCTION_SOURCE"),
}
# Read by libraries that the program stands on.
NAMES |= {"PYDANTIC_DISABLE_PLUGINS", "OMS_AGENCY", "LOG_EXECUTION_ID"}
OF_THE_IMAGE = {"PATH", "HOME", "TMPDIR", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"}
SECRET_NAMES = {
    name.upper()
    for name, field in Settings.model_fields.items()
    if "SecretStr" in f"{field.annotation}{field.metadata}" or name == "restart_ledger"  # of Redis: a password
}
SHOUTED = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+|PORT")
PROFILE = re.compile(r"OMS_PROFILES__[A-Z0-9_-]+__(SRC|DST|SOURCE)_[A-Z_]+|OMS_PROFILES__")

Faults = list[str]
Tree = dict[str, Any]


# ---- reading


@cache
def parsed(text: str) -> Tree:
    """Terraform's language as values; expressions stay text in ${}."""
    options = hcl2.SerializationOptions(with_comments=False, strip_string_quotes=True)
    tree: Tree = hcl2.loads(text, serialization_options=options)
    return tree


def terraform(root: Path, folder: str) -> dict[Path, Tree]:
    """The files of one configuration."""
    return {path: parsed(path.read_text("utf-8")) for path in sorted((root / folder).glob("*.tf"))}


def blocks(root: Path, folder: str, kind: str) -> Iterator[tuple[str, str, Tree]]:
    """Type, name and body of every resource or data source; variables, outputs: name, empty, body."""
    for tree in terraform(root, folder).values():
        for block in tree.get(kind, []):
            for first, inside in block.items():
                if kind not in {"resource", "data"}:
                    yield first, "", inside
                elif not first.startswith("__"):
                    yield from ((first, name, body) for name, body in inside.items() if not name.startswith("__"))


def values_of(root: Path, folder: str) -> Tree:
    """All local values of one configuration."""
    path = root / folder / "locals.tf"
    trees = parsed(path.read_text("utf-8"))["locals"] if path.exists() else []
    return {name: value for tree in trees for name, value in tree.items()}


def documents(path: Path) -> list[Tree]:
    """What a manifest holds."""
    return [one for one in yaml.load_all(path.read_text("utf-8"), yaml.CSafeLoader) if one]


def manifests(root: Path) -> list[tuple[Path, Tree]]:
    """Every document of infra/knative."""
    return [(path, one) for path in sorted((root / "knative").rglob("*.yaml")) for one in documents(path)]


def without_comments(text: str) -> str:
    """Terraform, YAML and env files comment alike."""
    return re.sub(r"(^|\s)#.*", r"\1", text)


# ---- Terraform: form


def form(root: Path) -> Faults:
    """`terraform fmt`'s rules as far as files here use them: indentation, the column of `=`, empty lines, the end."""
    faults = []
    for path in sorted(root.rglob("*.tf")):
        text = path.read_text("utf-8")
        if re.search(r"\t|[ \t]$|\n\n\n|\n\n\Z|\{\n\n", text, re.MULTILINE) or not text.endswith("\n"):
            faults.append(f"{path.name}: white space")
        faults += [f"{path.name}:{number}: indentation" for number in _badly_indented(text)]
        faults += [f"{path.name}:{number}: column of =" for number in _badly_aligned(text)]
    return faults


def _code(text: str) -> Iterator[tuple[int, str, str]]:
    """Number, line, and the line without strings and comments; heredocs are left out."""
    end = ""
    for number, line in enumerate(text.splitlines(), 1):
        if end:
            end = "" if line.strip() == end else end
            continue
        bare = re.sub(r"(^|\s)#.*", "", re.sub(r'"(?:\\.|[^"\\])*"', '""', line))
        if found := re.search(r"<<-?(\w+)$", bare):
            end = found[1]
        yield number, line, bare


def _badly_indented(text: str) -> Iterator[int]:
    opened: list[int] = []  # the line of each bracket that is open
    for number, line, bare in _code(text):
        leading = len(re.match(r"[\s)\]}]*", bare)[0].replace(" ", "")) if bare.strip() else 0  # type: ignore[index]
        depth = len(set(opened[: len(opened) - leading]))
        if line.strip() and len(line) - len(line.lstrip()) != 2 * depth:
            yield number
        for sign in bare:
            if sign in "([{":
                opened.append(number)
            elif sign in ")]}":
                opened.pop()


def _badly_aligned(text: str) -> Iterator[int]:
    def column(row: tuple[int, str, str]) -> int | None:
        found = re.match(r'(\s*(?:\w+|"")\s+)= \S', row[2])
        balanced = not sum(row[2].count(a) - row[2].count(b) for a, b in ("()", "[]", "{}"))
        return len(row[1]) - len(row[1].lstrip()) if found and balanced else None

    for indent, group in groupby(_code(text), column):
        rows = list(group)
        if indent is not None and len({line.index(" = ") for _, line, _ in rows}) > 1:
            yield rows[0][0]


# ---- Terraform: names


def names(root: Path) -> Faults:
    """Resources, arguments and attributes are the providers'; variables and locals are declared, and all are used."""
    faults: Faults = []
    for folder in TERRAFORM:
        for kind, known in (("resource", PROVIDERS["resources"]), ("data", PROVIDERS["data"])):
            for first, name, body in blocks(root, folder, kind):
                where = f"{folder}: {first}.{name}"
                if first in known:
                    faults += _arguments(where, body, known[first]["arguments"])
                else:
                    faults.append(f"{where}: no such {kind}")
        faults += [f"{folder}: {fault}" for fault in _references(root, folder)]
    return faults


META = {"count", "for_each", "depends_on", "dynamic", "lifecycle", "__is_block__"}


def _arguments(where: str, body: Tree, known: Tree) -> Iterator[str]:
    """Of one block and those inside, dynamic ones too."""
    inside = {name: rows for name, rows in body.items() if isinstance(rows, list) and "__is_block__" in str(rows[:1])}
    for dynamic in inside.pop("dynamic", []):
        inside |= {name: one["content"] for name, one in dynamic.items() if not name.startswith("__")}
    for name in (body.keys() | inside.keys()) - known.keys() - META:
        yield f"{where}: no argument {name}"
    for name, rule in known.items():
        required = rule["required"] if isinstance(rule, dict) else rule == "required"
        if required and name not in body.keys() | inside.keys():
            yield f"{where}: {name} is required"
        for one in inside.get(name, []) if isinstance(rule, dict) else []:
            yield from _arguments(f"{where}.{name}", one, rule["block"])


def _references(root: Path, folder: str) -> Iterator[str]:
    texts = {path.name: without_comments(path.read_text("utf-8")) for path in (root / folder).glob("*.tf")}
    whole = "\n".join(texts.values())
    declared = {name for name, _, _ in blocks(root, folder, "variable")}
    used = set(re.findall(r"\bvar\.(\w+)", whole))
    yield from (f"variable {name}: {'not declared' if name in used else 'not used'}" for name in declared ^ used)
    known, asked = set(values_of(root, folder)) - {"__is_block__"}, set(re.findall(r"\blocal\.(\w+)", whole))
    yield from (f"local {name}: {'not declared' if name in asked else 'not used'}" for name in known ^ asked)
    for kind, prefix in (("resource", ""), ("data", r"data\.")):
        made = {(first, name) for first, name, _ in blocks(root, folder, kind)}
        pattern = prefix + r"\b((?:huaweicloud|google|archive)_\w+)\.(\w+)(?:\[[^\]]*\])?(?:\.(\w+))?"
        for first, name, attribute in re.findall(pattern if prefix else r"(?<!data\.)" + pattern, whole):
            about = PROVIDERS["resources" if kind == "resource" else "data"].get(first, {})
            if (first, name) not in made:
                yield f"{first}.{name}: not declared"
            elif attribute and attribute not in {"id", *about.get("arguments", {}), *about.get("attributes", [])}:
                yield f"{first}.{name}: no attribute {attribute}"


def words(root: Path) -> Faults:
    """Every variable is typed and described, a secret one sensitive and without a default; versions are bounded."""
    faults = []
    for folder in TERRAFORM:
        for name, _, body in blocks(root, folder, "variable"):
            faults += [f"{folder}: variable {name} has no {word}" for word in {"type", "description"} - body.keys()]
            if re.fullmatch(r"secrets|keys|.*(password|token|_key|_sk)", name) and body.get("sensitive") is not True:
                faults.append(f"{folder}: variable {name} is not sensitive")
            if body.get("sensitive") is True and "default" in body:
                faults.append(f"{folder}: variable {name} is secret and has a default")
        faults += [
            f"{folder}: output {name} has no description"
            for name, _, body in blocks(root, folder, "output")
            if "description" not in body
        ]
        text = "".join(path.read_text("utf-8") for path in (root / folder).glob("*.tf"))
        if len(re.findall(r'^\s+source\s+= "\w+/\w+"\n\s+version = "~> ', text, re.MULTILINE)) != text.count(
            "source  ="
        ):
            faults.append(f"{folder}: a provider's version is not bounded")
    return faults


# ---- settings


def settings(root: Path) -> Faults:
    """Every environment variable is a setting of the program, and lists of its secret settings are complete."""
    faults = []
    for path, name in _environment(root):
        allowed = NAMES | OF_THE_IMAGE if path.suffix in {"", ".service"} else NAMES
        if name not in allowed and not PROFILE.fullmatch(name):
            faults.append(f"{path.relative_to(root)}: {name} is no setting")
    return faults + [
        f"{folder}: secret_names are not the program's secret settings"
        for folder in ("huawei", "google")
        if set(values_of(root, folder)["secret_names"]) != SECRET_NAMES
    ]


def _environment(root: Path) -> Iterator[tuple[Path, str]]:
    """Each name of an environment variable, with where it stands; in READMEs, whatever is written like one of ours."""
    for path in [*root.rglob("*.tf"), *root.rglob("*.tfvars.example"), *root.rglob("*.env.example")]:
        text = without_comments(path.read_text("utf-8"))
        keys = re.findall(r'^\s*"?([A-Z][A-Z0-9_]+)"?\s*=|[{,]\s*"?([A-Z][A-Z0-9_]+)"?\s*=[^=]', text, re.MULTILINE)
        listed = re.findall(r'^\s*"([A-Z][A-Z0-9_]+)",?$|, "([A-Z][A-Z0-9_]+)"\)', text, re.MULTILINE)
        for first, second in [*keys, *listed]:
            if SHOUTED.fullmatch(first or second) and not (first or second).startswith("ALLOW_"):
                yield path, first or second
    for path, one in manifests(root):
        yield from ((path, name) for name in _container_environment(one))
    for unit in (root / "host").glob("*.service"):
        yield from ((unit, one.split("=")[0]) for line in _unit(unit).get("Environment", []) for one in line.split())
    compose = root / "local" / "compose.yaml"
    for service in documents(compose)[0]["services"].values():
        yield from ((compose, name) for name in service.get("environment", {}))
    docker = root / "image" / "Dockerfile"
    for line in re.findall(r"^ENV (.*)$", docker.read_text("utf-8").replace("\\\n", ""), re.MULTILINE):
        yield from ((docker, name) for name in re.findall(r"(\w+)=", line))
    ours = re.compile(r"\b(?:OMS|RESTART|CALLER|HUAWEICLOUD_SDK|IAM|SECRETS)_[A-Z0-9_]+")
    for path in root.rglob("*.md"):
        yield from ((path, name) for name in ours.findall(path.read_text("utf-8")))


def _containers(document: Tree) -> list[Tree]:
    spec = document.get("spec", {}).get("template", {}).get("spec", {}) if document["kind"] == "Service" else {}
    containers: list[Tree] = spec.get("containers", [])
    return containers


def _patched(component: Tree, what: str) -> list[Tree]:
    """What the patches of a component add to the lists of that name."""
    steps = [step for one in component.get("patches", []) for step in yaml.safe_load(one["patch"])]
    return [step["value"] for step in steps if step["path"].endswith(f"/{what}/-")]


def _container_environment(document: Tree) -> dict[str, str]:
    given = [
        *_patched(document, "env"),
        *(one for container in _containers(document) for one in container.get("env", [])),
    ]
    return {one["name"]: one["value"] for one in given}


SAMPLES = {**EXAMPLE, "CALLER_TRUST_PLATFORM": "true", "OMS_AGENCY": "true", "RESTART_LEDGER": "memory://"}


def required(root: Path) -> Faults:
    """The program would start on every platform with nothing but what is always set there."""
    huawei, google = values_of(root, "huawei"), values_of(root, "google")
    package = [*huawei["settings"], *huawei["required_secrets"]]
    image = [*package, *huawei["image_settings"], "HUAWEICLOUD_SDK_AK", "HUAWEICLOUD_SDK_SK"]
    agency = [*package, *huawei["image_settings"], *huawei["agency_settings"]]
    keys = re.findall(r"^(\w+)=", (root / "knative" / "secrets.env.example").read_text("utf-8"), re.MULTILINE)
    service = documents(root / "knative" / "service.yaml")[0]
    compose = documents(root / "local" / "compose.yaml")[0]["services"]["function"]["environment"]
    given: list[tuple[str, type[Settings], Mapping[str, str]]] = [
        ("huawei", FunctionGraphSettings, _sampled(package)),
        ("huawei from an image", Settings, _sampled(image)),
        *(
            [("huawei's agency from an image", Settings, _sampled(agency))]
            if "oms_agency" in Settings.model_fields
            else []
        ),
        ("google", Settings, _sampled([*google["settings"], *google["required_secrets"]])),
        ("knative", Settings, _sampled(keys) | _container_environment(service)),
        ("compose", Settings, compose | {"RESTART_LEDGER": "memory://"}),
    ]
    return [f"{platform}: {fault}" for platform, kind, values in given for fault in _faults_at_start(kind, values)]


def _sampled(names_: list[str]) -> dict[str, str]:
    return {name: SAMPLES[name] for name in names_ if name in SAMPLES}


def _faults_at_start(kind: type[Settings], values: Mapping[str, str]) -> Faults:
    with patch.dict(os.environ, {"SECRETS_DIR": "/nowhere", **values}, clear=True):
        try:
            load(kind)
        except SettingsError as error:
            return error.messages
    return []


# ---- secrets

LOOKS_SECRET = re.compile(
    r"whsec_[A-Za-z0-9+/]{8}|-----BEGIN|\beyJ[\w-]{10}|\b(AKIA|HPUA)[A-Z0-9]{10}|\b[A-Z0-9]{20}\b"
)
BUCKET = re.compile(r'RESTART_LEDGER\s*=\s*"(gs|obs)://')  # it holds no password, as a Redis may
KEY_ARGUMENT = re.compile(r'^\s*(access_key|secret_key|secret_data\w*|password|token)\s*=\s*"[^"$]+"', re.MULTILINE)


def secrets(root: Path) -> Faults:
    """No secret is written down, but for the demo's, which open nothing; none is in user data that is not encrypted."""
    faults = []
    for path in sorted(path for path in root.rglob("*") if path.is_file() and "local" not in path.parts[-2:]):
        text = without_comments(path.read_text("utf-8"))
        given = (
            re.findall(r'"?\b([A-Z][A-Z0-9_]+)"?[ \t]*[=:][ \t]*"?([^\s",}]+)', text) if path.suffix != ".py" else []
        )
        written = [(name, value) for name, value in given if value not in {'"', "{", "["} and "…" not in value]
        # The path of a ledger's file opens nothing, and neither does a command that reads a secret.
        loud = [name for name, value in written if _is_secret(name) and not value.startswith(("sqlite:", "$("))]
        loud = [name for name in loud if name != "RESTART_LEDGER" or not BUCKET.search(text)]
        faults += [f"{path.relative_to(root)}: {name} is written down" for name in loud]
        if LOOKS_SECRET.search(text) or KEY_ARGUMENT.search(text):
            faults.append(f"{path.relative_to(root)}: something looks like a secret")
    for path, one in manifests(root):
        clear = {name: value for name, value in _container_environment(one).items() if _is_secret(name)}
        faults += [f"{path.name}: {name} is in clear" for name in clear if not clear[name].startswith("sqlite:")]
    environment = documents(root / "local" / "compose.yaml")[0]["services"]["function"]["environment"]
    faults += [
        f"compose.yaml: {name} is not the demo's"
        for name, value in environment.items()
        if _is_secret(name) and name != "RESTART_LEDGER" and value != EXAMPLE.get(name)
    ]
    for folder in ("huawei", "google"):
        plain = {**values_of(root, folder)["settings"], **values_of(root, folder).get("image_settings", {})}
        faults += [f"{folder}: {name} is a secret among plain settings" for name in plain if _is_secret(name)]
    ignored = {folder: (root / folder / ".gitignore").read_text("utf-8") for folder in ("huawei", "google", "knative")}
    faults += [f"{name}: secrets are not kept out of git" for name, text in ignored.items() if not _keeps(name, text)]
    return faults


def _is_secret(name: str) -> bool:
    return name in SECRET_NAMES or name.startswith("OMS_PROFILES__")


def _keeps(folder: str, text: str) -> bool:
    needed = {"secrets.env"} if folder == "knative" else {"*.tfvars", "*.tfstate*"}
    return needed <= set(text.split())


# ---- dead letters and rights


def dead_letters(root: Path) -> Faults:
    """On every platform what cannot be dealt with is repeated for a while, then kept where it cannot come back from."""
    faults = []
    target = next((b for t, _, b in blocks(root, "huawei", "resource") if t.endswith("async_invoke_configuration")), {})
    failure = str(target.get("on_failure", ""))
    if "huaweicloud_smn_topic.dead." not in failure or not target.get("max_async_retry_attempts"):
        faults.append("huawei: no retries, or no destination for failures")
    subscriptions = [(n, b) for t, n, b in blocks(root, "google", "resource") if t == "google_pubsub_subscription"]
    for name, body in subscriptions:
        if "push_config" in body and not {"dead_letter_policy", "retry_policy"} <= body.keys():
            faults.append(f"google: subscription {name} has no dead letters, or no pauses")
    if not any("topic.dead." in body["topic"] and "push_config" not in body for _, body in subscriptions):
        faults.append("google: nobody keeps the dead letters")
    granted = {(t, n) for t, n, _ in blocks(root, "google", "resource") if t.endswith("_iam_member")}
    if not {("google_pubsub_topic_iam_member", "dead"), ("google_pubsub_subscription_iam_member", "dead")} <= granted:
        faults.append("google: Pub/Sub may not move dead letters")
    return [*faults, *_dead_letter_sinks(root)]


def _dead_letter_sinks(root: Path) -> Iterator[str]:
    everything = [one for _, one in manifests(root)]
    there = {(one["apiVersion"], one["kind"], one["metadata"]["name"]) for one in everything if "metadata" in one}
    for trigger in (one for one in everything if one["kind"] == "Trigger"):
        name, spec = trigger["metadata"]["name"], trigger["spec"]
        delivery, subscriber = spec.get("delivery", {}), spec["subscriber"]["ref"]
        sink = delivery.get("deadLetterSink", {}).get("ref", {})
        if tuple(sink.values()) not in there or sink == subscriber:
            yield f"knative: trigger {name} has no dead-letter sink of its own"
        if not delivery.get("retry") or delivery.get("backoffPolicy") != "exponential":
            yield f"knative: trigger {name} does not repeat with growing pauses"
        if tuple(subscriber.values()) not in there:
            yield f"knative: trigger {name} has no subscriber"


# ---- notices


def notices(root: Path) -> Faults:
    """OMS may publish to the topic that calls the function, no service to another; mails fill in; one language."""
    topics = {n: b for t, n, b in blocks(root, "huawei", "resource") if t == "huaweicloud_smn_topic"}
    trigger = next(b for t, n, b in blocks(root, "huawei", "resource") if (t, n) == (TRIGGER, "failed"))
    called = {name for name in topics if f"huaweicloud_smn_topic.{name}.topic_urn" in trigger["event_data"]}
    default = next((b.get("default", "") for n, _, b in blocks(root, "huawei", "variable") if n == "publishers"), "")
    faults = ["huawei: no topic calls the function"] if not called else []
    for name, body in topics.items():
        publishers = str(body.get("services_publish_allowed", "")).replace("${var.publishers}", default)
        if (name in called) != ("oms" in publishers.split(",")):
            faults.append(f"huawei: topic {name} is {'closed for OMS' if name in called else 'open for services'}")
    values = values_of(root, "huawei")
    if "var.locale" not in values["settings"].get("RESTART_LANGUAGE", ""):
        faults.append("huawei: locale does not choose the language of receipts")
    for language, text in values["mail"].items():
        loose = re.findall(r"\$\$?(?:\{\w+\}|event[\w.\[\]]++)(?!;)", re.sub(r"\\n", "\n", str(text)))
        faults += [f"huawei: the mail in {language}: no semicolon after {variable}" for variable in loose]
    return faults


TRIGGER = "huaweicloud_fgs_function_trigger"
# https://support.huaweicloud.com/intl/en-us/api-obs/obs_04_0021.html
BUCKET_NAME = 63


def lengths(root: Path) -> Faults:
    """With the longest name that is accepted, and a project id of 32 characters, OBS takes the name of the bucket."""
    variable = next(b for n, _, b in blocks(root, "huawei", "variable") if n == "name")
    pattern = re.search(r'regex\("(.+?)", var.name\)', str(variable["validation"]))
    assert pattern
    longest = max(n for n in range(100) if re.fullmatch(pattern[1], "a" * n))
    buckets = [b["bucket"] for t, _, b in blocks(root, "huawei", "resource") if t == "huaweicloud_obs_bucket"]
    names_ = [b.replace("${var.name}", "a" * longest).replace("${var.project_id}", "0" * 32) for b in buckets]
    return [
        f"huawei: a bucket's name has {len(name)} characters" for name in names_ if not 3 <= len(name) <= BUCKET_NAME
    ]


# ---- sweeps


def sweeps(root: Path) -> Faults:
    """Each platform can send a sweep that the program understands, does not by default, and then switches it on."""
    faults = []
    for folder, kind in (("huawei", "huaweicloud_fgs_function_trigger"), ("google", "google_cloud_scheduler_job")):
        body = next((b for t, n, b in blocks(root, folder, "resource") if (t, n) == (kind, "sweep")), {})
        if body.get("count") != "${var.sweep ? 1 : 0}":
            faults.append(f"{folder}: the timer does not depend on the variable sweep")
        if "jsonencode({sweep = true})" not in str(body).replace("{ ", "{").replace(" }", "}"):
            faults.append(f"{folder}: the timer asks for something else")
        variable = next((b for name, _, b in blocks(root, folder, "variable") if name == "sweep"), {})
        if variable.get("default") is not False:
            faults.append(f"{folder}: sweep is not off by default")
        if values_of(root, folder).get("sweep_settings") != {"RESTART_SWEEP": "on"}:
            faults.append(f"{folder}: the program would ignore a sweep")
    return [*faults, *_pings(root)]


def _pings(root: Path) -> Iterator[str]:
    ping = documents(root / "knative" / "sweep" / "pingsource.yaml")[0]
    if json.loads(ping["spec"]["data"]) != {"sweep": True} or ping["spec"]["contentType"] != "application/json":
        yield "knative: the ping asks for something else"
    there = {
        (one["apiVersion"], one["kind"], one["metadata"]["name"]) for _, one in manifests(root) if "metadata" in one
    }
    if tuple(ping["spec"]["sink"]["ref"].values()) not in there:
        yield "knative: nobody gets the ping"
    given = _container_environment(documents(root / "knative" / "sweep" / "kustomization.yaml")[0])
    if given != {"RESTART_SWEEP": "on", "EVENT_TYPES_FAILED": "dev.knative.sources.ping"}:
        yield "knative: the program would ignore a ping"


def rights(root: Path) -> Faults:
    """Nobody may do more than is needed, and nobody unknown gets in."""
    text = "".join(path.read_text("utf-8") for folder in TERRAFORM for path in (root / folder).glob("*.tf"))
    actions = {one for row in re.findall(r"Action = \[([^\]]*)\]", text) for one in re.findall(r'"([^"]+)"', row)}
    faults = []
    ours = {f"oms:{what}:{verb}" for what in ("task", "taskgroup") for verb in ("get", "list", "update")}
    if actions != {*ours, "smn:topic:publish"}:
        faults.append(f"huawei: actions {sorted(actions)}")
    roles = set(re.findall(r'"(roles/[\w.]+)"', text))
    faults += [f"google: {role} is wide" for role in roles if re.search(r"admin|owner|editor$", role.lower())]
    if "allUsers" in text or "allAuthenticatedUsers" in text:
        faults.append("google: anybody may call")
    if re.search(r'roles/run\.invoker"\n\s+member\s+= (?!google_service_account\.push\.member)', text):
        faults.append("google: another than Pub/Sub's account may call")
    if 'LOG_EXECUTION_ID = "false"' not in text:
        faults.append("google: the framework writes receipts anew")
    return faults


# ---- manifests


def kubernetes(root: Path) -> Faults:
    """Kubernetes' kinds by its schemas, Knative's by ours, their pods by both; no pod may do more than it needs."""
    faults = []
    for path, one in manifests(root):
        kind = f"{one['apiVersion']} {one['kind']}"
        if kind not in KNATIVE["kinds"]:
            faults += [f"{path.name}: {fault}" for fault in _kubernetes_faults(one)]
            continue
        schema = {**KNATIVE["kinds"][kind], "$defs": KNATIVE["$defs"]}
        found = jsonschema_rs.validator_for(schema).iter_errors(one)
        faults += [f"{path.name}: {'.'.join(map(str, error.instance_path))}: {error.message}" for error in found]
        if one["kind"] == "Service" and not faults:
            faults += [f"{path.name}: {fault}" for fault in _pod_faults(one["spec"]["template"]["spec"])]
    return faults


def _pod_faults(spec: Tree) -> Iterator[str]:
    """What Knative hands on to Kubernetes, and how it runs."""
    ours = {name: value for name, value in spec.items() if name not in {"containerConcurrency", "timeoutSeconds"}}
    ours["containers"] = [_as_in_a_pod(one) for one in ours["containers"]]
    yield from _kubernetes_faults({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod"}, "spec": ours})
    for one in spec["containers"]:
        context = one.get("securityContext", {})
        expected = {"runAsNonRoot": True, "readOnlyRootFilesystem": True, "allowPrivilegeEscalation": False}
        if not expected.items() <= context.items() or context.get("capabilities") != {"drop": ["ALL"]}:
            yield f"container {one['name']} may do more than it needs"
        if {"cpu", "memory"} - one.get("resources", {}).get("limits", {}).keys():
            yield f"container {one['name']} is not limited"


def _as_in_a_pod(container: Tree) -> Tree:
    """Knative fills in the port of probes."""
    probes = {name: one for name, one in container.items() if name.endswith("Probe")}
    return container | {name: {**one, "httpGet": {"port": 8080, **one["httpGet"]}} for name, one in probes.items()}


def _kubernetes_faults(document: Tree) -> Faults:
    try:
        kubernetes_validate.validate(document, KUBERNETES, strict=True)
    except kubernetes_validate.ValidationError as error:
        return [f"{'.'.join(map(str, error.path))}: {error.message}"]
    except kubernetes_validate.SchemaNotFoundError as error:
        return [error.message]
    return []


def kustomization(root: Path) -> Faults:
    """It takes every manifest, what it names is there, and secrets become files where the program looks for them."""
    folder = root / "knative"
    kustomize = documents(folder / "kustomization.yaml")[0]
    faults = [*_resources(folder), *_resources(folder / "sweep"), *_resources(folder / "ledger"), *_volume_of(folder)]
    if "components" in kustomize:
        faults.append("kustomization: a component is not off by default")
    named = {file for one in kustomize["configMapGenerator"] for file in one["files"]}
    faults += [f"kustomization: {name}: not there" for name in named if not (folder / name).exists()]
    service = documents(folder / "service.yaml")[0]["spec"]["template"]["spec"]
    made = {one["name"] for one in kustomize["secretGenerator"] + kustomize["configMapGenerator"]}
    for volume in [v for path in ("service", "dead-letters") for v in _volumes(folder / f"{path}.yaml")]:
        if (volume.get("secret", {}).get("secretName") or volume.get("configMap", {}).get("name")) not in made:
            faults.append(f"knative: volume {volume['name']}: nobody makes what it shows")
    if service["containers"][0]["volumeMounts"][0]["mountPath"] != "/var/secrets":
        faults.append("knative: secrets are not in /var/secrets")
    images = {one["name"] for one in kustomize["images"] if one.get("newTag") not in {None, "latest"}}
    used = {container["image"] for _, one in manifests(root) for container in _containers(one)}
    return faults + [f"knative: image {name} is not pinned" for name in used - images]


def _volume_of(folder: Path) -> Iterator[str]:
    """What is wrong with the component that keeps the ledger on a volume."""
    component, claim = (documents(folder / "ledger" / f"{name}.yaml")[0] for name in ("kustomization", "claim"))
    (mount,), (volume,) = _patched(component, "volumeMounts"), _patched(component, "volumes")
    if (mount["mountPath"], mount["name"]) != (_folder_of_ledger(_container_environment(component)), volume["name"]):
        yield "knative: the ledger ends with its pod"
    if volume["persistentVolumeClaim"]["claimName"] != claim["metadata"]["name"]:
        yield "knative: nobody makes the volume of the ledger"
    template = documents(folder / "service.yaml")[0]["spec"]["template"]
    if template["metadata"]["annotations"]["autoscaling.knative.dev/max-scale"] != "1":
        yield "knative: several pods would share a file"


def _resources(folder: Path) -> Iterator[str]:
    """Manifests that are not there, or that the folder's kustomization leaves out."""
    named = set(documents(folder / "kustomization.yaml")[0]["resources"])
    for name in {path.name for path in folder.glob("*.yaml")} - {"kustomization.yaml"} ^ named:
        yield f"kustomization: {name}: {'not there' if name in named else 'left out'}"


def _volumes(path: Path) -> list[Tree]:
    volumes: list[Tree] = documents(path)[0]["spec"]["template"]["spec"]["volumes"]
    return volumes


def compose(root: Path) -> Faults:
    """Only this machine gets in, images are pinned, roots are read-only, and files that are named exist."""
    path = root / "local" / "compose.yaml"
    services = documents(path)[0]["services"]
    faults = []
    for name, service in services.items():
        if any(not str(port).startswith("127.0.0.1:") for port in service.get("ports", [])):
            faults.append(f"compose: {name} listens to the network")
        if not re.search(r":(local|\d+\.\d+[\w.-]*)$", service["image"]):
            faults.append(f"compose: {name}'s image is not pinned")
        if name in {"function", "simulator"} and not (service.get("read_only") and service.get("cap_drop") == ["ALL"]):
            faults.append(f"compose: {name} may do more than it needs")
        if "RESTART_LEDGER" in service.get("environment", {}) and not _outlives(service["environment"], service):
            faults.append("compose: the ledger ends with its container")
        faults += [
            f"compose: {name} waits for {other}" for other in service.get("depends_on", []) if other not in services
        ]
    build = services["function-image"]["build"]
    docker = os.path.normpath(
        path.parent / build["context"] / build["dockerfile"]
    )  # function/ may not be beside a copy
    source, target, *_ = services["simulator"]["volumes"][0].split(":")
    program = Path(services["simulator"]["command"][1]).relative_to(target)
    places = [Path(docker), path.parent / source / program]
    return faults + [f"compose: {place.name} is not there" for place in places if not place.exists()]


# ---- one host


def host(root: Path) -> Faults:
    """The units are valid and expose little; both ways keep the ledger, and only this machine gets in."""
    folder = root / "host"
    faults = []
    for unit in sorted((*folder.glob("*.service"), *folder.glob("*.timer"))):
        text = unit.read_text("utf-8")
        faults += [f"{unit.name}: {fault}" for fault in _unit_faults(unit)]
        if unit.suffix == ".service" and not {"DynamicUser=yes", "ProtectSystem=strict"} <= set(text.splitlines()):
            faults.append(f"{unit.name}: has a user or files of its own")
    service = _unit(folder / "oms-task-restarter.service")
    example = dict(re.findall(r"^(\w+)=(.*)$", (folder / "settings.env.example").read_text("utf-8"), re.MULTILINE))
    if [f"/var/lib/{name}" for name in service.get("StateDirectory", [])] != [_folder_of_ledger(example)]:
        faults.append("oms-task-restarter.service: the ledger is not in its StateDirectory")
    compose = documents(folder / "compose.yaml")[0]["services"]
    if not _outlives(example, compose["function"]):
        faults.append("compose.yaml: the ledger ends with its container")
    for name, one in compose.items():
        if any(not str(port).startswith("127.0.0.1:") for port in one.get("ports", [])):
            faults.append(f"compose.yaml: {name} listens to the network")
        if not one.get("read_only") or one.get("cap_drop") != ["ALL"] or not re.search(r":\d+\.\d+", one["image"]):
            faults.append(f"compose.yaml: {name} may do more than it needs, or is not pinned")
    if not {"settings.env", "caller"} <= set((folder / ".gitignore").read_text("utf-8").split()):
        faults.append("host: secrets are not kept out of git")
    environment = dict(one.split("=", 1) for line in service["Environment"] for one in line.split())
    given = _sampled([*example, *environment]) | {"RESTART_LEDGER": "memory://"}
    return faults + [f"host: {fault}" for fault in _faults_at_start(Settings, given)]


def _folder_of_ledger(settings: Mapping[str, str]) -> str:
    return str(Path(settings["RESTART_LEDGER"].removeprefix("sqlite://")).parent)


def _outlives(settings: Mapping[str, str], service: Tree) -> bool:
    """Whether the file of the ledger is on a volume of the service."""
    return _folder_of_ledger(settings) in {volume.split(":")[1] for volume in service.get("volumes", [])}


def _unit(path: Path) -> dict[str, list[str]]:
    """The values of each directive, in their order."""
    found: dict[str, list[str]] = {}
    for name, value in re.findall(r"^(\w+)=(.*)$", path.read_text("utf-8").replace("\\\n", ""), re.MULTILINE):
        found.setdefault(name, []).append(value)
    return found


def _unit_faults(unit: Path) -> Faults:
    """What systemd says of a unit, where it is at hand; the program need not be installed here."""
    if not shutil.which("systemd-analyze"):
        return []
    commands = [["verify", "--man=no"]]
    if unit.suffix == ".service":
        commands.append(["security", "--offline=yes", "--threshold=15"])
    said = []
    for command in commands:
        ran = subprocess.run(["systemd-analyze", *command, str(unit)], capture_output=True, text=True, check=False)  # noqa: S603, S607
        if command[0] == "security":
            said += [ran.stdout.splitlines()[-1]] if ran.returncode else []
        else:
            said += [line for line in ran.stderr.splitlines() if unit.name in line and "not executable" not in line]
    return said


# ---- the image


def image(root: Path) -> Faults:
    """Hadolint is content, and so are rules that it does not have."""
    path = root / "image" / "Dockerfile"
    hadolint = Path(sys.executable).with_name("hadolint")
    command = [str(hadolint), "--no-color", "--failure-threshold", "style", str(path)]
    faults = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()  # noqa: S603
    text = re.sub(r"\\\n\s*", "", path.read_text("utf-8"))
    rules = {
        "the base is not pinned": r"^ARG PYTHON=python:3\.\d+\.\d+-slim-\w+(@sha256:[0-9a-f]{64})?$",
        "not two stages from that base": r"^FROM \$\{PYTHON\} AS build$[\s\S]*^FROM \$\{PYTHON\}$",
        "hashes are not checked": r"pip .*install .*--require-hashes --only-binary :all:",
        "the lock file is not the choice of an argument": r"^ARG REQUIREMENTS=requirements\.txt$",
        "bytecode is not compiled": r"compileall .*--invalidation-mode unchecked-hash",
        "runs as another than 1003": r"^USER 1003:1003$(?![\s\S]*^USER )",
        "health is not checked, or by a shell": r'^HEALTHCHECK .*CMD \["python", "-c", .*PORT.*/healthz',
        "starts by a shell": r'^CMD \["functions-framework"\]$',
        "has no port": r"\bPORT=8080\b",
        "pydantic looks for plugins": r"\bPYDANTIC_DISABLE_PLUGINS=__all__\b",
        "the wrong program": r"FUNCTION_SOURCE=/function/main\.py FUNCTION_TARGET=restart",
    }
    faults += [f"Dockerfile: {fault}" for fault, rule in rules.items() if not re.search(rule, text, re.MULTILINE)]
    if re.search(r"^(ADD|SHELL)\b|curl|wget|apt-get", text, re.MULTILINE):
        faults.append("Dockerfile: takes what nobody has checked")
    ignored = (root / "image" / "Dockerfile.dockerignore").read_text("utf-8").splitlines()
    sent = {line[1:] for line in ignored if line.startswith("!")}
    copied = set(re.findall(r"(?<= )(?:main\.py|functiongraph\.py|requirements\*\.txt|restarter)(?= )", text))
    if "*" not in ignored or sent != copied or not all(any((ROOT / "function").glob(name)) for name in sent):
        faults.append("Dockerfile.dockerignore: lets in other than what is copied")
    return faults


# ---- all of it

CHECKS: dict[Callable[[Path], Faults], tuple[str, ...]] = {
    form: ("*.tf",),
    names: ("*.tf",),
    words: ("*.tf",),
    settings: (
        *("*.tf", "*.example", "*.md", "knative/*.yaml", "local/compose.yaml", "image/Dockerfile"),
        "host/oms-task-restarter.service",
    ),
    required: ("*/locals.tf", "knative/*"),
    secrets: ("*",),
    dead_letters: ("*.tf", "knative/*.yaml"),
    rights: ("*.tf",),
    notices: ("huawei/*.tf",),
    lengths: ("huawei/*.tf",),
    sweeps: ("*/sweep.tf", "knative/sweep/*"),
    kubernetes: ("knative/*.yaml",),
    kustomization: ("knative/*.yaml", "knative/dead_letters.py"),
    compose: ("local/compose.yaml",),
    host: ("host/*.service", "host/*.timer", "host/compose.yaml", "host/settings.env.example"),
    image: ("image/Dockerfile", "image/Dockerfile.dockerignore"),
}
# Checked by others: Python by ruff, mypy and the tests that run it, the simulator's world by the demo, what a person
# watches by test_telemetry.py and test_alarms.py.
ELSEWHERE = (
    "simulator/*.py",
    "simulator/world.json",
    "demo/page.html",
    "demo/*.py",
    "demo/requirements.txt",
    "schemas/*.py",
    "package/*.py",
    "observability/*",
)
# `secrets` looks at every file, and that alone would not do for a file of a kind that nobody here knows.
LITTLE = ("README.md", "*/README.md", "*/README.zh-CN.md", "*/.gitignore", "*/*.example")


def covered(root: Path) -> Faults:
    """No file of infra/ is without a check of its kind."""
    patterns = [one for check, kinds in CHECKS.items() if check is not secrets for one in kinds]
    return [
        f"{name}: nobody checks it"
        for name in sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
        if not any(fnmatch(name, pattern) for pattern in (*patterns, *ELSEWHERE, *LITTLE))
    ]


def copy(target: Path) -> Path:
    """infra/ as it is in git, more or less."""
    skipped = shutil.ignore_patterns("__pycache__", ".terraform*", "*.tfstate*", ".build", "secrets.env", "*.tfvars")
    return Path(shutil.copytree(INFRA, target / "infra", ignore=skipped))


@pytest.fixture(scope="module")
def infra(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy without what a person's own use of infra/ leaves there."""
    return copy(tmp_path_factory.mktemp("tree"))


@pytest.mark.parametrize("check", [*CHECKS, covered], ids=lambda check: check.__name__)
def test_infra_is_as_it_should_be(check: Callable[[Path], Faults], infra: Path) -> None:
    assert check(infra) == []


@pytest.mark.parametrize("folder", ["huawei", "google", "knative", "host", "image", "observability"])
def test_a_readme_says_how_and_what_was_not_run(folder: str, infra: Path) -> None:
    text = (infra / folder / "README.md").read_text("utf-8")
    assert "not run here" in text
    for link in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (INFRA / folder / link).exists(), link


def test_the_program_reads_secrets_as_google_mounts_them(tmp_path: Path) -> None:
    """One secret a folder, for Cloud Run mounts one at a path; a profile's below OMS_PROFILES/<name>/."""
    values = {**EXAMPLE, "OMS_PROFILES__ARCHIVE__DST_AK": "a", "OMS_PROFILES__ARCHIVE__DST_SK": "b"}
    places = []
    for name in [*values_of(INFRA, "google")["required_secrets"], *values.keys() - EXAMPLE.keys()]:
        _, profile, field = name.split("__") if "__" in name else ("", "", "")
        file = (
            tmp_path / name.lower().replace("_", "-") / (f"OMS_PROFILES/{profile.lower()}/{field}" if field else name)
        )
        file.parent.mkdir(parents=True)
        file.write_text(values[name], "utf-8")
        places.append(str(tmp_path / name.lower().replace("_", "-")))
    plain = {"OMS_REGION": "cn-north-4", "OMS_PROJECT_ID": "p", "CALLER_TRUST_PLATFORM": "true"}
    with patch.dict(os.environ, {**plain, "SECRETS_DIR": os.pathsep.join(places)}, clear=True):
        read = load()
    assert read.oms_dst_sk.get_secret_value() == EXAMPLE["OMS_DST_SK"]
    assert list(read.profiles()) == ["default", "archive"]


def test_a_dead_letter_is_named_and_not_shown() -> None:
    spec = importlib.util.spec_from_file_location("dead_letters", INFRA / "knative" / "dead_letters.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    headers = Message()
    headers["ce-id"], headers["ce-knativeerrorcode"], headers["authorization"] = "1", "422", "Bearer example"
    given = {name.lower(): value for name, value in headers.items()}
    said = module.line(given, b'{"task_id": 7, "src_sk": "example-secret"}')
    assert {name: said[name] for name in ("severity", "id", "knativeerrorcode", "task_id")} == {
        "severity": "ERROR",
        "id": "1",
        "knativeerrorcode": "422",
        "task_id": "7",
    }
    assert "example" not in json.dumps(said)
    assert "task_id" not in module.line(given, b"\xff") | module.line(given, b"[" * 100_000) | module.line(given, b"[]")


PLANTED = [
    # What, check, file, text, what it becomes, what the check says.
    (
        "misspelt setting",
        settings,
        "huawei/locals.tf",
        "    OMS_REGION ",
        "    OMS_REGOIN ",
        "OMS_REGOIN is no setting",
    ),
    ("misspelt prefix", settings, "google/locals.tf", "CALLER_TRUST_PLATFORM", "CALER_TRUST_PLATFORM", "CALER_TRUST"),
    ("unknown secret", settings, "huawei/locals.tf", '"IAM_PASSWORD"', '"IAM_PASSWORT"', "IAM_PASSWORT is no setting"),
    ("forgotten secret", settings, "google/locals.tf", '    "IAM_PASSWORD",\n', "", "secret_names are not"),
    ("misspelt in a manifest", settings, "knative/service.yaml", "name: OMS_REGION", "name: OMS_REGIO", "OMS_REGIO is"),
    ("misspelt in compose", settings, "local/compose.yaml", "OMS_ENDPOINT:", "OMS_ENDPOIN:", "OMS_ENDPOIN is no"),
    ("misspelt in the image", settings, "image/Dockerfile", "FUNCTION_TARGET=", "FUNCTION_TARGT=", "FUNCTION_TARGT"),
    (
        "misspelt in an example",
        settings,
        "huawei/terraform.tfvars.example",
        "RESTART_BUDGET",
        "RESTART_BUGDET",
        "BUGDET",
    ),
    ("misspelt in a README", settings, "google/README.md", "OMS_DST_AK", "OMS_DTS_AK", "OMS_DTS_AK is no setting"),
    ("no project", required, "huawei/locals.tf", "OMS_PROJECT_ID   =", "OMS_PROJECTS   =", "OMS_PROJECT_ID: "),
    ("no destination", required, "google/locals.tf", '    "OMS_DST_SK",\n  ]', "  ]", "google: OMS_DST_SK"),
    (
        "no authentication",
        required,
        "knative/service.yaml",
        'value: "true"',
        'value: "false"',
        "no authentication method is configured",
    ),
    ("bad value", required, "local/compose.yaml", "OMS_REGION: cn-north-4", "OMS_REGION: nowhere", "OMS_REGION"),
    (
        "secret in Terraform",
        secrets,
        "huawei/locals.tf",
        "OMS_REGION       = var.region",
        'OMS_DST_SK = "x1"',
        "OMS_DST_SK is",
    ),
    ("secret among settings", secrets, "google/locals.tf", "OMS_REGION ", "OMS_DST_SK ", "among plain settings"),
    ("secret in a manifest", secrets, "knative/service.yaml", "name: OMS_REGION", "name: OMS_SRC_SK", "is in clear"),
    ("secret in an example", secrets, "knative/secrets.env.example", "OMS_DST_SK=", "OMS_DST_SK=abc", "written down"),
    ("key in compose", secrets, "local/compose.yaml", "SK: dst_sk", "SK: mine", "is not the demo's"),
    ("key of a bucket", secrets, "huawei/example/task.tf", "= var.keys.source_sk", '= "abc"', "looks like a secret"),
    ("tfvars in git", secrets, "huawei/.gitignore", "*.tfvars", "", "not kept out of git"),
    ("no failure destination", dead_letters, "huawei/function.tf", "on_failure", "on_success", "no destination"),
    (
        "dead letters come back",
        dead_letters,
        "huawei/function.tf",
        "smn_topic.dead",
        "smn_topic.failed",
        "no destination",
    ),
    ("no dead-letter topic", dead_letters, "google/messages.tf", "dead_letter_policy", "x", "has no dead letters"),
    (
        "dead letters not moved",
        dead_letters,
        "google/messages.tf",
        '_iam_member" "dead"',
        '_iam_member" "x"',
        "not move",
    ),
    ("no sink", dead_letters, "knative/trigger.yaml", "deadLetterSink", "reply", "no dead-letter sink"),
    (
        "sink is nowhere",
        dead_letters,
        "knative/trigger.yaml",
        "name: dead-letters",
        "name: dead",
        "no dead-letter sink",
    ),
    ("linear", dead_letters, "knative/trigger.yaml", "exponential", "linear", "growing pauses"),
    (
        "no such resource",
        names,
        "huawei/logs.tf",
        "huaweicloud_lts_group",
        "huaweicloud_lts_groups",
        "no such resource",
    ),
    (
        "no such argument",
        names,
        "huawei/function.tf",
        "initializer_handler ",
        "initialiser_handler ",
        "initialiser_handler",
    ),
    ("no such block argument", names, "google/messages.tf", "audience ", "audiences ", "no argument audiences"),
    ("argument missing", names, "huawei/notices.tf", '  protocol = "default"\n', "", "protocol is required"),
    ("no such variable", names, "google/function.tf", "var.max_instances", "var.max_instance", "not declared"),
    (
        "no such attribute",
        names,
        "huawei/notices.tf",
        "huaweicloud_fgs_function.this.urn",
        "huaweicloud_fgs_function.this.arn",
        "arn",
    ),
    (
        "closed topic",
        notices,
        "huawei/notices.tf",
        "  services_publish_allowed = var.publishers\n",
        "",
        "failed is closed",
    ),
    (
        "no publisher",
        notices,
        "huawei/variables.tf",
        'default     = "oms"',
        'default     = ""',
        "failed is closed for OMS",
    ),
    (
        "other publisher",
        notices,
        "huawei/variables.tf",
        'default     = "oms"',
        'default     = "obs"',
        "failed is closed",
    ),
    (
        "dead letters open",
        notices,
        "huawei/notices.tf",
        '  display_name = "Events that',
        '  services_publish_allowed = "oms"\n  display_name = "Events that',
        "dead is open",
    ),
    ("english", notices, "huawei/locals.tf", 'var.locale == "zh-cn" ? "zh-cn" : "en"', '"en"', "language of receipts"),
    ("mail not filled in", notices, "huawei/locals.tf", "$${event_name};", "$${event_name}:", "no semicolon after"),
    ("name of 26 characters", lengths, "huawei/variables.tf", "{1,23}", "{1,24}", "has 64 characters"),
    ("column", form, "huawei/function.tf", "memory_size      =", "memory_size =", "column of ="),
    ("indentation", form, "google/messages.tf", "    ttl", "  ttl", "indentation"),
    ("not sensitive", words, "huawei/variables.tf", "  sensitive   = true\n", "", "is not sensitive"),
    ("not described", words, "google/variables.tf", '  description = "Google Cloud project."\n', "", "no description"),
    ("too many rights", rights, "huawei/permissions.tf", "oms:task:update", "oms:*:*", "actions"),
    ("another log", rights, "google/function.tf", 'EXECUTION_ID = "false"', 'EXECUTION_ID = "true"', "receipts anew"),
    ("anybody", rights, "google/accounts.tf", "google_service_account.push.member", '"allUsers"', "anybody may call"),
    (
        "always swept",
        sweeps,
        "google/variables.tf",
        "  default     = false",
        "  default     = true",
        "not off by default",
    ),
    ("timer always on", sweeps, "huawei/sweep.tf", "var.sweep ? 1 : 0", "1", "does not depend"),
    ("another tick", sweeps, "huawei/sweep.tf", "sweep = true", "sweeps = true", "huawei: the timer asks"),
    ("tick ignored", sweeps, "google/locals.tf", 'RESTART_SWEEP = "on"', 'RESTART_SWEEP = "off"', "would ignore"),
    ("ping ignored", sweeps, "knative/sweep/kustomization.yaml", "dev.knative.sources.ping", "ping", "ignore a ping"),
    (
        "ping nowhere",
        sweeps,
        "knative/sweep/pingsource.yaml",
        "oms-task-restarter",
        "restarter",
        "nobody gets the ping",
    ),
    ("ping left out", kustomization, "knative/sweep/kustomization.yaml", "- pingsource", "- ping", "left out"),
    ("no such field of a ping", kubernetes, "knative/sweep/pingsource.yaml", "schedule:", "cron:", "cron"),
    ("no such field", kubernetes, "knative/service.yaml", "containerConcurrency", "concurrency", "concurrency"),
    ("no such pod field", kubernetes, "knative/service.yaml", "containerPort", "port", "port"),
    ("root", kubernetes, "knative/service.yaml", "runAsNonRoot: true", "runAsNonRoot: false", "more than it needs"),
    (
        "writable",
        kubernetes,
        "knative/dead-letters.yaml",
        "readOnlyRootFilesystem: true",
        "readOnlyRootFilesystem: false",
        "more",
    ),
    (
        "volume",
        kustomization,
        "knative/ledger/kustomization.yaml",
        "sqlite:///var/lib",
        "sqlite:///tmp",
        "with its pod",
    ),
    (
        "no volume",
        kustomization,
        "knative/ledger/claim.yaml",
        "oms-task-ledger",
        "oms-ledger",
        "nobody makes the volume",
    ),
    ("pods", kustomization, "knative/service.yaml", 'max-scale: "1"', 'max-scale: "2"', "several pods would share"),
    ("no such field of a claim", kubernetes, "knative/ledger/claim.yaml", "accessModes", "accessMode", "accessMode"),
    ("left out", kustomization, "knative/kustomization.yaml", "  - trigger.yaml\n", "", "trigger.yaml: left out"),
    ("latest", kustomization, "knative/kustomization.yaml", "newTag: 0.3.0", "newTag: latest", "not pinned"),
    ("simulator not mounted", compose, "local/compose.yaml", "../simulator:", ".:", "simulator.py is not there"),
    ("to the network", compose, "local/compose.yaml", "127.0.0.1:8080:8080", "8080:8080", "listens to the network"),
    ("writable system", host, "host/oms-task-restarter.service", "ProtectSystem=strict", "", "files of its own"),
    ("misspelt directive", host, "host/oms-task-restarter.service", "PrivateTmp=", "PrivatTmp=", "Unknown key"),
    ("less hardened", host, "host/oms-task-restarter-sweep.service", "SystemCallFilter=", "# ", "exposure level"),
    ("no such calendar", host, "host/oms-task-restarter-sweep.timer", "*:00/15", "*:00/x", "bad unit file"),
    (
        "ledger lost",
        host,
        "host/oms-task-restarter.service",
        "StateDirectory=oms",
        "CacheDirectory=oms",
        "the ledger is",
    ),
    (
        "ledger in its container",
        compose,
        "local/compose.yaml",
        "sqlite:///var/lib/",
        "sqlite:///tmp/",
        "ledger ends with",
    ),
    ("ledger in the container", host, "host/compose.yaml", "    volumes:", "    devices:", "ledger ends with"),
    ("host to the network", host, "host/compose.yaml", "127.0.0.1:8080:8080", "8080:8080", "listens to the network"),
    ("misspelt in a unit", settings, "host/oms-task-restarter.service", "=HOST=", "=HOTS_A=", "HOTS_A is no setting"),
    ("base not pinned", image, "image/Dockerfile", "3.13.16-slim-trixie", "slim", "base is not pinned"),
    ("no hashes", image, "image/Dockerfile", "--require-hashes ", "", "hashes are not checked"),
    ("as root", image, "image/Dockerfile", "USER 1003:1003", "USER root", "runs as another"),
    ("plugins", image, "image/Dockerfile", "PYDANTIC_DISABLE_PLUGINS=__all__ ", "", "looks for plugins"),
    ("linted", image, "image/Dockerfile", "WORKDIR /function", "WORKDIR function", "DL3000"),
    ("context", image, "image/Dockerfile.dockerignore", "!main.py", "!*", "lets in other"),
]


SAID_BY_SYSTEMD = {"Unknown key", "exposure level", "bad unit file"}


@pytest.mark.parametrize(
    ("check", "file", "old", "new", "expected"), [row[1:] for row in PLANTED], ids=[row[0] for row in PLANTED]
)
def test_a_planted_fault_is_found(
    check: Callable[[Path], Faults], file: str, old: str, new: str, expected: str, tmp_path: Path
) -> None:
    if expected in SAID_BY_SYSTEMD and not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not here")
    root = copy(tmp_path)
    text = (root / file).read_text("utf-8")
    assert old in text, "the fault cannot be planted"
    (root / file).write_text(text.replace(old, new), "utf-8")
    assert expected in "\n".join(check(root))


def test_a_file_that_nobody_checks_is_found(tmp_path: Path) -> None:
    root = copy(tmp_path)
    (root / "huawei" / "deploy.sh").touch()
    assert covered(root) == ["huawei/deploy.sh: nobody checks it"]
