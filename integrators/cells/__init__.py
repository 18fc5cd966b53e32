"""Recurrent cells s' = Φ(s, x): their kinds, the algebra that they share, and their stage."""
