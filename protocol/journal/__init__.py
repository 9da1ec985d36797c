"""A station's durable memory in one SQLite file: a hash-chained ledger and what delivery needs.

batch.py    what one decision writes
file.py     the file: schema, one transaction per group of batches, what is loaded at start
writer.py   the one writer thread with group commit
verify.py   what an auditor checks with the file alone
"""
