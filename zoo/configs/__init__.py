"""What defines each architecture, and nothing about a framework. Stdlib only."""
