"""All settings: read and checked at start, read again if a secret file changes, masked wherever they are printed."""
