"""Stop, restore, say why: kill switch, exclusion windows, one lock per target, a journal of what is to be undone."""
