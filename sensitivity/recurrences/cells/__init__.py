"""Recurrent cells from the literature, one file for each family."""
