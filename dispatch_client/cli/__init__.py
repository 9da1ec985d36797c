"""The commands of dispatch-client, one module for each kind; __main__ lists them and imports on demand."""
