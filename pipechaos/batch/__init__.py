"""Batches: what flows between two stages. Import from the modules; this package itself loads nothing heavy."""
