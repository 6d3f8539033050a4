"""Using a trained model: opening it, its answers, text that it generates."""
