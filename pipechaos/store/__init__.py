"""Runs and their trials, kept in a database."""
