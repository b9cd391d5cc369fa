"""Language models behind an address: two servers on this machine, and a client that notes when each piece came.

The lesson on speed uses it. What happens inside a server is in `engine`.
"""
