"""What people who run a server watch of it: metrics, the loop's stalls, where everything stands."""
