"""Tasks to train on, and readers of data sets."""
