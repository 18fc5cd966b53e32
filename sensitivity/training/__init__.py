"""Training of recurrent classifiers, to put the rule ε ∝ 1/N to the test."""
