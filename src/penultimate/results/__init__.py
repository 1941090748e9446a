"""What a comparison measured: outcomes, methods, tables, splits."""
