"""infra/ as the platforms' own tools read it: Terraform evaluates variables and locals, kubectl builds the manifests.

Neither needs an account. Providers are not fetched, so resources are left to test_infra.py. A tool that is not on the
PATH is skipped by name.
"""

import base64
import json
import os
import re
import shutil
import subprocess
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

from child_processes import child_environment
from readmes import Document
from restarter import __version__
from restarter.model.text import read_table
from restarter.reporting import notices

NOTICES = Path(notices.__file__).with_suffix(".tsv")
INFRA = Path(__file__).parents[2] / "infra"
KEYS = {"OMS_DST_AK": "example", "OMS_DST_SK": "example"}
CALLS = {"HUAWEICLOUD_SDK_AK": "example", "HUAWEICLOUD_SDK_SK": "example"}
LEDGER = {"RESTART_LEDGER": "rediss://ledger.example.com:6379/0"}
HUAWEI = {"project_id": "2c0689c860ad4728a497ffffc0844383", "secrets": KEYS}
GOOGLE = {"project": "p", "oms_project_id": HUAWEI["project_id"], "secrets": {**KEYS, **CALLS}}
ALL = {"huawei": HUAWEI, "google": GOOGLE}

needs_terraform = pytest.mark.skipif(not shutil.which("terraform"), reason="terraform is not here")
needs_kubectl = pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl is not here")

# What one call of a platform's tool printed, and whether it was content.
Ran = subprocess.CompletedProcess[str]


def run(*command: str, folder: Path) -> Ran:
    """One call of a tool, without the settings that the person who runs the tests has for it."""
    environment = child_environment(HOME=str(folder), TF_CLI_CONFIG_FILE=os.devnull)
    environment["CHECKPOINT_DISABLE"] = "1"  # it asks for no newer version
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)  # noqa: S603


def evaluate(platform: str, given: Mapping[str, object], folder: Path) -> Ran:
    """Terraform's own evaluation of a platform's variables and locals; `shown` is an output of what tests look at."""
    for name in ("variables.tf", "locals.tf"):
        text = (INFRA / platform / name).read_text("utf-8")
        (folder / name).write_text(text.replace("data.google_project.this.number", "1"), "utf-8")
    (folder / "main.tf").write_text(f'output "shown" {{\n  value = nonsensitive({SHOWN[platform]})\n}}\n', "utf-8")
    (folder / "given.tfvars.json").write_text(json.dumps(given), "utf-8")
    command = ("terraform", "apply", "-auto-approve", "-input=false", "-no-color", "-var-file=given.tfvars.json")
    return run(*command, folder=folder)


SHOWN = {
    "huawei": "sensitive({ settings = local.user_data, by_agency = local.by_agency, mail = local.mail[var.locale],"
    " publishers = var.publishers, name = var.name })",
    "google": "sensitive({ settings = local.environment, requirements = local.requirements, files = local.files })",
}


def shown(platform: str, given: Mapping[str, object], folder: Path) -> dict[str, Any]:
    """The output, of an evaluation that went well."""
    ran = evaluate(platform, given, folder)
    assert ran.returncode == 0, ran.stderr
    values: dict[str, Any] = json.loads(run("terraform", "output", "-json", "shown", folder=folder).stdout)
    return values


@needs_terraform
def test_terraform_finds_every_file_formatted(tmp_path: Path) -> None:
    ran = run("terraform", "fmt", "-check", "-recursive", "-diff", str(INFRA), folder=tmp_path)
    assert (ran.returncode, ran.stdout) == (0, "")


@needs_terraform
@pytest.mark.parametrize("platform", ALL)
def test_the_example_of_variables_is_accepted(platform: str, tmp_path: Path) -> None:
    """It starts nothing that nobody asked for."""
    shutil.copy(INFRA / platform / "terraform.tfvars.example", tmp_path / "terraform.tfvars")
    values = shown(platform, {"secrets": ALL[platform]["secrets"]}, tmp_path)
    assert values["settings"]["RESTART_BUDGET"] == "5/24h"
    assert "RESTART_SWEEP" not in values["settings"]


@needs_terraform
@pytest.mark.parametrize("platform", ALL)
def test_a_sweep_is_switched_on_at_both_ends(platform: str, tmp_path: Path) -> None:
    secrets: Any = ALL[platform]["secrets"]
    values = shown(platform, {**ALL[platform], "sweep": True, "secrets": {**secrets, **LEDGER}}, tmp_path)
    assert values["settings"]["RESTART_SWEEP"] == "on"


@needs_terraform
def test_the_longest_name_is_accepted(tmp_path: Path) -> None:
    """OMS may publish to the topic unless a variable says otherwise."""
    values = shown("huawei", {**HUAWEI, "name": "oms-task-restarter-of-our"}, tmp_path)
    assert (len(values["name"]), values["publishers"]) == (25, "oms")


@needs_terraform
@pytest.mark.parametrize(
    ("locale", "word", "language"), [("en-us", "What to do", "en"), ("zh-cn", "处理方法", "zh-cn")]
)
def test_an_alarms_mail_and_its_receipts_are_in_the_language_of_locale(
    locale: str, word: str, language: str, tmp_path: Path
) -> None:
    values = shown("huawei", {**HUAWEI, "locale": locale}, tmp_path)
    assert word in values["mail"]
    assert "${starts_at};" in values["mail"]
    assert values["settings"]["RESTART_LANGUAGE"] == language


@needs_terraform
def test_an_image_takes_the_agencys_key_only_where_it_has_no_other(tmp_path: Path) -> None:
    image = {**HUAWEI, "image": "swr.cn-north-4.myhuaweicloud.com/group/oms-task-restarter:0.3.0"}
    lent = shown("huawei", image, tmp_path)
    assert lent["by_agency"] is True
    assert lent["settings"]["OMS_AGENCY"] == "true"
    own = shown("huawei", {**image, "secrets": {**KEYS, **CALLS}}, tmp_path)
    package = shown("huawei", HUAWEI, tmp_path)
    assert [own["by_agency"], package["by_agency"]] == [False, False]
    assert "OMS_AGENCY" not in own["settings"].keys() | package["settings"].keys()


@needs_terraform
def test_a_shared_ledger_brings_its_client_and_each_secret_its_file(tmp_path: Path) -> None:
    profile = {"OMS_PROFILES__ARCHIVE__DST_AK": "example"}
    values = shown("google", {**GOOGLE, "secrets": {**KEYS, **CALLS, **LEDGER, **profile}}, tmp_path)
    assert values["requirements"] == "requirements-redis.txt"
    assert values["files"]["OMS_PROFILES__ARCHIVE__DST_AK"] == "OMS_PROFILES/archive/DST_AK"
    assert "/var/secrets/oms-dst-ak" in values["settings"]["SECRETS_DIR"].split(":")
    assert shown("google", GOOGLE, tmp_path)["requirements"] == "requirements.txt"
    told = {**GOOGLE, "secrets": {**KEYS, **CALLS, **LEDGER, "NOTIFY_URLS": "json://example.com"}}
    assert shown("google", told, tmp_path)["requirements"] == "requirements-notify.txt"


@needs_terraform
@pytest.mark.parametrize(("platform", "scheme"), [("huawei", "obs"), ("google", "gs")])
def test_the_ledger_is_a_bucket_unless_a_redis_or_the_memory_is_asked_for(
    platform: str, scheme: str, tmp_path: Path
) -> None:
    given = ALL[platform]
    secrets: Any = given["secrets"]
    several = shown(platform, {**given, "max_instances": 3, "sweep": True}, tmp_path)
    assert several["settings"]["RESTART_LEDGER"].startswith(f"{scheme}://")
    assert several["settings"]["RESTART_LEDGER"].endswith("/oms-task-restarter")
    for other in ({"ledger": "memory"}, {"secrets": {**secrets, **LEDGER}}):
        assert "RESTART_LEDGER" not in shown(platform, {**given, **other}, tmp_path)["settings"]


REFUSED: list[tuple[str, dict[str, object], str]] = [
    ("huawei", {"sweep": True, "ledger": "memory"}, "A sweep needs a shared ledger"),
    ("google", {"sweep": True, "ledger": "memory"}, "A sweep needs a shared ledger"),
    ("google", {"sweep": True, "secrets": {**KEYS, **CALLS, "RESTART_LEDGER": "memory://"}}, "needs a shared ledger"),
    ("huawei", {"ledger": "redis"}, "obs or memory"),
    ("google", {"ledger": "obs"}, "gs or memory"),
    ("huawei", {"sweep_rate": "61m"}, "1m to 60m"),
    ("huawei", {"sweep_rate": "every day"}, "1m to 60m"),
    ("google", {"sweep_schedule": "every 15 minutes"}, "Five fields"),
    ("huawei", {"max_instances": 2, "ledger": "memory"}, "Several instances need one ledger"),
    ("google", {"max_instances": 2, "ledger": "memory"}, "Several instances need one ledger"),
    ("huawei", {"reserved_instances": 2}, "up to max_instances"),
    ("google", {"min_instances": 2}, "up to max_instances"),
    ("huawei", {"vpc_id": "v"}, "given together"),
    ("huawei", {"image": "docker.io/library/python"}, "images of SWR only"),
    ("huawei", {"retries": 0}, "up to 3"),
    ("huawei", {"name": "Oms_Restarter"}, "lower-case letters"),
    ("huawei", {"name": "oms-task-restarter-of-ours"}, "3 to 25"),
    ("huawei", {"publishers": ""}, "closes the topic for OMS"),
    ("huawei", {"locale": "de-de"}, "en-us or zh-cn"),
    ("google", {"name": "oms-task-restarter-of-ours"}, "3 to 22"),
    ("huawei", {"secrets": {"OMS_DST_AK": "a"}}, "OMS_DST_AK and OMS_DST_SK are required"),
    ("google", {"secrets": KEYS}, "HUAWEICLOUD_SDK_SK, OMS_DST_AK and OMS_DST_SK are required"),
    ("huawei", {"secrets": {**KEYS, "OMS_DTS_AK": "a"}}, "not one of the function's secret settings"),
    ("huawei", {"secrets": {**KEYS, "OMS_JSON_AUTH_FILE": "x" * 3500}}, "4096 characters"),
    ("google", {"ingress": "ALLOW_EVERYBODY"}, "ALLOW_INTERNAL_ONLY"),
]


@needs_terraform
@pytest.mark.parametrize(
    ("platform", "given", "said"), REFUSED, ids=[f"{row[0]} {next(iter(row[1]))}" for row in REFUSED]
)
def test_a_value_that_could_not_work_is_refused_before_anything_is_built(
    platform: str, given: dict[str, object], said: str, tmp_path: Path
) -> None:
    ran = evaluate(platform, {**ALL[platform], **given}, tmp_path)
    assert ran.returncode == 1
    assert said in re.sub(r"\s+", " ", ran.stderr)


def built(folder: Path, *more: str) -> list[dict[str, Any]]:
    """What `kubectl apply -k` would send, with the example's secrets; `more` is added to kustomization.yaml."""
    target = folder / "knative"
    shutil.copytree(INFRA / "knative", target)
    shutil.copy(target / "secrets.env.example", target / "secrets.env")
    with (target / "kustomization.yaml").open("a", encoding="utf-8") as kustomization:
        kustomization.writelines(more)
    ran = run("kubectl", "kustomize", str(target), folder=folder)
    assert ran.returncode == 0, ran.stderr
    return list(yaml.safe_load_all(ran.stdout))


def service(documents: list[dict[str, Any]]) -> dict[str, Any]:
    return next(one for one in documents if (one["kind"], one["metadata"]["name"]) == ("Service", "oms-task-restarter"))


def environment(documents: list[dict[str, Any]]) -> dict[str, str]:
    container = service(documents)["spec"]["template"]["spec"]["containers"][0]
    return {one["name"]: one["value"] for one in container["env"]}


@needs_kubectl
def test_kustomize_makes_one_namespace_with_files_of_secrets_and_no_timer(tmp_path: Path) -> None:
    documents = built(tmp_path)
    assert {one["metadata"].get("namespace", one["metadata"]["name"]) for one in documents} == {"oms-task-restarter"}
    secret = next(one for one in documents if one["kind"] == "Secret")
    assert {"OMS_DST_AK", "RESTART_LEDGER"} <= secret["data"].keys()
    assert {base64.b64decode(value) for value in secret["data"].values()} == {b""}
    assert "PingSource" not in {one["kind"] for one in documents}
    assert "RESTART_SWEEP" not in environment(documents)


@needs_kubectl
def test_one_line_in_the_kustomization_switches_sweeps_on(tmp_path: Path) -> None:
    documents = built(tmp_path, "components:\n  - sweep\n")
    assert [one["metadata"]["namespace"] for one in documents if one["kind"] == "PingSource"] == ["oms-task-restarter"]
    given = environment(documents)
    assert (given["RESTART_SWEEP"], given["EVENT_TYPES_FAILED"]) == ("on", "dev.knative.sources.ping")
    assert given["OMS_REGION"] == "cn-north-4"


@needs_kubectl
def test_one_line_in_the_kustomization_keeps_the_ledger_on_a_volume(tmp_path: Path) -> None:
    """With the sweep, too; and the pod that comes of it is Kubernetes's."""
    documents = built(tmp_path, "components:\n  - ledger\n  - sweep\n")
    assert "oms-task-ledger" in {one["metadata"]["name"] for one in documents if one["kind"] == "PersistentVolumeClaim"}
    given, spec = environment(documents), service(documents)["spec"]["template"]["spec"]
    assert (given["RESTART_LEDGER"], given["RESTART_SWEEP"]) == ("sqlite:///var/lib/oms-task-restarter/ledger.db", "on")
    (container,) = spec["containers"]
    assert spec["securityContext"] == {"fsGroup": container["securityContext"]["runAsGroup"]}
    assert [one["mountPath"] for one in container["volumeMounts"]] == ["/var/secrets", "/var/lib/oms-task-restarter"]
    for name in ("readinessProbe", "livenessProbe"):
        container[name]["httpGet"]["port"] = 8080  # which Knative fills in
    of_knative = {"containerConcurrency", "timeoutSeconds"}
    pod = {name: value for name, value in spec.items() if name not in of_knative}
    document = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod"}, "spec": pod}
    kubernetes_validate.validate(document, "1.37", strict=True)


READMES = [
    INFRA / folder / "README.md"
    for folder in ("google", "host", "huawei", "image", "knative", "observability", "package")
]
PLATFORMS = [readme for readme in READMES if readme.parent.name not in ("observability", "package")]


@pytest.mark.parametrize(
    ("page", "language", "as_for"), [("README.md", "en", "as for"), ("README.zh-CN.md", "zh", "同")]
)
def test_why_no_notice_came_is_told_as_the_function_tells_it(page: str, language: str, as_for: str) -> None:
    """The page of Huawei Cloud may add where its own names stand, after the step."""
    told = {row["code"]: row for row in read_table(NOTICES)}
    rows = [cells for table in Document.read(f"infra/huawei/{page}").tables for cells in table if cells[0] in told]
    assert [cells[0] for cells in rows] == list(told)
    for code, sentence, step in rows:
        same_as = step.removeprefix(as_for).strip()
        assert sentence == told[code][f"sentence_{language}"]
        expected = told[code][f"step_{language}"].replace("`", "")
        found = told[same_as][f"step_{language}"] if same_as in told else step
        assert re.fullmatch(re.escape(expected) + "([:：].+)?", found.replace("`", ""))


def commands(readme: Path) -> list[str]:
    """The fenced blocks for a shell, without the indentation of lists."""
    blocks = re.findall(r"^ *```sh\n(.*?)^ *```", readme.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return [textwrap.dedent(block) for block in blocks]


@pytest.mark.parametrize("readme", READMES, ids=lambda readme: readme.parent.name)
def test_commands_of_a_readme_are_a_shells_and_name_files_and_targets_that_exist(readme: Path) -> None:
    text = "\n".join(commands(readme))
    assert subprocess.run(["bash", "-n"], input=text, text=True, check=False).returncode == 0  # noqa: S607
    made = (INFRA.parent / "Makefile").read_text("utf-8")
    for target in re.findall(r"^make (?:\w+=\S+ )*(\w+)", text, re.MULTILINE):
        assert f"\n{target}:" in made
    for path in re.findall(r"(?<![\w/.])((?:infra|function)/[\w./-]+\w)", text):
        assert (INFRA.parent / path).exists(), path
    for example in re.findall(r"cp (\S+\.example)", text):
        assert (readme.parent / example).exists()


PINNED = [
    INFRA / "knative" / "kustomization.yaml",
    INFRA / "host" / "compose.yaml",
    *sorted((INFRA.parent / ".github" / "ISSUE_TEMPLATE").glob("*.yml")),
]


def test_pages_and_manifests_name_the_version_that_is_built() -> None:
    texts = [path.read_text("utf-8") for path in [*READMES, *PINNED]]
    versions = {
        one
        for text in texts
        for one in re.findall(r"(?:oms-task-restarter:|newTag: |version\":\"|placeholder: )(\d[\d.]*\d)", text)
    }
    assert versions == {__version__}


@pytest.mark.parametrize("readme", PLATFORMS, ids=lambda readme: readme.parent.name)
def test_a_page_of_a_platform_ends_its_first_run_with_an_event(readme: Path) -> None:
    """It also says what happens on failure."""
    text = readme.read_text("utf-8")
    assert "check --all" in text
    assert re.search(r"\| what happens \| what [\w ]+ does[\w ]* \| what is left \|", text)
    assert re.search(r"\| step \| what to look for \| what it means if not \|", text)
    first_run = text.partition("what it means if not")[2]
    assert "task_id" in first_run
    assert "outcome" in first_run
