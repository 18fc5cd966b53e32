"""Recurrences, one file per family."""
