"""Claims of papers that are decided by a counterexample or a proof."""
