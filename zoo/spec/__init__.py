"""NumPy definitions that every backend follows, and the data that backends exchange."""
