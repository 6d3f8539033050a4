"""Using a trained model: opening it, its predictions, text that it generates."""
