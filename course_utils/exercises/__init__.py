"""What an exercise is: tasks, the usual mistakes with a sentence for each, calling a learner's function, comparing.

The tasks themselves are in `lessons`. Who runs the learner's cells in a sandbox is `grading`; what the learner sees of
a check is in `learner`.
"""
