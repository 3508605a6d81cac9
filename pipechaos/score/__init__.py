"""Scores: outcomes, rates, honest intervals, gates, and what each check is worth (SCORING.md). Pure."""
