"""HTTP calls: described before they are made, sent once, and read within bounds."""
