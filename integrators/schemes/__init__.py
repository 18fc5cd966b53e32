"""Time-stepping schemes: the record of one, and the table of those that come with the package."""
