"""Call a function that a learner wrote, and bring back what it answers as plain data: here, or from another process."""
