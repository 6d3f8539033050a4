"""Model files: weights under canonical names, written atomically, read with care."""
