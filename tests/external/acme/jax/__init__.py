"""Part of the example package."""
