"""The tasks of each lesson: what is asked, what is right, and which mistake makes which wrong answer.

A sandbox hides this folder from submissions, so nothing that a learner's cells need may live here.
"""
