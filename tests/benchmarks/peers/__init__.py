"""What polling costs others, measured as our own links are: see README.md; `run.rows` gives the table."""
