"""Every setting: read and checked at start, read again when a secret file changes, masked wherever it is printed."""
