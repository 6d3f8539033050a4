"""What every backend follows: definitions in NumPy, and the data that they exchange."""
