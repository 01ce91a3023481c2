"""What `make run` shows: the example of the README, replicated and verified step by step."""
