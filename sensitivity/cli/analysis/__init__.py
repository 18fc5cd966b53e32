"""Commands that answer questions about one network or one scheme."""
