"""The database of a study: its rows, its lock, and how they are checked."""
