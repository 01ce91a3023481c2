"""What all commands share at the terminal: text, progress, exit statuses, time arguments."""
