"""The operator's command, `python -m restarter`: `check` proves settings and keys, `explain` explains a delivery."""
