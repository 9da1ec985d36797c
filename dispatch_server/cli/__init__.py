"""The commands of dispatch-server, one module for each kind; __main__ lists them and imports on demand."""
