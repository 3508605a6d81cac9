"""Campaigns: the experiment file and its run."""
