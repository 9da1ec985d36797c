"""Made-up node-days and attacks, to measure what comprehension tells. Seeds come in; no clock."""
