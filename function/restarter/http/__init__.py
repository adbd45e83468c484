"""HTTP requests: built as values, sent once, and their responses read within bounds."""
