"""The lemma and the theorems of the source paper, and those that repair them."""
