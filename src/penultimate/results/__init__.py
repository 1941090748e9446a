"""Results of a comparison: outcomes, methods, tables, splits."""
