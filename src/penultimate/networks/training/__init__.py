"""Training a network: the recipe, its epochs, checkpoints and augmentation."""
