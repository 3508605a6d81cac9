"""Revisions of the tables: one history for SQLite and PostgreSQL."""
