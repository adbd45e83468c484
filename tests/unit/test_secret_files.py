"""Settings from files: read whole or not at all, followed while the program runs, and told by name, never by value."""

import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from example import ENVIRONMENT
from restarter.settings import files as secret_files
from restarter.settings.errors import SettingsError
from restarter.settings.model import Settings, load, misspelt_names, names_given_twice
from restarter.settings.reload import SettingsReloader

TWICE = "{} is given in the environment and differently in a file; the file is used"
REQUIRED = "required, because OMS keeps no keys and each start sends them"


@pytest.fixture
def secrets_dir(tmp_path: Path, environment: pytest.MonkeyPatch) -> Path:
    """An empty folder of secrets."""
    folder = tmp_path / "secrets"
    folder.mkdir()
    environment.setenv("SECRETS_DIR", str(folder))
    return folder


def write(folder: Path, **texts: str | bytes) -> None:
    """Files by the names of their settings; a profile's are in a folder of their own."""
    for name, text in texts.items():
        file = folder.joinpath(*name.split("__"))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode() if isinstance(text, str) else text)


def faults() -> list[str]:
    with pytest.raises(SettingsError) as error:
        load()
    return error.value.messages


def dst_sk(settings: Settings) -> str:
    return settings.oms_dst_sk.get_secret_value()


# -- reading


def test_a_file_wins_over_the_environment(secrets_dir: Path) -> None:
    """A file is named like its setting, and its value is used where the environment has another."""
    write(secrets_dir, OMS_DST_SK="of-the-file", OMS_TIMEOUT="7", CALLER_TRUST_PLATFORM="true")
    settings = load()
    assert dst_sk(settings) == "of-the-file"
    assert (settings.oms_timeout, settings.caller_trust_platform) == (7.0, True)
    assert settings.oms_dst_ak.get_secret_value() == ENVIRONMENT["OMS_DST_AK"]


def test_a_file_wins_over_the_other_name(secrets_dir: Path) -> None:
    """A setting with two names: a file of one wins over the environment with the other."""
    write(secrets_dir, CLOUD_SDK_AK="ak-of-the-file", CLOUD_SDK_SK="sk-of-the-file")
    settings = load()
    assert settings.huaweicloud_sdk_ak is not None
    assert settings.huaweicloud_sdk_ak.get_secret_value() == "ak-of-the-file"


@pytest.mark.parametrize("content", [b"", b"\n"])
def test_an_empty_file_counts_as_not_set(content: bytes, secrets_dir: Path, environment: pytest.MonkeyPatch) -> None:
    environment.delenv("OMS_SRC_AK")
    environment.delenv("OMS_SRC_SK")
    write(secrets_dir, OMS_SRC_AK=content, OMS_SRC_SK=content, OMS_DST_AK=content)
    settings = load()
    assert settings.oms_src_ak is None
    assert settings.oms_dst_ak.get_secret_value() == ENVIRONMENT["OMS_DST_AK"]


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_one_newline_at_the_end_is_the_editors(end: bytes, secrets_dir: Path) -> None:
    write(secrets_dir, OMS_DST_SK=b"value" + end)
    assert dst_sk(load()) == "value"


@pytest.mark.parametrize(
    "text", [b" value", b"value ", b"value\n\n", b"value\t", b"value\r", b"\nvalue", b"va lue", b"\xef\xbb\xbfvalue"]
)
def test_other_white_space_in_a_key_is_a_fault_that_names_it(text: bytes, secrets_dir: Path) -> None:
    write(secrets_dir, OMS_DST_SK=text)
    assert faults() == ["OMS_DST_SK: must be printable ASCII without white space"]


def test_what_may_hold_white_space_is_taken_as_it_is(secrets_dir: Path) -> None:
    """A password may begin with a blank, and a text of several lines keeps its line ends."""
    document = '{\r\n  "type": "service_account"\r\n}'
    write(secrets_dir, IAM_DOMAIN="d", IAM_USER="u", IAM_PASSWORD=" p \n", OMS_JSON_AUTH_FILE=document + "\r\n")
    settings = load()
    assert settings.iam_password is not None
    assert settings.iam_password.get_secret_value() == " p "
    assert settings.oms_json_auth_file is not None
    assert settings.oms_json_auth_file.get_secret_value() == document


def test_a_profile_is_a_folder_or_has_the_whole_name(secrets_dir: Path) -> None:
    write(secrets_dir, OMS_PROFILES__aws__DST_AK="a1", OMS_PROFILES__aws__DST_SK="a2\n")
    (secrets_dir / "OMS_PROFILES__GCP__DST_AK").write_text("g1")
    (secrets_dir / "OMS_PROFILES__GCP__DST_SK").write_text("g2\n")
    profiles = load().profiles()
    found = {name: (keys.dst_ak.get_secret_value(), keys.dst_sk.get_secret_value()) for name, keys in profiles.items()}
    assert found == {"aws": ("a1", "a2"), "gcp": ("g1", "g2"), "default": ("dst_ak", "dst_sk")}


def test_a_profile_is_put_together_of_files_and_environment(secrets_dir: Path, environment: pytest.MonkeyPatch) -> None:
    write(secrets_dir, OMS_PROFILES__aws__DST_SK="of-the-file")
    environment.setenv("OMS_PROFILES__AWS__DST_AK", "of-the-environment")
    environment.setenv("OMS_PROFILES__AWS__DST_SK", "not-used")
    keys = load().oms_profiles["aws"]
    assert (keys.dst_ak.get_secret_value(), keys.dst_sk.get_secret_value()) == ("of-the-environment", "of-the-file")
    assert names_given_twice() == [TWICE.format("OMS_PROFILES__AWS__DST_SK")]


def kubernetes(root: Path, version: str, **texts: str) -> None:
    """A secret as the kubelet writes it: a folder for each version, `..data`, which is swapped at once, and links."""
    write(root / f"..{version}", **texts)
    (root / "..data_tmp").symlink_to(f"..{version}")
    (root / "..data_tmp").rename(root / "..data")
    for first in {name.split("__")[0] for name in texts}:
        if not (root / first).is_symlink():
            (root / first).symlink_to(Path("..data") / first)


def test_files_of_kubernetes(secrets_dir: Path) -> None:
    """Each file is read once, and a swap of the folder is seen as a whole."""
    kubernetes(secrets_dir, "2026_1", OMS_DST_SK="old", OMS_PROFILES__aws__DST_AK="o1", OMS_PROFILES__aws__DST_SK="o2")
    rotation = SettingsReloader()
    old = rotation.current()
    assert dst_sk(old) == "old"
    assert old.profiles().keys() == {"default", "aws"}
    kubernetes(secrets_dir, "2026_2", OMS_DST_SK="new", OMS_PROFILES__aws__DST_AK="n1", OMS_PROFILES__aws__DST_SK="n2")
    new = rotation.current()
    aws = new.oms_profiles["aws"]
    values = dst_sk(new), aws.dst_ak.get_secret_value(), aws.dst_sk.get_secret_value()
    assert values == ("new", "n1", "n2")
    assert dst_sk(old) == "old"


def test_several_folders_are_put_together_and_the_last_one_wins(
    tmp_path: Path, environment: pytest.MonkeyPatch
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    write(one, OMS_DST_AK="ak-of-one", OMS_DST_SK="sk-of-one", OMS_PROFILES__aws__DST_AK="p1")
    write(two, OMS_DST_SK="sk-of-two", OMS_PROFILES__aws__DST_SK="p2")
    environment.setenv("SECRETS_DIR", f"{one}{os.pathsep}{tmp_path / 'missing'}{os.pathsep}{two}{os.pathsep}")
    settings = load()
    assert settings.oms_dst_ak.get_secret_value() == "ak-of-one"
    assert dst_sk(settings) == "sk-of-two"
    assert settings.oms_profiles["aws"].dst_sk.get_secret_value() == "p2"


def test_an_empty_part_of_secrets_dir_is_not_the_working_folder(
    tmp_path: Path, environment: pytest.MonkeyPatch
) -> None:
    write(tmp_path, OMS_DST_SK="of-the-working-folder")
    environment.chdir(tmp_path)
    for named in (os.pathsep, f"{tmp_path / 'missing'}{os.pathsep}"):
        environment.setenv("SECRETS_DIR", named)
        assert dst_sk(load()) == ENVIRONMENT["OMS_DST_SK"]


def test_secrets_are_looked_for_where_platforms_mount_them(tmp_path: Path, environment: pytest.MonkeyPatch) -> None:
    assert secret_files.directories() == [Path("/var/secrets")]
    environment.setattr(secret_files, "DEFAULT_DIR", str(tmp_path))
    write(tmp_path, OMS_DST_SK="mounted")
    assert dst_sk(load()) == "mounted"


@pytest.mark.parametrize("what", ["missing", "file"])
def test_without_a_folder_of_secrets_the_environment_is_all(
    what: str, tmp_path: Path, environment: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    environment.setenv("SECRETS_DIR", str(tmp_path / what))
    assert dst_sk(load()) == ENVIRONMENT["OMS_DST_SK"]
    assert names_given_twice() == []


# -- faults


def test_files_that_are_no_text_are_named(secrets_dir: Path) -> None:
    write(secrets_dir, OMS_DST_SK=b"\xff\xfesecret", OMS_PROFILES__aws__SRC_SK=b"\x80secret", OMS_DST_AK="well")
    assert faults() == [
        "OMS_DST_SK: its file cannot be read as text",
        "OMS_PROFILES__AWS__SRC_SK: its file cannot be read as text",
    ]


def test_a_file_that_may_not_be_read_is_named(secrets_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(secrets_dir, OMS_DST_SK="secret")

    def refuse(file: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(file))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert faults() == ["OMS_DST_SK: its file cannot be read as text"]


def test_a_folder_in_place_of_a_file_is_no_value(secrets_dir: Path, environment: pytest.MonkeyPatch) -> None:
    """A container runtime makes a folder where it finds no file to mount."""
    environment.delenv("OMS_DST_SK")
    (secrets_dir / "OMS_DST_SK").mkdir()
    write(secrets_dir, OMS_DST_SK__inside="secret")
    assert faults() == [f"OMS_DST_SK: {REQUIRED}"]


def test_a_file_in_place_of_a_profile_is_named(secrets_dir: Path) -> None:
    """A profile is a folder."""
    write(secrets_dir, OMS_PROFILES__aws="secret-text")
    (fault,) = faults()
    assert fault.startswith("OMS_PROFILES__AWS: ")
    assert "secret-text" not in fault


def test_too_much_to_read_is_a_fault_of_the_folder(secrets_dir: Path) -> None:
    write(secrets_dir, core="x" * (16 * 1024 * 1024 + 1))
    assert faults() == ["SECRETS_DIR, OMS_PROFILES: SettingsError: cannot be read"]


def test_all_faults_are_told_at_once_and_by_name(secrets_dir: Path, environment: pytest.MonkeyPatch) -> None:
    """Those of files, of the environment and of profiles."""
    environment.delenv("OMS_PROJECT_ID")
    environment.setenv("OMS_PROFILES__GCP__DST_AK", "secret-of-gcp")
    write(
        secrets_dir, OMS_DST_SK=" ", OMS_TIMEOUT="soon", OMS_SRC_SK="secret with blanks", HUAWEICLOUD_SDK_AK="x" * 101
    )
    write(secrets_dir, OMS_PROFILES__aws__SRC_AK="secret-of-aws", OMS_PROFILES__aws__DST_AK="two\nlines")
    found = faults()
    assert [fault.split(":")[0] for fault in found] == [
        "HUAWEICLOUD_SDK_AK",
        "OMS_DST_SK",
        "OMS_PROFILES__AWS__DST_AK",
        "OMS_PROFILES__AWS__DST_SK",
        "OMS_PROFILES__AWS__SRC_SK",
        "OMS_PROFILES__GCP__DST_SK",
        "OMS_PROJECT_ID",
        "OMS_SRC_SK",
        "OMS_TIMEOUT",
    ]
    assert not any(text in fault for fault in found for text in ("secret", "two", "soon", "xx"))


def test_a_setting_given_twice_and_differently_is_said_by_name(
    secrets_dir: Path, environment: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    environment.setenv("OMS_AUTH_TOKEN", "")
    write(secrets_dir, OMS_DST_SK="of-the-file", OMS_DST_AK=ENVIRONMENT["OMS_DST_AK"] + "\n")
    write(secrets_dir, OMS_AUTH_TOKEN="only-here", OMS_SRC_SECURITY_TOKEN="only-here-too")
    rotation = SettingsReloader()
    rotation.warn()
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (
            logging.WARNING,
            TWICE.format("OMS_DST_SK"),
        )
    ]
    assert dst_sk(rotation.current()) == "of-the-file"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("RESTART_BUGDET", "RESTART_BUGDET is not a setting and has no effect; did you mean RESTART_BUDGET?"),
        ("OMS_TIMOUT", "OMS_TIMOUT is not a setting and has no effect; did you mean OMS_TIMEOUT?"),
        ("OMS_TOKEN", "OMS_TOKEN is not a setting and has no effect; did you mean OMS_AUTH_TOKEN?"),
        ("CALLER_BEARER_TOKEN", "… is not a setting and has no effect; did you mean CALLER_BEARER_TOKENS?"),
        ("IAM_PASSWROD", "IAM_PASSWROD is not a setting and has no effect; did you mean IAM_PASSWORD?"),
        ("OMS_PROFILES__AWS__DTS_AK", "… is not a setting and has no effect; did you mean OMS_PROFILES__AWS__DST_AK?"),
        (
            "RESTART_LOOK_FIRST",
            "… is no longer a setting and has no effect: the function looks at every task before it starts one",
        ),
    ],
)
@pytest.mark.parametrize("where", ["environment", "file"])
def test_a_misspelt_or_former_name_is_warned_of(
    name: str,
    said: str,
    where: str,
    secrets_dir: Path,
    environment: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It stops nothing, and its value is not in the warning."""
    environment.setenv("OMS_PROFILES__AWS__DST_AK", "a")
    environment.setenv("OMS_PROFILES__AWS__DST_SK", "a")
    if where == "file":
        write(secrets_dir, **{name: "the-value"})
    else:
        environment.setenv(name, "the-value")
    SettingsReloader().warn()
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", said.replace("…", name))
    ]


@pytest.mark.parametrize("name", ["OMS_PORT", "RESTART_POLICY", "PATH", "LOG_LEVELS", "OMS_PROFILES__AWS__X", "IAM_"])
def test_a_name_that_resembles_no_setting_is_none_of_ours(name: str, environment: pytest.MonkeyPatch) -> None:
    environment.setenv(name, "x")
    environment.setenv("OMS_PROFILES__AWS__DST_AK", "a")
    environment.setenv("OMS_PROFILES__AWS__DST_SK", "a")
    environment.setenv("oms_timeout", "3")
    environment.setenv("NOTIFY_NOBODY", "x")
    assert misspelt_names() == []


# -- following


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are read."""
    names: list[str] = []
    read = Path.read_bytes

    def note(file: Path) -> bytes:
        names.append(file.name)
        return read(file)

    monkeypatch.setattr(Path, "read_bytes", note)
    return names


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


def test_no_file_is_opened_while_nothing_changes(secrets_dir: Path, opened: list[str]) -> None:
    """The settings stay the same object, too."""
    write(secrets_dir, OMS_DST_SK="value", OMS_PROFILES__aws__DST_AK="1", OMS_PROFILES__aws__DST_SK="2")
    rotation = SettingsReloader()
    assert sorted(opened) == ["DST_AK", "DST_SK", "OMS_DST_SK"]
    first = rotation.current()
    assert all(rotation.current() is first for _ in range(100))
    assert len(opened) == 3


def rewritten(folder: Path) -> None:
    write(folder, OMS_DST_SK="another")


def replaced(folder: Path) -> None:
    """With as many characters, and the time of the old file."""
    written, before = folder / "new", (folder / "OMS_DST_SK").stat()
    written.write_text("other")
    os.utime(written, ns=(before.st_atime_ns, before.st_mtime_ns))
    written.replace(folder / "OMS_DST_SK")


def removed(folder: Path) -> None:
    (folder / "OMS_DST_SK").unlink()


def came_to_a_profile(folder: Path) -> None:
    write(folder, OMS_PROFILES__aws__SRC_AK="1", OMS_PROFILES__aws__SRC_SK="2")


def came_with_a_profile(folder: Path) -> None:
    write(folder, OMS_PROFILES__gcp__DST_AK="1", OMS_PROFILES__gcp__DST_SK="2")


def seen(settings: Settings) -> list[str]:
    """What tells the settings of these tests apart."""
    aws = settings.oms_profiles["aws"]
    return [dst_sk(settings), aws.src_ak.get_secret_value() if aws.src_ak else "", *sorted(settings.oms_profiles)]


@pytest.mark.parametrize(
    ("change", "after"),
    [
        (rewritten, ["another", "", "aws"]),
        (replaced, ["other", "", "aws"]),
        (removed, ["dst_sk", "", "aws"]),
        (came_to_a_profile, ["value", "1", "aws"]),
        (came_with_a_profile, ["value", "", "aws", "gcp"]),
    ],
)
def test_a_changed_file_makes_new_settings_once(
    change: Callable[[Path], None], after: list[str], secrets_dir: Path, opened: list[str]
) -> None:
    """One that changed, was added or was removed."""
    write(secrets_dir, OMS_DST_SK="value", OMS_PROFILES__aws__DST_AK="1", OMS_PROFILES__aws__DST_SK="2")
    rotation = SettingsReloader()
    old = rotation.current()
    change(secrets_dir)
    new = rotation.current()
    assert new is not old
    assert seen(new) == after
    assert seen(old) == ["value", "", "aws"]
    reads = len(opened)
    assert rotation.current() is new
    assert len(opened) == reads


def test_a_folder_that_comes_later_is_noticed(tmp_path: Path, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("SECRETS_DIR", str(tmp_path / "mounted-late"))
    rotation = SettingsReloader()
    assert dst_sk(rotation.current()) == ENVIRONMENT["OMS_DST_SK"]
    write(tmp_path / "mounted-late", OMS_DST_SK="value")
    assert dst_sk(rotation.current()) == "value"


def test_links_in_circles_do_not_keep_the_function_from_looking(
    secrets_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(secrets_dir, OMS_DST_SK="value")
    for circle in ("one", "two", "three"):
        (secrets_dir / circle).symlink_to(secrets_dir)
    rotation = SettingsReloader()
    write(secrets_dir, OMS_DST_SK="another")
    assert dst_sk(rotation.current()) == "another"


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ({"OMS_DST_SK": "two words"}, "OMS_DST_SK: must be printable ASCII without white space"),
        ({"OMS_DST_SK": b"\xff\xff"}, "OMS_DST_SK: its file cannot be read as text"),
        ({"OMS_PROFILES__aws__SRC_AK": "words"}, "OMS_PROFILES__AWS__SRC_SK: required with SRC_AK"),
        (
            {"OMS_TIMEOUT": "words", "OMS_REGION": "words"},
            "OMS_REGION: unknown region; OMS has …; OMS_TIMEOUT: must be a number",
        ),
    ],
)
def test_a_broken_file_keeps_the_previous_settings(
    broken: dict[str, str | bytes], said: str, secrets_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is named in one line, once, until it is repaired."""
    write(secrets_dir, OMS_DST_SK="value", OMS_PROFILES__aws__DST_AK="1", OMS_PROFILES__aws__DST_SK="2")
    rotation = SettingsReloader()
    old = rotation.current()
    write(secrets_dir, **broken)
    assert all(rotation.current() is old for _ in range(10))
    (line,) = errors(caplog)
    begin = "Keeping the previous settings: a changed file is invalid: "
    assert line.startswith(begin)
    parts = said.split("…")
    assert all(part in line.removeprefix(begin) for part in parts)
    assert "words" not in line
    for name in broken:
        secrets_dir.joinpath(*name.split("__")).unlink()
    write(secrets_dir, OMS_DST_SK="repaired")
    assert dst_sk(rotation.current()) == "repaired"
    assert len(errors(caplog)) == 1


def test_a_folder_that_goes_and_comes_again_is_noticed(
    secrets_dir: Path, environment: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    environment.delenv("OMS_DST_SK")
    write(secrets_dir, OMS_DST_SK="value")
    rotation = SettingsReloader()
    old = rotation.current()
    secrets_dir.rename(secrets_dir.with_name("gone"))
    assert [rotation.current() is old for _ in range(3)] == [True] * 3
    assert [line.rpartition(": OMS")[2] for line in errors(caplog)] == [f"_DST_SK: {REQUIRED}"]
    write(secrets_dir, OMS_DST_SK="another")
    assert dst_sk(rotation.current()) == "another"


# -- half-written


@pytest.mark.parametrize("first", ["ak-new", "broken by a blank"])
def test_files_that_change_while_they_are_read(
    first: str, secrets_dir: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """They are not used by halves, and nothing is said to be wrong."""
    write(secrets_dir, OMS_DST_AK="ak-old", OMS_DST_SK="sk-old")
    rotation = SettingsReloader()
    old = rotation.current()
    write(secrets_dir, OMS_DST_AK=first)
    read = Path.read_bytes

    def interrupted(file: Path) -> bytes:
        """AK is read, and the second file written before it is read; the first is mended."""
        text = read(file)
        if file.name == "OMS_DST_AK" and b"ak-newer" not in text:
            write(secrets_dir, OMS_DST_AK="ak-newer", OMS_DST_SK="sk-newer")
        return text

    monkeypatch.setattr(Path, "read_bytes", interrupted)
    assert rotation.current() is old
    new = rotation.current()
    assert (new.oms_dst_ak.get_secret_value(), dst_sk(new)) == ("ak-newer", "sk-newer")
    assert errors(caplog) == []


def test_a_program_without_settings_to_begin_with_does_not_start(secrets_dir: Path) -> None:
    write(secrets_dir, OMS_DST_SK="two words")
    with pytest.raises(SettingsError) as error:
        SettingsReloader()
    assert error.value.messages == ["OMS_DST_SK: must be printable ASCII without white space"]
