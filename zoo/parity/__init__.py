"""The proof that twins are the same model, and that they train the same."""
