"""One file that holds a model."""
