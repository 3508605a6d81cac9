"""Scheduled drills: small unattended campaigns that rotate through everything an experiment can break."""
