"""Commands about papers: figures, claims, proofs, notebooks."""
