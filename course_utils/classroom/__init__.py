"""A room full of learners: a hub to rehearse with, and the server that each learner gets on any hub.

Nothing that a learner calls in a notebook lives here; what they see alone is in `learner`.
"""
