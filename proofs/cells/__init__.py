"""Statements about recurrent cells and activation functions."""
