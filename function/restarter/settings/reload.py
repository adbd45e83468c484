"""The current settings: read again after a secret file has changed, and kept if the new ones are wrong."""

import logging

from restarter.settings.errors import SettingsError
from restarter.settings.files import FileWatcher
from restarter.settings.model import Settings, load, misspelt_names, names_given_twice

LOG = logging.getLogger("restarter")


class SettingsReloader:
    """Settings that follow changes of their files.

    Raises:
        SettingsError: The settings are missing or wrong at start.
    """

    def __init__(self, kind: type[Settings] = Settings) -> None:
        self._kind = kind
        self._watched = FileWatcher()
        self._settings = load(kind)

    def current(self) -> Settings:
        """The current settings: the same object until a file changes and all new settings are valid."""
        if self._watched.changed():
            self._read_again()
        return self._settings

    def warn(self) -> None:
        """Log a warning for each name that is given twice and differently, is no longer a setting, or is misspelt."""
        for sentence in (*names_given_twice(), *misspelt_names()):
            LOG.warning("%s", sentence)

    def _read_again(self) -> None:
        watched = FileWatcher()
        try:
            settings = load(self._kind)
        except SettingsError as error:
            if not watched.changed():
                self._watched = watched
                LOG.error("Keeping the previous settings: a changed file is invalid: %s", "; ".join(error.messages))  # noqa: TRY400  # names say it all
            return
        if watched.changed():  # files are still changing: the next delivery reads all of them
            return
        self._watched, self._settings = watched, settings
        LOG.warning("Settings reloaded")
