"""Statistics of LM256: the tests of NIST SP 800-22 rev 1a, a verdict over many sequences, dieharder."""
