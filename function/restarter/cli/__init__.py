"""The operator's command, `python -m restarter`: `check`, `explain`, `failed` and `report`."""
