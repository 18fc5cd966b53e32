"""What papers claim and what is found: one folder for each paper."""
