"""Validators: the team's own suites, judged blind; this room knows no fault, plan or ledger."""
