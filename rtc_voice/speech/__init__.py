"""Speech: what is said. Text comes in as source speech; source speech becomes causal features.

May import the ground floor only.
"""
