"""Prompt -> tokens -> conditions."""
