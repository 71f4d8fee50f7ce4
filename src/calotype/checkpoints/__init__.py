"""Files to networks and back: key names, the diffusers folder, hashes."""
