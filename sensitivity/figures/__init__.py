"""Pictures and films of results. Nothing is computed here."""
