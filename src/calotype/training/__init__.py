"""Training from scratch: a run file, a loop that mirrors sampling, and one short file per task."""
