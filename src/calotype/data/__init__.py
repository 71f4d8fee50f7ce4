"""The world the embedded model learns: art, sprites, captions and scenes, everything from one integer."""
