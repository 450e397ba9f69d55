"""Turns the crank: a plan, steps that each do one block, and the loop that runs them and can be resumed."""
