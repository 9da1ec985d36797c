"""Figures of the Logistic map (P1 figures 5 and 7, Table 4) and the measurements behind the README.

Needs NumPy, and matplotlib for a PNG; the cipher itself needs neither and imports nothing from here.
"""
