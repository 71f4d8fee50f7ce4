"""What other programs write about a picture, as recipes, and back: A1111's text, ComfyUI's graphs."""
