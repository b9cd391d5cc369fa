"""The class board: a small web service on which a room answers together, live on the projector.

A teacher opens a question of a lesson; what those who joined choose comes up as bars, held back until the teacher shows
them. The learners' side, which sends the answers, is `learner/room.py`. What belongs to one learner alone isn't here.
"""
