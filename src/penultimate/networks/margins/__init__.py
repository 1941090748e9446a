"""Margin losses for Keras, with their metrics and layers, and networks that use them."""
