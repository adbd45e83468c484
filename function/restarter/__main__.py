"""`python -m restarter`, and `oms-task-restarter` from the wheel: the operator's command."""

import os
import signal


def main() -> None:
    """Run the command. Ctrl-C ends it with status 130 while it is being imported, too."""
    signal.signal(signal.SIGINT, lambda _signal, _frame: os._exit(130))
    from restarter.cli.command import cli  # noqa: PLC0415  # slow to import

    cli(prog_name="python -m restarter" if __name__ == "__main__" else None)


if __name__ == "__main__":
    main()
