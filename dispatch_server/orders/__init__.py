"""What headquarters and regional centers do with orders."""
