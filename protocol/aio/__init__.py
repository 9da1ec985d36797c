"""The asyncio shell that both sides share: streams over TLS, the listening side of a link, the station.

ports.py        what a shell needs from outside: streams, clocks, randomness
tls.py          real streams: TLS 1.3, both sides with certificates of the deployment's authority
station.py      a node's orders and cursors; decisions become durable, then visible, then sendable
listener.py     the subordinate's end: accepts its superior, answers polls
control.py      the local Unix socket through which people's commands reach a running program
"""
