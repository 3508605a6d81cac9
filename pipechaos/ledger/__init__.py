"""Ledgers: ground truth of what an injection really changed."""
