"""Margin losses in Keras, with their metrics, layers and the networks that end in them."""
