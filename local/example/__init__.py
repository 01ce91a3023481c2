"""The example of the README, replicated and verified step by step."""
