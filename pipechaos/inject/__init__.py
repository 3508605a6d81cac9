"""Injection: applies a resolved plan to a batch, in memory or streaming."""
