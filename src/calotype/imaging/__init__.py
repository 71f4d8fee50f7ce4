"""Pixels and files: the picture that knows how it was made, its PNG metadata, contact sheets."""
