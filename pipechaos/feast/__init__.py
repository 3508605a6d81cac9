"""The feature-store check: a Feast feature view's offline source as batches of an ordinary experiment.

Feast is imported in ``repository`` alone, and only once a repository is opened.
"""
