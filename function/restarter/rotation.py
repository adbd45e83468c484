"""The settings of this moment: read again when a secret file has changed, kept when the new ones are broken."""

import logging

from restarter.faults import SettingsError
from restarter.secret_files import Watched
from restarter.settings import Settings, given_twice, load

LOG = logging.getLogger("restarter")


class Rotation:
    """Settings that follow their files. Raises SettingsError when there are none to begin with."""

    def __init__(self, kind: type[Settings] = Settings) -> None:
        self._kind = kind
        self._watched = Watched()
        self._settings = load(kind)

    def current(self) -> Settings:
        """The same object as before, unless a file has changed: then all settings are new, or all are as they were."""
        if self._watched.changed():
            self._read_again()
        return self._settings

    def warn(self) -> None:
        """Say what was given twice; the file wins."""
        for name in given_twice():
            LOG.warning("%s is given in the environment and differently in a file; the file is used", name)

    def _read_again(self) -> None:
        watched = Watched()
        try:
            settings = load(self._kind)
        except SettingsError as error:
            if not watched.changed():
                self._watched = watched
                LOG.error("The settings stay as they were, for a changed file is wrong: %s", "; ".join(error.faults))  # noqa: TRY400  # names say it all
            return
        if watched.changed():  # in the middle of a change: the next delivery will see all of it
            return
        self._watched, self._settings = watched, settings
        LOG.warning("Settings were read again, for a secret file has changed")
