"""See sitecustomize.py."""
