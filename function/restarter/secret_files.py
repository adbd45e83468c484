"""Settings from files: read as pydantic-settings reads them, and watched for changes without reading.

Kubernetes, Cloud Run and FunctionGraph mount secrets as files. One is named like the setting; those of a profile lie in
OMS_PROFILES/<name>/, or have the whole name, which is all that a key of a Kubernetes Secret can be. Names that begin
with a dot are passed over, so the folders behind Kubernetes' `..data` are, too.
"""

import os
import re
from pathlib import Path

from pydantic_settings import NestedSecretsSettingsSource, PydanticBaseSettingsSource

DEFAULT_DIR = "/var/secrets"


class Unreadable(Exception):
    """Files that are no text, or that may not be read: `names` of the settings in them."""

    def __init__(self, names: list[str]) -> None:
        super().__init__(", ".join(names))
        self.names = names


def directories() -> list[Path]:
    """Where secret files are, or may come to be: SECRETS_DIR, several parted as in PATH."""
    named = os.environ.get("SECRETS_DIR") or DEFAULT_DIR
    return [Path(path) for path in named.split(os.pathsep) if path]


class SecretFiles(NestedSecretsSettingsSource):
    """The files as a source of settings. One newline at the end of a file is an editor's, and not part of the value."""

    def __init__(self, beside: PydanticBaseSettingsSource) -> None:
        there = [path for path in directories() if path.is_dir()]
        super().__init__(beside, there, "ok", secrets_nested_subdir=True)

    @classmethod
    def load_secrets(cls, path: Path) -> dict[str, str]:
        """Relative name and text of each file; an empty one counts as not set, as in the environment."""
        texts, unreadable = {}, []
        for file in cls._iter_secret_files(path):
            name = str(file.relative_to(path)).replace("__", os.sep)
            try:
                texts[name] = _text(file)
            except (OSError, ValueError):
                unreadable.append(name.replace(os.sep, "__").upper())
        if unreadable:
            raise Unreadable(unreadable)
        return {name: text for name, text in texts.items() if text}


def _text(file: Path) -> str:
    return re.sub(r"\r?\n\Z", "", file.read_bytes().decode())


Print = tuple[tuple[str, int, int, int], ...]


class Watched:
    """Whether files came, went or changed since they were read: a few calls of `stat`, no walk, no reading."""

    def __init__(self) -> None:
        self._paths = [str(path) for root in directories() for path in (root, *_visible(root))]
        self.seen = self._print()

    def changed(self) -> bool:
        """A folder has another time when a name in it came or went; a file when it was written or replaced."""
        return self._print() != self.seen

    def _print(self) -> Print:
        found = []
        for path in self._paths:
            try:
                status = Path(path).stat()
            except OSError:
                found.append((path, 0, 0, 0))
            else:
                found.append((path, status.st_mtime_ns, status.st_size, status.st_ino))
        return tuple(found)


def _visible(root: Path) -> list[Path]:
    """All files and folders below, but for hidden ones."""
    found = []
    for folder, folders, files in os.walk(root, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(folder) / name for name in (*folders, *files) if not name.startswith(".")]
        if len(found) > 10_000:  # as many as the reader takes; links may go in circles
            break
    return found
