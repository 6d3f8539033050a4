"""Model files: canonical weights, written atomically, checked when they are read."""
