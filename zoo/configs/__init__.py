"""The definition of each architecture, without any framework. Standard library only."""
