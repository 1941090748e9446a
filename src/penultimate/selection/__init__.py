"""Choosing a head and its hyper-parameters, on a held-out part or by cross-fitting."""
