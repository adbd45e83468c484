"""May this task be started, and how: policy, rules and failure reasons. Pure: no I/O and no clock here."""
