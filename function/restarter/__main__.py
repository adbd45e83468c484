"""`python -m restarter`: the operator's command."""

from restarter.cli.command import cli

if __name__ == "__main__":
    cli(prog_name="python -m restarter")
