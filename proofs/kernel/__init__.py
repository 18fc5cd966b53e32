"""The small kernel that the proofs rest on: formulas, rules of inference, and the link from steps to
verdict.
"""
