"""The folder of a study on disk: its cells, its lock, and how they are checked."""
