"""Settings from the environment and from files, read by pydantic-settings. Files are watched without reading them.

Kubernetes, Cloud Run and FunctionGraph mount secrets as files. A file has the setting's name. Those of a profile are
in OMS_PROFILES/<name>/, or have the whole name, because a key of a Kubernetes Secret cannot be a path. Names that begin
with a dot are ignored, and so are the folders behind Kubernetes' `..data`.
"""

import os
import re
from pathlib import Path
from typing import Any

from pydantic_settings import EnvSettingsSource, NestedSecretsSettingsSource, PydanticBaseSettingsSource

from restarter.settings.errors import SettingsError

DEFAULT_DIR = "/var/secrets"


def directories() -> list[Path]:
    """The folders of secret files: those in SECRETS_DIR, separated as in PATH. They need not exist yet."""
    named = os.environ.get("SECRETS_DIR") or DEFAULT_DIR
    return [Path(path) for path in named.split(os.pathsep) if path]


class Environment(EnvSettingsSource):
    """The environment as a source of settings.

    The library analyses the annotation of every field each time, whether it is given or not, which takes 4 ms of the
    start. This class calls it only for fields that are given.
    """

    def __call__(self) -> dict[str, Any]:
        """The values by the name that pydantic expects: the first one, if a field has several."""
        given = {name.split(self.env_nested_delimiter or " ")[0] for name in self.env_vars}
        values = {}
        for field_name, field in self.settings_cls.model_fields.items():
            names = getattr(field.validation_alias, "choices", [field_name])
            if given.isdisjoint(str(name).lower() for name in names):
                continue
            value, _, is_complex = self.get_field_value(field, field_name)
            value = self.prepare_field_value(field_name, field, value, is_complex)
            if value is not None:
                values[names[0]] = value
        return values


class SecretFiles(Environment, NestedSecretsSettingsSource):
    """The files as a source of settings. One newline at the end of a file is not part of the value."""

    def __init__(self, beside: PydanticBaseSettingsSource) -> None:
        there = [path for path in directories() if path.is_dir()]
        super().__init__(beside, there, "ok", secrets_nested_subdir=True)

    @classmethod
    def load_secrets(cls, path: Path) -> dict[str, str]:
        """Relative name and text of each file. An empty file counts as not set.

        Raises:
            SettingsError: A file is not text or cannot be read.
        """
        texts, unreadable = {}, []
        for file in cls._iter_secret_files(path):
            name = str(file.relative_to(path)).replace("__", os.sep)
            try:
                texts[name] = _text(file)
            except (OSError, ValueError):
                unreadable.append(name.replace(os.sep, "__").upper())
        if unreadable:
            raise SettingsError(f"{name}: its file cannot be read as text" for name in unreadable)
        return {name: text for name, text in texts.items() if text}


def _text(file: Path) -> str:
    return re.sub(r"\r?\n\Z", "", file.read_bytes().decode())


Fingerprint = tuple[tuple[str, int, int, int], ...]


class FileWatcher:
    """Notices files that were added, removed or changed, by calls of `stat` and without reading them."""

    def __init__(self) -> None:
        self._paths = [str(path) for root in directories() for path in (root, *_visible(root))]
        self._fingerprint = self._read_fingerprint()

    def changed(self) -> bool:
        """Whether a folder or file has another time, size or inode than at the beginning."""
        return self._read_fingerprint() != self._fingerprint

    def _read_fingerprint(self) -> Fingerprint:
        found = []
        for path in self._paths:
            try:
                status = os.stat(path)  # noqa: PTH116  # for each delivery; takes a third of the time of Path.stat
            except OSError:
                found.append((path, 0, 0, 0))
            else:
                found.append((path, status.st_mtime_ns, status.st_size, status.st_ino))
        return tuple(found)


def _visible(root: Path) -> list[Path]:
    """All files and folders below `root`, except hidden ones."""
    found = []
    for folder, folders, files in os.walk(root, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(folder) / name for name in (*folders, *files) if not name.startswith(".")]
        if len(found) > 10_000:  # the reader's own limit; links may form a cycle
            break
    return found
