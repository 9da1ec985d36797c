"""The superior's side of the links: who may be dialled, and one dial-serve-back-off loop per node."""
