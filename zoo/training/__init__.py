"""Training: one loop for every model, its folder, its callbacks, its plots."""
