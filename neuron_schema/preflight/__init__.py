"""What is in the way of a run, what it would lose, and what is there already."""
