"""What the exercises ask, what is right, and which mistake makes which wrong answer. One module a lesson."""
