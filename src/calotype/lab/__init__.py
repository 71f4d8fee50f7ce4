"""Judges and metrics: figures about models. Training imports nothing from here."""
